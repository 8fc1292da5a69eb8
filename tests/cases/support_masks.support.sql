WITH read_1 AS 
(SELECT concat('{"firstName":', coalesce('"' || CASE WHEN (customer_1.first_name IS NOT NULL) THEN '***' END || '"', 'null'), ',"surname":', coalesce('"' || CASE WHEN (customer_1.surname IS NOT NULL) THEN '***' END || '"', 'null'), ',"phone":', coalesce('"' || CASE WHEN (customer_1.phone IS NOT NULL) THEN '***' || CASE WHEN (translate(right(customer_1.phone, 2), '0123456789', '') = '') THEN right(customer_1.phone, 2) ELSE right(regexp_replace(customer_1.phone, '\D', '', 'g'), 2) END END || '"', 'null'), ',"email":', coalesce('"' || CASE WHEN (customer_1.email IS NOT NULL) THEN '***@***' END || '"', 'null'), ',"streetAddress":null,"consents":null}') AS object$, customer_1.id AS subject$, customer_1.id AS reference$, 0 AS shown$ 
FROM customer AS customer_1 
WHERE customer_1.restricted_at IS NULL ORDER BY customer_1.id DESC 
 LIMIT 2), 
seen_0 AS 
(SELECT read_1.subject$ AS subject$, read_1.reference$ AS reference$, read_1.shown$ AS shown$ 
FROM read_1), 
whose_0 AS 
(SELECT array((SELECT seen_0.subject$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL)) AS ids), 
recorded_0 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $1::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'support'::text AS role, $4::UUID AS designation_id, NULL::text AS purpose, $5::VARCHAR AS case_reference, 'Masks'::text AS operation_name, 'f75cbe1e194f79af58611ecdaf853634d0af0085f07a53297921b07eca22d515'::text AS operation_hash, '{Customer.email,Customer.firstName,Customer.phone,Customer.surname}'::text[] AS fields, (SELECT whose_0.ids 
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
 SELECT convert_to(concat('{"customers":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_1 
FROM (SELECT read_1.object$ AS object$ 
FROM read_1) AS rows$), ']}}'), 'UTF8') AS body, ARRAY[(SELECT noted.digest 
FROM noted)] AS noted
