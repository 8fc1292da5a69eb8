WITH read_1 AS 
(SELECT concat('{"firstName":', coalesce(to_json(customer_1.first_name)::text, 'null'), ',"surname":null,"email":', coalesce(to_json(customer_1.email)::text, 'null'), ',"unsubscribeUrl":', coalesce(to_json($6::VARCHAR || customer_1.unsubscribe_token)::text, 'null'), '}') AS object$, customer_1.id AS subject$, customer_1.id AS reference$, 0 AS shown$ 
FROM customer AS customer_1 
WHERE customer_1.restricted_at IS NULL AND customer_1.erased_at IS NULL AND customer_1.marketing_consent ORDER BY customer_1.id DESC 
 LIMIT 2), 
seen_0 AS 
(SELECT read_1.subject$ AS subject$, read_1.reference$ AS reference$, read_1.shown$ AS shown$ 
FROM read_1), 
whose_0 AS 
(SELECT array((SELECT seen_0.subject$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL)) AS ids), 
recorded_0 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $1::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'newsletter'::text AS role, $4::UUID AS designation_id, 'newsletter'::text AS purpose, $5::VARCHAR AS case_reference, 'Audience'::text AS operation_name, 'abe75f3014c1753f713c0b1dfa79b27059a6edcfb48236a91acc5f6769e8e1cf'::text AS operation_hash, '{Customer.email,Customer.firstName,Customer.unsubscribeUrl}'::text[] AS fields, (SELECT whose_0.ids 
FROM whose_0) AS subject_ids, $7::VARCHAR AS policy_version, $8::VARCHAR AS notice_version, $9::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
noted AS 
(SELECT sha256(coalesce((SELECT string_agg(uuid_send(given.reference$) || int4send(given.shown$), ''::bytea) AS string_agg_1 
FROM (SELECT seen_0.reference$ AS reference$, seen_0.shown$ AS shown$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL) AS given), ''::bytea)) AS digest), 
disclosed AS 
(INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id, policy_version, notice_version, request_id) SELECT CAST(encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()), substr(int8send(CAST(EXTRACT(epoch FROM $2::TIMESTAMP WITH TIME ZONE) * 1000 AS BIGINT)), 3), 1, 6), 52, 1), 53, 1), 'hex') AS UUID) AS id, given.subject$ AS customer_id, 'Newsletter provider'::text AS recipient, 'newsletter'::text AS purpose, $2::TIMESTAMP WITH TIME ZONE AS at, given.fields AS fields, given.digest AS fields_digest, given.reference$ AS ref_id, $7::VARCHAR AS policy_version, $8::VARCHAR AS notice_version, $9::VARCHAR AS request_id 
FROM (SELECT seen_0.subject$ AS subject$, seen_0.reference$ AS reference$, CASE WHEN (seen_0.shown$ = 0) THEN '{Customer.email,Customer.firstName,Customer.unsubscribeUrl}'::text[] END AS fields, CASE WHEN (seen_0.shown$ = 0) THEN decode('d1f9c64f47d7bc548ac5524c7e0c7d5dd236b045bdfe91c339224e8e6070a8cc', 'hex') END AS digest 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL) AS given 
WHERE given.digest IS NOT NULL AND (SELECT true 
FROM disclosure AS known 
WHERE known.ref_id = given.reference$ AND known.recipient = 'Newsletter provider'::text AND known.purpose = 'newsletter'::text AND known.fields_digest = given.digest 
 LIMIT 1) IS NULL AND ((SELECT noted.digest 
FROM noted) = any($10::BYTEA[])) IS NOT true ORDER BY given.reference$, given.digest ON CONFLICT ON CONSTRAINT disclosure_once DO NOTHING)
 SELECT convert_to(concat('{"customers":{"totalCount":', coalesce(CAST((SELECT count(*) AS count_1 
FROM customer AS customer_2 
WHERE customer_2.restricted_at IS NULL AND customer_2.erased_at IS NULL AND customer_2.marketing_consent) AS TEXT), 'null'), ',"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_2 
FROM (SELECT read_1.object$ AS object$ 
FROM read_1) AS rows$), ']}}'), 'UTF8') AS body, ARRAY[(SELECT noted.digest 
FROM noted)] AS noted
