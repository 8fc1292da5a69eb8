WITH read_1 AS 
(SELECT orders_1.id AS id, row_number() OVER (ORDER BY orders_1.total DESC, orders_1.placed_at ASC, orders_1.id DESC) AS place, orders_1.customer_id AS subject$, orders_1.id AS reference$, 0 AS shown$ 
FROM orders AS orders_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = orders_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND (EXISTS (SELECT 1 
FROM customer AS customer_2 
WHERE customer_2.id = orders_1.customer_id AND customer_2.restricted_at IS NULL AND starts_with(customer_2.postal_town, $6::VARCHAR))) ORDER BY orders_1.total DESC, orders_1.placed_at ASC, orders_1.id DESC 
 LIMIT 3), 
seen_0 AS 
(SELECT read_1.subject$ AS subject$, read_1.reference$ AS reference$, read_1.shown$ AS shown$ 
FROM read_1 
WHERE read_1.place <= 2), 
whose_0 AS 
(SELECT array((SELECT DISTINCT seen_0.subject$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL)) AS ids), 
recorded_0 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $1::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'support'::text AS role, $4::UUID AS designation_id, 'customer-service'::text AS purpose, $5::VARCHAR AS case_reference, 'Purpose'::text AS operation_name, '91429ff69963a147b3f374bcbfd7f80ebf5aad52d9c68d7a9fcded73314dd610'::text AS operation_hash, '{Customer.email,Customer.postalTown,Order.billingAddress,Order.billingName,Order.customer,Order.number,Order.placedAt,Order.total}'::text[] AS fields, (SELECT whose_0.ids 
FROM whose_0) AS subject_ids, $7::VARCHAR AS policy_version, $8::VARCHAR AS notice_version, $9::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
noted AS 
(SELECT sha256(array_send((SELECT whose_0.ids 
FROM whose_0))) AS digest), 
added AS 
(INSERT INTO daily_subject (employee_id, day, customer_id) SELECT DISTINCT $10::UUID AS employee_id, $11::DATE AS day, seen.subject$ AS subject$ 
FROM (SELECT unnest(whose_0.ids) AS subject$ 
FROM whose_0) AS seen 
WHERE ((SELECT noted.digest 
FROM noted) = any($13::BYTEA[])) IS NOT true ORDER BY seen.subject$ ON CONFLICT DO NOTHING RETURNING daily_subject.customer_id), 
counted AS 
(INSERT INTO daily_reading (employee_id, day, subjects, quota) SELECT $10::UUID AS employee_id, $11::DATE AS day, count(added.customer_id) AS subjects, $12::INTEGER AS quota 
FROM added 
HAVING count(added.customer_id) > 0 ON CONFLICT (employee_id, day) DO UPDATE SET subjects = (daily_reading.subjects + excluded.subjects), quota = excluded.quota)
 SELECT convert_to(concat('{"orders":', coalesce((SELECT concat('{"pageInfo":{"hasNextPage":', coalesce(CAST(count(read_1.id) > 2 AS TEXT), 'null'), ',"endCursor":', coalesce('"' || encode(CAST('Order:'::text || CAST(json_agg(read_1.id ORDER BY read_1.place DESC) FILTER (WHERE read_1.place <= 2) ->> 0 AS TEXT) AS BYTEA), 'base64') || '"', 'null'), '},"edges":[', string_agg(concat('{"cursor":', coalesce('"' || encode(CAST('Order:'::text || CAST(orders_2.id AS TEXT) AS BYTEA), 'base64') || '"', 'null'), ',"node":{"number":', coalesce(to_json(orders_2.number)::text, 'null'), ',"billingName":', coalesce(to_json(CASE WHEN (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = orders_2.customer_id AND customer_1.erased_at IS NULL
 LIMIT ALL OFFSET 0)) THEN orders_2.billing_name END)::text, 'null'), ',"billingAddress":', coalesce(CASE WHEN (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = orders_2.customer_id AND customer_1.erased_at IS NULL
 LIMIT ALL OFFSET 0)) THEN CASE WHEN (coalesce(orders_2.billing_street_address, orders_2.billing_postal_code, orders_2.billing_postal_town, orders_2.billing_country_code) IS NOT NULL) THEN concat('{"postalTown":', coalesce(to_json(orders_2.billing_postal_town)::text, 'null'), '}') END END, 'null'), ',"customer":', coalesce((SELECT concat('{"email":', coalesce(to_json(customer_3.email)::text, 'null'), '}') AS object$ 
FROM customer AS customer_3 
WHERE customer_3.id = orders_2.customer_id), 'null'), '}}'), ',' ORDER BY read_1.place ASC) FILTER (WHERE read_1.place <= 2), ']}') AS anon_1 
FROM read_1 JOIN orders AS orders_2 ON orders_2.id = read_1.id 
HAVING true), 'null'), '}'), 'UTF8') AS body, ARRAY[(SELECT noted.digest 
FROM noted)] AS noted
