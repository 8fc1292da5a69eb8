WITH read_1 AS 
(SELECT concat('{"reference":', coalesce(to_json(delivery_1.reference)::text, 'null'), ',"signedBy":null,"order":', coalesce((SELECT concat('{"number":', coalesce(to_json(orders_1.number)::text, 'null'), ',"customer":null,"total":null,"billingName":null}') AS object$ 
FROM orders AS orders_1 
WHERE orders_1.id = delivery_1.order_id), 'null'), '}') AS object$, delivery_1.customer_id AS subject$, delivery_1.id AS reference$, 0 AS shown$ 
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
 LIMIT 2), 
seen_0 AS 
(SELECT read_1.subject$ AS subject$, read_1.reference$ AS reference$, read_1.shown$ AS shown$ 
FROM read_1), 
whose_0 AS 
(SELECT array((SELECT DISTINCT seen_0.subject$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL)) AS ids), 
recorded_0 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $1::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'warehouse'::text AS role, $4::UUID AS designation_id, 'order-fulfilment'::text AS purpose, $5::VARCHAR AS case_reference, 'Refused'::text AS operation_name, 'c37e7d754284aba16f3dccf2bc4a97d2b2ceb048bf122cf345d4aeaeb95705f7'::text AS operation_hash, '{Delivery.order,Delivery.reference,Order.number}'::text[] AS fields, (SELECT whose_0.ids 
FROM whose_0) AS subject_ids, $6::VARCHAR AS policy_version, $7::VARCHAR AS notice_version, $8::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
noted AS 
(SELECT sha256(array_send((SELECT whose_0.ids 
FROM whose_0))) AS digest), 
added AS 
(INSERT INTO daily_subject (employee_id, day, customer_id) SELECT DISTINCT $9::UUID AS employee_id, $10::DATE AS day, seen.subject$ AS subject$ 
FROM (SELECT unnest(whose_0.ids) AS subject$ 
FROM whose_0) AS seen 
WHERE ((SELECT noted.digest 
FROM noted) = any($12::BYTEA[])) IS NOT true ORDER BY seen.subject$ ON CONFLICT DO NOTHING RETURNING daily_subject.customer_id), 
counted AS 
(INSERT INTO daily_reading (employee_id, day, subjects, quota) SELECT $9::UUID AS employee_id, $10::DATE AS day, count(added.customer_id) AS subjects, $11::INTEGER AS quota 
FROM added 
HAVING count(added.customer_id) > 0 ON CONFLICT (employee_id, day) DO UPDATE SET subjects = (daily_reading.subjects + excluded.subjects), quota = excluded.quota)
 SELECT convert_to(concat('{"deliveries":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_1 
FROM (SELECT read_1.object$ AS object$ 
FROM read_1) AS rows$), ']}}'), 'UTF8') AS body, ARRAY[(SELECT noted.digest 
FROM noted)] AS noted
