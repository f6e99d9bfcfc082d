-- Trips and dollars by month, in BigQuery.
SELECT month, COUNT(*) AS trips, ROUND(SUM(total_amount)) AS dollars FROM examples.green_trips GROUP BY month ORDER BY month;
