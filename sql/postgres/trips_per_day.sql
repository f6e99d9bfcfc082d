-- Green trips by the day they begin on.
SELECT lpep_pickup_datetime::date AS day, count(*) AS trips
FROM public.green_tripdata
GROUP BY day
ORDER BY day;
