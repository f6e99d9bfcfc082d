-- Green trips by the day they begin on, days with a handful of stray trips left out.
SELECT lpep_pickup_datetime::date AS day, count(*) AS trips
FROM public.green_tripdata
GROUP BY day
HAVING count(*) > 10
ORDER BY day;
