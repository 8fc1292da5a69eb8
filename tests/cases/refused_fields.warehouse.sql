SELECT convert_to(CAST((SELECT row_to_json(row$) AS row_to_json_1 
FROM (SELECT json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_1 
FROM (SELECT delivery_1.reference AS reference, NULL::json AS "signedBy", (SELECT row_to_json(row$) AS row_to_json_2 
FROM (SELECT orders_1.number AS number, NULL::json AS customer, NULL::json AS total, NULL::json AS "billingName" 
FROM orders AS orders_1 
WHERE orders_1.id = delivery_1.order_id) AS row$) AS "order" 
FROM delivery AS delivery_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND (EXISTS (SELECT 1 
FROM orders AS orders_2 
WHERE orders_2.id = delivery_1.order_id AND ((orders_2.status NOT IN ('COMPLETED', 'CANCELLED')) OR (EXISTS (SELECT 1 
FROM delivery AS delivery_2 
WHERE delivery_2.order_id = orders_2.id AND (delivery_2.status NOT IN ('DELIVERED', 'RETURNED', 'LOST', 'CANCELLED')))) OR (EXISTS (SELECT 1 
FROM returns AS returns_1 
WHERE returns_1.order_id = orders_2.id AND (returns_1.status NOT IN ('CLOSED', 'REJECTED'))))))) ORDER BY delivery_1.id DESC 
 LIMIT 2) AS row$)) AS deliveries) AS row$) AS TEXT), 'UTF8') AS body
