SELECT convert_to(concat('{"customers":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_1 
FROM (SELECT concat('{"firstName":', coalesce(to_json(customer_1.first_name)::text, 'null'), ',"email":', coalesce(to_json(customer_1.email)::text, 'null'), ',"marketingConsent":', coalesce(CAST(customer_1.marketing_consent AS TEXT), 'null'), ',"orders":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_2 
FROM (SELECT concat('{"number":', coalesce(to_json(orders_1.number)::text, 'null'), ',"status":', coalesce('"' || orders_1.status || '"', 'null'), ',"total":', coalesce(CASE WHEN (orders_1.total IS NOT NULL) THEN concat('{"amount":', coalesce('"' || CAST(orders_1.total AS TEXT) || '"', 'null'), ',"currency":', coalesce(to_json(orders_1.currency)::text, 'null'), '}') END, 'null'), ',"lines":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_3 
FROM (SELECT concat('{"name":', coalesce(to_json(order_line_1.name)::text, 'null'), ',"quantity":', coalesce(CAST(order_line_1.quantity AS TEXT), 'null'), ',"unitPrice":', coalesce(CASE WHEN (order_line_1.unit_price IS NOT NULL) THEN concat('{"amount":', coalesce('"' || CAST(order_line_1.unit_price AS TEXT) || '"', 'null'), '}') END, 'null'), '}') AS object$ 
FROM order_line AS order_line_1 
WHERE order_line_1.order_id = orders_1.id ORDER BY order_line_1.id DESC 
 LIMIT 20) AS rows$), ']},"deliveries":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_4 
FROM (SELECT concat('{"status":', coalesce('"' || delivery_1.status || '"', 'null'), ',"trackingUrl":', coalesce(to_json((SELECT replace(carrier_service_1.tracking_url, '{code}', delivery_1.tracking_code) AS replace_1 
FROM carrier_service AS carrier_service_1 
WHERE carrier_service_1.carrier_id = delivery_1.carrier_id AND carrier_service_1.code = delivery_1.service_code))::text, 'null'), ',"recipientName":', coalesce(to_json(delivery_1.recipient_name)::text, 'null'), ',"carrier":', coalesce((SELECT concat('{"name":', coalesce(to_json(carrier_1.name)::text, 'null'), '}') AS object$ 
FROM carrier AS carrier_1 
WHERE carrier_1.id = delivery_1.carrier_id), 'null'), '}') AS object$ 
FROM delivery AS delivery_1 
WHERE delivery_1.order_id = orders_1.id ORDER BY delivery_1.id DESC 
 LIMIT 20) AS rows$), ']}}') AS object$ 
FROM orders AS orders_1 
WHERE orders_1.customer_id = customer_1.id AND orders_1.status = ANY ($1::TEXT[]) ORDER BY orders_1.id DESC 
 LIMIT 2) AS rows$), ']}}') AS object$ 
FROM customer AS customer_1 
WHERE customer_1.id = $2::UUID ORDER BY customer_1.id DESC 
 LIMIT 20) AS rows$), ']}}'), 'UTF8') AS body
