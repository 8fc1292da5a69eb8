SELECT convert_to(CAST((SELECT row_to_json(row$) AS row_to_json_1 
FROM (SELECT json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_1 
FROM (SELECT customer_1.first_name AS "firstName", customer_1.email AS email, customer_1.marketing_consent AS "marketingConsent", json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_2 
FROM (SELECT orders_1.number AS number, orders_1.status AS status, CASE WHEN (orders_1.total IS NOT NULL) THEN (SELECT row_to_json(row$) AS row_to_json_2 
FROM (SELECT CAST(orders_1.total AS TEXT) AS amount, orders_1.currency AS currency) AS row$) END AS total, json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_3 
FROM (SELECT order_line_1.name AS name, order_line_1.quantity AS quantity, CASE WHEN (order_line_1.unit_price IS NOT NULL) THEN (SELECT row_to_json(row$) AS row_to_json_3 
FROM (SELECT CAST(order_line_1.unit_price AS TEXT) AS amount) AS row$) END AS "unitPrice" 
FROM order_line AS order_line_1 
WHERE order_line_1.order_id = orders_1.id ORDER BY order_line_1.id DESC 
 LIMIT 20) AS row$)) AS lines, json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_4 
FROM (SELECT delivery_1.status AS status, (SELECT replace(carrier_service_1.tracking_url, '{code}', delivery_1.tracking_code) AS replace_1 
FROM carrier_service AS carrier_service_1 
WHERE carrier_service_1.carrier_id = delivery_1.carrier_id AND carrier_service_1.code = delivery_1.service_code) AS "trackingUrl", delivery_1.recipient_name AS "recipientName", (SELECT row_to_json(row$) AS row_to_json_4 
FROM (SELECT carrier_1.name AS name 
FROM carrier AS carrier_1 
WHERE carrier_1.id = delivery_1.carrier_id) AS row$) AS carrier 
FROM delivery AS delivery_1 
WHERE delivery_1.order_id = orders_1.id ORDER BY delivery_1.id DESC 
 LIMIT 20) AS row$)) AS deliveries 
FROM orders AS orders_1 
WHERE orders_1.customer_id = customer_1.id AND orders_1.status = ANY ($1::TEXT[]) ORDER BY orders_1.id DESC 
 LIMIT 2) AS row$)) AS orders 
FROM customer AS customer_1 
WHERE customer_1.id = $2::UUID ORDER BY customer_1.id DESC 
 LIMIT 20) AS row$)) AS customers) AS row$) AS TEXT), 'UTF8') AS body
