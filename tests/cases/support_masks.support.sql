SELECT convert_to(CAST((SELECT row_to_json(row$) AS row_to_json_1 
FROM (SELECT json_build_object('nodes'::text, (SELECT coalesce(json_agg(row$), '[]'::json) AS coalesce_1 
FROM (SELECT CASE WHEN (customer_1.first_name IS NOT NULL) THEN '***' END AS "firstName", CASE WHEN (customer_1.surname IS NOT NULL) THEN '***' END AS surname, CASE WHEN (customer_1.phone IS NOT NULL) THEN '***' || right(regexp_replace(customer_1.phone, '\D', '', 'g'), 2) END AS phone, CASE WHEN (customer_1.email IS NOT NULL) THEN '***@***' END AS email, NULL::json AS "streetAddress", NULL::json AS consents 
FROM customer AS customer_1 
WHERE customer_1.restricted_at IS NULL ORDER BY customer_1.id DESC 
 LIMIT 2) AS row$)) AS customers) AS row$) AS TEXT), 'UTF8') AS body
