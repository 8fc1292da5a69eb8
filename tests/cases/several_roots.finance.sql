SELECT convert_to(CAST((SELECT row_to_json(row$) AS row_to_json_1 
FROM (SELECT CAST($1::VARCHAR AS JSON) AS viewer, json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_1 
FROM (SELECT returns_1.number AS number, CASE WHEN (returns_1.refund_amount IS NOT NULL) THEN (SELECT row_to_json(row$) AS row_to_json_2 
FROM (SELECT CAST(returns_1.refund_amount AS TEXT) AS amount) AS row$) END AS "refundAmount", NULL::json AS "refundIban" 
FROM returns AS returns_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = returns_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND returns_1.status = $2::VARCHAR ORDER BY returns_1.id DESC 
 LIMIT 2) AS row$)) AS open, (SELECT row_to_json(row$) AS row_to_json_3 
FROM (SELECT encode(CAST('Order:'::text || CAST(orders_1.id AS TEXT) AS BYTEA), 'base64') AS id 
FROM orders AS orders_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = orders_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND orders_1.number = $3::VARCHAR ORDER BY orders_1.id DESC 
 LIMIT 1) AS row$) AS "order", NULL::json AS customers, (SELECT json_build_object('nodes'::text, coalesce(json_agg((SELECT row_to_json(row$) AS row_to_json_4 
FROM (SELECT carrier_1.name AS name) AS row$) ORDER BY anon_1.place DESC) FILTER (WHERE anon_1.place <= 2), '[]'::json)) AS json_build_object_1 
FROM (SELECT carrier_2.id AS id, row_number() OVER (ORDER BY carrier_2.name DESC, carrier_2.id ASC) AS place 
FROM carrier AS carrier_2 ORDER BY carrier_2.name DESC, carrier_2.id ASC 
 LIMIT 3) AS anon_1 JOIN carrier AS carrier_1 ON carrier_1.id = anon_1.id 
HAVING true) AS carriers) AS row$) AS TEXT), 'UTF8') AS body
