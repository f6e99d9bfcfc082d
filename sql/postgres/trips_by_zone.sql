-- The ten zones where most trips of each colour begin.
SELECT taxi, borough, zone, trips, revenue
FROM (
    SELECT
        taxi,
        borough,
        zone,
        count(*) AS trips,
        round(sum(total_amount)::numeric, 2) AS revenue,
        row_number() OVER (PARTITION BY taxi ORDER BY count(*) DESC, zone) AS place
    FROM (
        SELECT 'green' AS taxi, PULocationID, total_amount FROM public.green_tripdata
        UNION ALL
        SELECT 'yellow', PULocationID, total_amount FROM public.yellow_tripdata
    ) AS trips
    JOIN public.zones ON LocationID::text = PULocationID
    GROUP BY taxi, borough, zone
) AS places
WHERE place <= 10
ORDER BY taxi, trips DESC, zone;
