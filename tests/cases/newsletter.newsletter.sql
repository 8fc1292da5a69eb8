SELECT convert_to(CAST((SELECT row_to_json(row$) AS row_to_json_1 
FROM (SELECT json_build_object('totalCount'::text, (SELECT count(*) AS count_1 
FROM customer AS customer_1 
WHERE customer_1.restricted_at IS NULL AND customer_1.erased_at IS NULL AND customer_1.marketing_consent), 'nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_1 
FROM (SELECT customer_2.first_name AS "firstName", NULL::json AS surname, customer_2.email AS email, $1::VARCHAR || customer_2.unsubscribe_token AS "unsubscribeUrl" 
FROM customer AS customer_2 
WHERE customer_2.restricted_at IS NULL AND customer_2.erased_at IS NULL AND customer_2.marketing_consent ORDER BY customer_2.id DESC 
 LIMIT 2) AS row$)) AS customers) AS row$) AS TEXT), 'UTF8') AS body
