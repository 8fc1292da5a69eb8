SELECT convert_to(CAST((SELECT row_to_json(row$) AS row_to_json_1 
FROM (SELECT json_build_object('totalCount'::text, (SELECT count(*) AS count_1 
FROM delivery AS delivery_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_1.carrier_id = $1::UUID AND (delivery_1.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_1.returned_at, delivery_1.delivered_at, delivery_1.lost_at, delivery_1.handed_over_at + $3::INTERVAL, delivery_1.created_at + $4::INTERVAL) + $5::INTERVAL AND delivery_1.status = $6::VARCHAR), 'nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_1 
FROM (SELECT delivery_2.reference AS reference, to_char(delivery_2.delivered_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "deliveredAt", CASE WHEN ($2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $3::INTERVAL, delivery_2.created_at + $4::INTERVAL) + $7::INTERVAL) THEN delivery_2.recipient_name END AS "recipientName", CASE WHEN ($2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $3::INTERVAL, delivery_2.created_at + $4::INTERVAL) + $8::INTERVAL AND (EXISTS (SELECT 1 
FROM carrier_service AS carrier_service_1 
WHERE carrier_service_1.carrier_id = delivery_2.carrier_id AND carrier_service_1.code = delivery_2.service_code AND carrier_service_1.needs_phone
 LIMIT ALL OFFSET 0))) THEN delivery_2.recipient_phone END AS "recipientPhone", CASE WHEN ($2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $3::INTERVAL, delivery_2.created_at + $4::INTERVAL) + $7::INTERVAL) THEN delivery_2.street_address END AS "streetAddress", json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_2 
FROM (SELECT delivery_event_1.status AS status, to_char(delivery_event_1.occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "occurredAt" 
FROM delivery_event AS delivery_event_1 
WHERE delivery_event_1.delivery_id = delivery_2.id ORDER BY delivery_event_1.id DESC 
 LIMIT 2) AS row$)) AS events 
FROM delivery AS delivery_2 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_2.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_2.carrier_id = $1::UUID AND (delivery_2.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_2.returned_at, delivery_2.delivered_at, delivery_2.lost_at, delivery_2.handed_over_at + $3::INTERVAL, delivery_2.created_at + $4::INTERVAL) + $5::INTERVAL AND delivery_2.status = $6::VARCHAR ORDER BY delivery_2.id DESC 
 LIMIT 3) AS row$)) AS deliveries) AS row$) AS TEXT), 'UTF8') AS body
