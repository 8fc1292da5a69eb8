SELECT convert_to(CAST((SELECT row_to_json(row$) AS row_to_json_1 
FROM (SELECT json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_1 
FROM (SELECT delivery_1.reference AS reference, NULL::json AS "signedBy", NULL::json AS "order" 
FROM delivery AS delivery_1 
WHERE NOT (EXISTS (SELECT 1 
FROM customer AS customer_1 
WHERE customer_1.id = delivery_1.customer_id AND customer_1.restricted_at IS NOT NULL)) AND delivery_1.carrier_id = $1::UUID AND (delivery_1.status NOT IN ('PLANNED', 'CANCELLED')) AND $2::TIMESTAMP WITH TIME ZONE < coalesce(delivery_1.returned_at, delivery_1.delivered_at, delivery_1.lost_at, delivery_1.handed_over_at + $3::INTERVAL, delivery_1.created_at + $4::INTERVAL) + $5::INTERVAL ORDER BY delivery_1.id DESC 
 LIMIT 2) AS row$)) AS deliveries) AS row$) AS TEXT), 'UTF8') AS body
