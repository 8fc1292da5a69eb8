WITH read_1 AS 
(SELECT concat('{"reference":', coalesce(to_json(delivery_1.reference)::text, 'null'), ',"signedBy":null,"order":null}') AS object$, delivery_1.customer_id AS subject$, delivery_1.id AS reference$, 0 AS shown$ 
FROM delivery AS delivery_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_1.carrier_id = $6::UUID AND (delivery_1.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_1.returned_at, delivery_1.delivered_at, delivery_1.lost_at, delivery_1.handed_over_at + $7::INTERVAL, delivery_1.created_at + $8::INTERVAL) + $9::INTERVAL ORDER BY delivery_1.id DESC 
 LIMIT 2), 
seen_0 AS 
(SELECT read_1.subject$ AS subject$, read_1.reference$ AS reference$, read_1.shown$ AS shown$ 
FROM read_1), 
whose_0 AS 
(SELECT array((SELECT DISTINCT seen_0.subject$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL)) AS ids), 
recorded_0 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $1::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'carrier'::text AS role, $4::UUID AS designation_id, 'delivery'::text AS purpose, $5::VARCHAR AS case_reference, 'Refused'::text AS operation_name, 'c37e7d754284aba16f3dccf2bc4a97d2b2ceb048bf122cf345d4aeaeb95705f7'::text AS operation_hash, '{Delivery.reference}'::text[] AS fields, (SELECT whose_0.ids 
FROM whose_0) AS subject_ids, $10::VARCHAR AS policy_version, $11::VARCHAR AS notice_version, $12::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
noted AS 
(SELECT sha256(coalesce((SELECT string_agg(uuid_send(given.reference$) || int4send(given.shown$), ''::bytea) AS string_agg_1 
FROM (SELECT seen_0.reference$ AS reference$, seen_0.shown$ AS shown$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL) AS given), ''::bytea)) AS digest), 
disclosed AS 
(INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id, policy_version, notice_version, request_id) SELECT CAST(encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()), substr(int8send(CAST(EXTRACT(epoch FROM $2::TIMESTAMP WITH TIME ZONE) * 1000 AS BIGINT)), 3), 1, 6), 52, 1), 53, 1), 'hex') AS UUID) AS id, given.subject$ AS customer_id, 'Posti'::text AS recipient, 'delivery'::text AS purpose, $2::TIMESTAMP WITH TIME ZONE AS at, given.fields AS fields, given.digest AS fields_digest, given.reference$ AS ref_id, $10::VARCHAR AS policy_version, $11::VARCHAR AS notice_version, $12::VARCHAR AS request_id 
FROM (SELECT seen_0.subject$ AS subject$, seen_0.reference$ AS reference$, CASE WHEN (seen_0.shown$ = 0) THEN '{Delivery.reference}'::text[] END AS fields, CASE WHEN (seen_0.shown$ = 0) THEN decode('fe0446e0fb2d7b4c5f3a83f2d791f378956158e1290a3ed8d974cb3d23846d46', 'hex') END AS digest 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL) AS given 
WHERE given.digest IS NOT NULL AND (SELECT true 
FROM disclosure AS known 
WHERE known.ref_id = given.reference$ AND known.recipient = 'Posti'::text AND known.purpose = 'delivery'::text AND known.fields_digest = given.digest 
 LIMIT 1) IS NULL AND ((SELECT noted.digest 
FROM noted) = any($13::BYTEA[])) IS NOT true ORDER BY given.reference$, given.digest ON CONFLICT ON CONSTRAINT disclosure_once DO NOTHING)
 SELECT convert_to(concat('{"deliveries":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_2 
FROM (SELECT read_1.object$ AS object$ 
FROM read_1) AS rows$), ']}}'), 'UTF8') AS body, ARRAY[(SELECT noted.digest 
FROM noted)] AS noted
