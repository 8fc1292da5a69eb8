SELECT convert_to(CAST((SELECT row_to_json(row$) AS row_to_json_1 
FROM (SELECT (SELECT json_build_object('pageInfo'::text, json_build_object('hasNextPage'::text, count(anon_1.id) > 2, 'endCursor'::text, json_agg(encode(CAST('Order:'::text || CAST(orders_1.id AS TEXT) AS BYTEA), 'base64') ORDER BY anon_1.place DESC) FILTER (WHERE anon_1.place <= 2) -> 0), 'edges'::text, coalesce(json_agg(json_build_object('cursor'::text, encode(CAST('Order:'::text || CAST(orders_1.id AS TEXT) AS BYTEA), 'base64'), 'node'::text, (SELECT row_to_json(row$) AS row_to_json_2 
FROM (SELECT orders_1.number AS number, CASE WHEN (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = orders_1.customer_id AND customer_1.erased_at IS NULL
 LIMIT ALL OFFSET 0)) THEN orders_1.billing_name END AS "billingName", CASE WHEN (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = orders_1.customer_id AND customer_1.erased_at IS NULL
 LIMIT ALL OFFSET 0)) THEN CASE WHEN (coalesce(orders_1.billing_street_address, orders_1.billing_postal_code, orders_1.billing_postal_town, orders_1.billing_country_code) IS NOT NULL) THEN (SELECT row_to_json(row$) AS row_to_json_3 
FROM (SELECT orders_1.billing_postal_town AS "postalTown") AS row$) END END AS "billingAddress", (SELECT row_to_json(row$) AS row_to_json_4 
FROM (SELECT customer_2.email AS email 
FROM customer AS customer_2 
WHERE customer_2.id = orders_1.customer_id) AS row$) AS customer) AS row$)) ORDER BY anon_1.place ASC) FILTER (WHERE anon_1.place <= 2), '[]'::json)) AS json_build_object_1 
FROM (SELECT orders_2.id AS id, row_number() OVER (ORDER BY orders_2.total DESC, orders_2.placed_at ASC, orders_2.id DESC) AS place 
FROM orders AS orders_2 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = orders_2.customer_id AND customer_1.restricted_at IS NOT NULL)) AND (EXISTS (SELECT 1 
FROM customer AS customer_3 
WHERE customer_3.id = orders_2.customer_id AND customer_3.restricted_at IS NULL AND starts_with(customer_3.postal_town, $1::VARCHAR))) ORDER BY orders_2.total DESC, orders_2.placed_at ASC, orders_2.id DESC 
 LIMIT 3) AS anon_1 JOIN orders AS orders_1 ON orders_1.id = anon_1.id 
HAVING true) AS orders) AS row$) AS TEXT), 'UTF8') AS body
