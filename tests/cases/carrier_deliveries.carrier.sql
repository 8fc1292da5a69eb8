WITH read_1 AS 
(SELECT delivery_1.customer_id AS subject$, delivery_1.id AS reference$, 0 AS shown$ 
FROM delivery AS delivery_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_1.carrier_id = $6::UUID AND (delivery_1.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_1.returned_at, delivery_1.delivered_at, delivery_1.lost_at, delivery_1.handed_over_at + $7::INTERVAL, delivery_1.created_at + $8::INTERVAL) + $9::INTERVAL AND delivery_1.status = $10::VARCHAR 
 LIMIT 21), 
read_2 AS 
(SELECT concat('{"reference":', coalesce(to_json(page_1$.reference)::text, 'null'), ',"deliveredAt":', coalesce('"' || to_char(page_1$.delivered_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"', 'null'), ',"recipientName":', coalesce(to_json(CASE WHEN page_1$.rule_0$ THEN page_1$.recipient_name END)::text, 'null'), ',"recipientPhone":', coalesce(to_json(CASE WHEN page_1$.rule_1$ THEN page_1$.recipient_phone END)::text, 'null'), ',"streetAddress":', coalesce(to_json(CASE WHEN page_1$.rule_0$ THEN page_1$.street_address END)::text, 'null'), ',"events":{"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_1 
FROM (SELECT concat('{"status":', coalesce('"' || delivery_event_1.status || '"', 'null'), ',"occurredAt":', coalesce('"' || to_char(delivery_event_1.occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"', 'null'), '}') AS object$ 
FROM delivery_event AS delivery_event_1 
WHERE delivery_event_1.delivery_id = page_1$.id ORDER BY delivery_event_1.id DESC 
 LIMIT 2) AS rows$), ']}}') AS object$, page_1$.customer_id AS subject$, page_1$.id AS reference$, 1 + CASE WHEN page_1$.rule_0$ THEN 1 ELSE 0 END + CASE WHEN page_1$.rule_1$ THEN 2 ELSE 0 END AS shown$ 
FROM (SELECT delivery_2.id AS id, delivery_2.reference AS reference, delivery_2.customer_id AS customer_id, delivery_2.recipient_name AS recipient_name, delivery_2.recipient_phone AS recipient_phone, delivery_2.street_address AS street_address, delivery_2.delivered_at AS delivered_at, $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $7::INTERVAL, delivery_2.created_at + $8::INTERVAL) + $11::INTERVAL AS rule_0$, $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $7::INTERVAL, delivery_2.created_at + $8::INTERVAL) + $12::INTERVAL AND delivery_2.service_code = any(array((SELECT carrier_service_1.code 
FROM carrier_service AS carrier_service_1 
WHERE carrier_service_1.carrier_id = $6::UUID AND carrier_service_1.needs_phone))) AS rule_1$ 
FROM delivery AS delivery_2 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_2.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_2.carrier_id = $6::UUID AND (delivery_2.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $7::INTERVAL, delivery_2.created_at + $8::INTERVAL) + $9::INTERVAL AND delivery_2.status = $10::VARCHAR ORDER BY delivery_2.id DESC 
 LIMIT 3) AS page_1$), 
seen_0 AS 
(SELECT read_1.subject$ AS subject$, read_1.reference$ AS reference$, read_1.shown$ AS shown$ 
FROM read_1 
WHERE (SELECT count(*) AS count_1 
FROM read_1) <= 20 UNION ALL SELECT read_2.subject$ AS subject$, read_2.reference$ AS reference$, read_2.shown$ AS shown$ 
FROM read_2), 
whose_0 AS 
(SELECT array((SELECT DISTINCT seen_0.subject$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL)) AS ids), 
recorded_0 AS 
(INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision) SELECT $1::UUID AS id, $2::TIMESTAMP WITH TIME ZONE AS at, $3::VARCHAR AS principal_id, 'carrier'::text AS role, $4::UUID AS designation_id, 'delivery'::text AS purpose, $5::VARCHAR AS case_reference, 'Deliveries'::text AS operation_name, '0f01686a4a58e0e3f6387f710a5664eaa6091114fb6f195a109af5ee564bddf0'::text AS operation_hash, '{Delivery.deliveredAt,Delivery.recipientName,Delivery.recipientPhone,Delivery.reference,Delivery.status,Delivery.streetAddress,DeliveryEvent.occurredAt,DeliveryEvent.status}'::text[] AS fields, (SELECT whose_0.ids 
FROM whose_0) AS subject_ids, $13::VARCHAR AS policy_version, $14::VARCHAR AS notice_version, $15::VARCHAR AS request_id, 'ALLOWED'::text AS decision), 
noted AS 
(SELECT sha256(coalesce((SELECT string_agg(uuid_send(given.reference$) || int4send(given.shown$), ''::bytea) AS string_agg_2 
FROM (SELECT seen_0.reference$ AS reference$, seen_0.shown$ AS shown$ 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL) AS given), ''::bytea)) AS digest), 
disclosed AS 
(INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id, policy_version, notice_version, request_id) SELECT CAST(encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()), substr(int8send(CAST(EXTRACT(epoch FROM $2::TIMESTAMP WITH TIME ZONE) * 1000 AS BIGINT)), 3), 1, 6), 52, 1), 53, 1), 'hex') AS UUID) AS id, given.subject$ AS customer_id, 'Posti'::text AS recipient, 'delivery'::text AS purpose, $2::TIMESTAMP WITH TIME ZONE AS at, given.fields AS fields, given.digest AS fields_digest, given.reference$ AS ref_id, $13::VARCHAR AS policy_version, $14::VARCHAR AS notice_version, $15::VARCHAR AS request_id 
FROM (SELECT seen_0.subject$ AS subject$, seen_0.reference$ AS reference$, CASE WHEN (seen_0.shown$ = 0) THEN '{Delivery.status}'::text[] WHEN (seen_0.shown$ = 1) THEN '{Delivery.deliveredAt,Delivery.reference,Delivery.status,DeliveryEvent.occurredAt,DeliveryEvent.status}'::text[] WHEN (seen_0.shown$ = 2) THEN '{Delivery.deliveredAt,Delivery.recipientName,Delivery.reference,Delivery.status,Delivery.streetAddress,DeliveryEvent.occurredAt,DeliveryEvent.status}'::text[] WHEN (seen_0.shown$ = 3) THEN '{Delivery.deliveredAt,Delivery.recipientPhone,Delivery.reference,Delivery.status,DeliveryEvent.occurredAt,DeliveryEvent.status}'::text[] WHEN (seen_0.shown$ = 4) THEN '{Delivery.deliveredAt,Delivery.recipientName,Delivery.recipientPhone,Delivery.reference,Delivery.status,Delivery.streetAddress,DeliveryEvent.occurredAt,DeliveryEvent.status}'::text[] END AS fields, CASE WHEN (seen_0.shown$ = 0) THEN decode('5da94090bf973fb4912ae7229faf0b1b1824c1781c8e5716a44b56cabea6a842', 'hex') WHEN (seen_0.shown$ = 1) THEN decode('7ba5d752ce0beffeb1dc29a4c072475f1412f5d0c268d772f158b7073ba4bee0', 'hex') WHEN (seen_0.shown$ = 2) THEN decode('4af1607fa61192b5c8871b928e77da55fb83219c3524756d4b83441a0c1e7d9b', 'hex') WHEN (seen_0.shown$ = 3) THEN decode('deb4f1491adb487ddec7e48064859757ea587efc0df8c1415233b2ba8cff9bfc', 'hex') WHEN (seen_0.shown$ = 4) THEN decode('a28f20489327cb98b82e7521d856c0864a2756e50b1f33f8bb3865a496c3af24', 'hex') END AS digest 
FROM seen_0 
WHERE seen_0.subject$ IS NOT NULL) AS given 
WHERE given.digest IS NOT NULL AND (SELECT true 
FROM disclosure AS known 
WHERE known.ref_id = given.reference$ AND known.recipient = 'Posti'::text AND known.purpose = 'delivery'::text AND known.fields_digest = given.digest 
 LIMIT 1) IS NULL AND ((SELECT noted.digest 
FROM noted) = any($16::BYTEA[])) IS NOT true ORDER BY given.reference$, given.digest ON CONFLICT ON CONSTRAINT disclosure_once DO NOTHING)
 SELECT convert_to(concat('{"deliveries":{"totalCount":', coalesce(CAST((SELECT count(*) AS count_2 
FROM delivery AS delivery_3 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_3.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_3.carrier_id = $6::UUID AND (delivery_3.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_3.returned_at, delivery_3.delivered_at, delivery_3.lost_at, delivery_3.handed_over_at + $7::INTERVAL, delivery_3.created_at + $8::INTERVAL) + $9::INTERVAL AND delivery_3.status = $10::VARCHAR) AS TEXT), 'null'), ',"nodes":[', (SELECT string_agg(rows$.object$, ',') AS string_agg_3 
FROM (SELECT read_2.object$ AS object$ 
FROM read_2) AS rows$), ']}}'), 'UTF8') AS body, ARRAY[(SELECT noted.digest 
FROM noted)] AS noted
