WITH read_1 AS 
(SELECT concat('{"number":', coalesce(to_json(returns_1.number)::text, 'null'), ',"refundAmount":', coalesce(CASE WHEN (returns_1.refund_amount IS NOT NULL) THEN concat('{"amount":', coalesce('"' || CAST(returns_1.refund_amount AS TEXT) || '"', 'null'), '}') END, 'null'), ',"refundIban":null}') AS object$, returns_1.customer_id AS subject$, returns_1.id AS reference$, 0 AS shown$ 
FROM returns AS returns_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = returns_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND returns_1.status = $6::VARCHAR ORDER BY returns_1.id DESC 
 LIMIT 2), 
seen_0 AS 
(SELECT read_1.subject$ AS subject$, read_1.reference$ AS reference$, read_1.shown$ AS shown$ 
FROM read_1), 
whose_0 AS 
(SELECT array((SELECT DISTINCT seen_0.subject$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL)) AS ids), 
recorded_0 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $1::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'finance'::text AS role, $4::UUID AS designation_id, 'accounting'::text AS purpose, $5::VARCHAR AS case_reference, 'Several'::text AS operation_name, '80c62e4e9c935315c0c40c3eb66366659f4925037c5d0392aec43fc7a08312fc'::text AS operation_hash, '{Return.number,Return.refundAmount,Return.status}'::text[] AS fields, (SELECT whose_0.ids 
FROM whose_0) AS subject_ids, $7::VARCHAR AS policy_version, $8::VARCHAR AS notice_version, $9::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
read_2 AS 
(SELECT concat('{"id":', coalesce('"' || encode(CAST('Order:'::text || CAST(orders_1.id AS TEXT) AS BYTEA), 'base64') || '"', 'null'), '}') AS object$, orders_1.customer_id AS subject$, orders_1.id AS reference$, 0 AS shown$ 
FROM orders AS orders_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = orders_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND orders_1.number = $11::VARCHAR ORDER BY orders_1.id DESC 
 LIMIT 1), 
seen_1 AS 
(SELECT read_2.subject$ AS subject$, read_2.reference$ AS reference$, read_2.shown$ AS shown$ 
FROM read_2), 
whose_1 AS 
(SELECT array((SELECT DISTINCT seen_1.subject$ 
FROM seen_1 
WHERE seen_1.subject$ IS NOT NULL)) AS ids), 
recorded_1 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $10::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'finance'::text AS role, $4::UUID AS designation_id, 'accounting'::text AS purpose, $5::VARCHAR AS case_reference, 'Several'::text AS operation_name, '80c62e4e9c935315c0c40c3eb66366659f4925037c5d0392aec43fc7a08312fc'::text AS operation_hash, '{Order.number}'::text[] AS fields, (SELECT whose_1.ids 
FROM whose_1) AS subject_ids, $7::VARCHAR AS policy_version, $8::VARCHAR AS notice_version, $9::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
noted AS 
(SELECT sha256(array_send((SELECT whose_0.ids 
FROM whose_0)) || array_send((SELECT whose_1.ids 
FROM whose_1))) AS digest), 
added AS 
(INSERT INTO daily_subject (employee_id, day, customer_id) SELECT DISTINCT $12::UUID AS employee_id, $13::DATE AS day, seen.subject$ AS subject$ 
FROM (SELECT unnest(whose_0.ids) AS subject$ 
FROM whose_0 UNION ALL SELECT unnest(whose_1.ids) AS subject$ 
FROM whose_1) AS seen 
WHERE ((SELECT noted.digest 
FROM noted) = any($15::BYTEA[])) IS NOT true ORDER BY seen.subject$ ON CONFLICT DO NOTHING RETURNING daily_subject.customer_id), 
counted AS 
(INSERT INTO daily_reading (employee_id, day, subjects, quota) SELECT $12::UUID AS employee_id, $13::DATE AS day, count(added.customer_id) AS subjects, $14::INTEGER AS quota 
FROM added 
HAVING count(added.customer_id) > 0 ON CONFLICT (employee_id, day) DO UPDATE SET subjects = (daily_reading.subjects + excluded.subjects), quota = excluded.quota)
 SELECT convert_to(concat('{"viewer":', coalesce($16::VARCHAR, 'null'), ',"open":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_1 
FROM (SELECT read_1.object$ AS object$ 
FROM read_1) AS rows$), ']},"order":', coalesce((SELECT read_2.object$ 
FROM read_2), 'null'), ',"customers":null,"carriers":', coalesce((SELECT concat('{"nodes":[', string_agg(concat('{"name":', coalesce(to_json(carrier_1.name)::text, 'null'), '}'), ',' ORDER BY anon_2.place DESC) FILTER (WHERE anon_2.place <= 2), ']}') AS anon_1 
FROM (SELECT carrier_2.id AS id, row_number() OVER (ORDER BY carrier_2.name DESC, carrier_2.id ASC) AS place 
FROM carrier AS carrier_2 ORDER BY carrier_2.name DESC, carrier_2.id ASC 
 LIMIT 3) AS anon_2 JOIN carrier AS carrier_1 ON carrier_1.id = anon_2.id 
HAVING true), 'null'), '}'), 'UTF8') AS body, ARRAY[(SELECT noted.digest 
FROM noted)] AS noted
