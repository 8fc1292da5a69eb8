WITH read_1 AS 
(SELECT concat('{"reference":', coalesce(to_json(page_1$.reference)::text, 'null'), ',"status":', coalesce('"' || page_1$.status || '"', 'null'), ',"trackingUrl":', coalesce(to_json((SELECT replace(carrier_service_1.tracking_url, '{code}', page_1$.tracking_code) AS replace_1 
FROM carrier_service AS carrier_service_1 
WHERE carrier_service_1.carrier_id = page_1$.carrier_id AND carrier_service_1.code = page_1$.service_code))::text, 'null'), ',"recipientName":', coalesce(to_json(CASE WHEN page_1$.rule_0$ THEN page_1$.recipient_name END)::text, 'null'), ',"postalCode":', coalesce(to_json(CASE WHEN page_1$.rule_0$ THEN page_1$.postal_code END)::text, 'null'), ',"postalTown":', coalesce(to_json(CASE WHEN page_1$.rule_0$ THEN page_1$.postal_town END)::text, 'null'), ',"recipientEmail":', coalesce(to_json(CASE WHEN page_1$.rule_1$ THEN page_1$.recipient_email END)::text, 'null'), '}') AS object$, page_1$.customer_id AS subject$, page_1$.id AS reference$, 0 + CASE WHEN page_1$.rule_0$ THEN 1 ELSE 0 END + CASE WHEN page_1$.rule_1$ THEN 2 ELSE 0 END AS shown$ 
FROM (SELECT delivery_1.id AS id, delivery_1.reference AS reference, delivery_1.customer_id AS customer_id, delivery_1.carrier_id AS carrier_id, delivery_1.service_code AS service_code, delivery_1.status AS status, delivery_1.tracking_code AS tracking_code, delivery_1.recipient_name AS recipient_name, delivery_1.recipient_email AS recipient_email, delivery_1.postal_code AS postal_code, delivery_1.postal_town AS postal_town, $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_1.returned_at, delivery_1.delivered_at, delivery_1.lost_at, delivery_1.handed_over_at + $6::INTERVAL, delivery_1.created_at + $7::INTERVAL) + $8::INTERVAL AS rule_0$, $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_1.returned_at, delivery_1.delivered_at, delivery_1.lost_at, delivery_1.handed_over_at + $6::INTERVAL, delivery_1.created_at + $7::INTERVAL) + $9::INTERVAL AND delivery_1.service_code = any(array((SELECT carrier_service_2.code 
FROM carrier_service AS carrier_service_2 
WHERE carrier_service_2.carrier_id = $10::UUID AND carrier_service_2.needs_email))) AS rule_1$ 
FROM delivery AS delivery_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_1.carrier_id = $10::UUID AND (delivery_1.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_1.returned_at, delivery_1.delivered_at, delivery_1.lost_at, delivery_1.handed_over_at + $6::INTERVAL, delivery_1.created_at + $7::INTERVAL) + $11::INTERVAL ORDER BY delivery_1.status DESC, delivery_1.promised_at ASC, delivery_1.id DESC 
 LIMIT 5) AS page_1$), 
seen_0 AS 
(SELECT read_1.subject$ AS subject$, read_1.reference$ AS reference$, read_1.shown$ AS shown$ 
FROM read_1), 
whose_0 AS 
(SELECT array((SELECT DISTINCT seen_0.subject$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL)) AS ids), 
recorded_0 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $1::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'carrier'::text AS role, $4::UUID AS designation_id, 'delivery'::text AS purpose, $5::VARCHAR AS case_reference, 'Addresses'::text AS operation_name, '420c8a016a08d3e1453f90488b1a545906a65001faf9939161cb366a6438bd4d'::text AS operation_hash, '{Delivery.postalCode,Delivery.postalTown,Delivery.promisedAt,Delivery.recipientEmail,Delivery.recipientName,Delivery.reference,Delivery.status,Delivery.trackingUrl}'::text[] AS fields, (SELECT whose_0.ids 
FROM whose_0) AS subject_ids, $12::VARCHAR AS policy_version, $13::VARCHAR AS notice_version, $14::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
read_2 AS 
(SELECT concat('{"recipientPhone":', coalesce(to_json(CASE WHEN page_2$.rule_0$ THEN page_2$.recipient_phone END)::text, 'null'), ',"carrier":', coalesce((SELECT concat('{"name":', coalesce(to_json(carrier_1.name)::text, 'null'), '}') AS object$ 
FROM carrier AS carrier_1 
WHERE carrier_1.id = page_2$.carrier_id), 'null'), '}') AS object$, page_2$.customer_id AS subject$, page_2$.id AS reference$, 4 + CASE WHEN page_2$.rule_0$ THEN 1 ELSE 0 END AS shown$ 
FROM (SELECT delivery_2.id AS id, delivery_2.customer_id AS customer_id, delivery_2.carrier_id AS carrier_id, delivery_2.recipient_phone AS recipient_phone, $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $6::INTERVAL, delivery_2.created_at + $7::INTERVAL) + $9::INTERVAL AND delivery_2.service_code = any(array((SELECT carrier_service_2.code 
FROM carrier_service AS carrier_service_2 
WHERE carrier_service_2.carrier_id = $10::UUID AND carrier_service_2.needs_phone))) AS rule_0$ 
FROM delivery AS delivery_2 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_2.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_2.carrier_id = $10::UUID AND (delivery_2.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $6::INTERVAL, delivery_2.created_at + $7::INTERVAL) + $11::INTERVAL ORDER BY delivery_2.id DESC 
 LIMIT 2) AS page_2$), 
seen_1 AS 
(SELECT read_2.subject$ AS subject$, read_2.reference$ AS reference$, read_2.shown$ AS shown$ 
FROM read_2), 
whose_1 AS 
(SELECT array((SELECT DISTINCT seen_1.subject$ 
FROM seen_1 
WHERE seen_1.subject$ IS NOT NULL)) AS ids), 
recorded_1 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $15::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'carrier'::text AS role, $4::UUID AS designation_id, 'delivery'::text AS purpose, $5::VARCHAR AS case_reference, 'Addresses'::text AS operation_name, '420c8a016a08d3e1453f90488b1a545906a65001faf9939161cb366a6438bd4d'::text AS operation_hash, '{Delivery.recipientPhone}'::text[] AS fields, (SELECT whose_1.ids 
FROM whose_1) AS subject_ids, $12::VARCHAR AS policy_version, $13::VARCHAR AS notice_version, $14::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
seen AS 
(SELECT seen_0.subject$ AS subject$, seen_0.reference$ AS reference$, seen_0.shown$ AS shown$ 
FROM seen_0 UNION ALL SELECT seen_1.subject$ AS subject$, seen_1.reference$ AS reference$, seen_1.shown$ AS shown$ 
FROM seen_1), 
noted AS 
(SELECT sha256(coalesce((SELECT string_agg(uuid_send(given.reference$) || int4send(given.shown$), ''::bytea) AS string_agg_1 
FROM (SELECT seen.reference$ AS reference$, seen.shown$ AS shown$ 
FROM seen 
WHERE seen.subject$ IS NOT NULL) AS given), ''::bytea)) AS digest), 
disclosed AS 
(INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id, policy_version, notice_version, request_id) SELECT CAST(encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()), substr(int8send(CAST(EXTRACT(epoch FROM $2::TIMESTAMP WITH TIME ZONE) * 1000 AS BIGINT)), 3), 1, 6), 52, 1), 53, 1), 'hex') AS UUID) AS id, given.subject$ AS customer_id, 'Posti'::text AS recipient, 'delivery'::text AS purpose, $2::TIMESTAMP WITH TIME ZONE AS at, given.fields AS fields, given.digest AS fields_digest, given.reference$ AS ref_id, $12::VARCHAR AS policy_version, $13::VARCHAR AS notice_version, $14::VARCHAR AS request_id 
FROM (SELECT seen.subject$ AS subject$, seen.reference$ AS reference$, CASE WHEN (seen.shown$ = 0) THEN '{Delivery.promisedAt,Delivery.reference,Delivery.status,Delivery.trackingUrl}'::text[] WHEN (seen.shown$ = 1) THEN '{Delivery.postalCode,Delivery.postalTown,Delivery.promisedAt,Delivery.recipientName,Delivery.reference,Delivery.status,Delivery.trackingUrl}'::text[] WHEN (seen.shown$ = 2) THEN '{Delivery.promisedAt,Delivery.recipientEmail,Delivery.reference,Delivery.status,Delivery.trackingUrl}'::text[] WHEN (seen.shown$ = 3) THEN '{Delivery.postalCode,Delivery.postalTown,Delivery.promisedAt,Delivery.recipientEmail,Delivery.recipientName,Delivery.reference,Delivery.status,Delivery.trackingUrl}'::text[] WHEN (seen.shown$ = 5) THEN '{Delivery.recipientPhone}'::text[] END AS fields, CASE WHEN (seen.shown$ = 0) THEN decode('fbb324c2720367f2c7c817ae3b2c4394e7a938e6917ad49963b5b064eb217997', 'hex') WHEN (seen.shown$ = 1) THEN decode('005728cae40cae4b8ae2247b555332e420d0609e6349bdc3d02ec8ad80ac19bf', 'hex') WHEN (seen.shown$ = 2) THEN decode('58daffb25d14b209bd2ad3018cb82504deaa342a8b8b7003713aaff1dc9f03f6', 'hex') WHEN (seen.shown$ = 3) THEN decode('bc31249967c28b371e1279acd4461cc84e85a614934771d90559249ed0d78667', 'hex') WHEN (seen.shown$ = 5) THEN decode('e50aba5a3aee16f8d214950b361386c9f70916a7ace9e7be9cbd55ba73406d8d', 'hex') END AS digest 
FROM seen 
WHERE seen.subject$ IS NOT NULL) AS given 
WHERE given.digest IS NOT NULL AND (SELECT true 
FROM disclosure AS known 
WHERE known.ref_id = given.reference$ AND known.recipient = 'Posti'::text AND known.purpose = 'delivery'::text AND known.fields_digest = given.digest 
 LIMIT 1) IS NULL AND ((SELECT noted.digest 
FROM noted) = any($16::BYTEA[])) IS NOT true ORDER BY given.reference$, given.digest ON CONFLICT ON CONSTRAINT disclosure_once DO NOTHING)
 SELECT convert_to(concat('{"sorted":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_2 
FROM (SELECT read_1.object$ AS object$ 
FROM read_1) AS rows$), ']},"newest":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_3 
FROM (SELECT read_2.object$ AS object$ 
FROM read_2) AS rows$), ']}}'), 'UTF8') AS body, ARRAY[(SELECT noted.digest 
FROM noted)] AS noted
