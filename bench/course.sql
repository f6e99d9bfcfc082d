-- The steps of the course's Postgres flow: copy into a staging table, add key and file name, merge.
\timing on
DROP TABLE IF EXISTS bench_staging, bench_target;
CREATE TABLE bench_staging (LIKE public.yellow_tripdata);
CREATE TABLE bench_target (LIKE public.yellow_tripdata);
\echo COPY
COPY bench_staging (VendorID, tpep_pickup_datetime, tpep_dropoff_datetime, passenger_count, trip_distance, RatecodeID,
    store_and_fwd_flag, PULocationID, DOLocationID, payment_type, fare_amount, extra, mta_tax, tip_amount, tolls_amount,
    improvement_surcharge, total_amount, congestion_surcharge)
FROM :'csv' WITH (FORMAT csv, HEADER);
\echo UPDATE
UPDATE bench_staging SET
    unique_row_id = md5(
        COALESCE(CAST(VendorID AS text), '') || COALESCE(CAST(tpep_pickup_datetime AS text), '')
        || COALESCE(CAST(tpep_dropoff_datetime AS text), '') || COALESCE(PULocationID, '') || COALESCE(DOLocationID, '')
        || COALESCE(CAST(fare_amount AS text), '') || COALESCE(CAST(trip_distance AS text), '')),
    filename = 'yellow_tripdata_2020-04.csv';
\echo MERGE
MERGE INTO bench_target AS t USING bench_staging AS s ON t.unique_row_id = s.unique_row_id
WHEN NOT MATCHED THEN INSERT VALUES (
    s.unique_row_id, s.filename, s.VendorID, s.tpep_pickup_datetime, s.tpep_dropoff_datetime, s.passenger_count, s.trip_distance,
    s.RatecodeID, s.store_and_fwd_flag, s.PULocationID, s.DOLocationID, s.payment_type, s.fare_amount, s.extra, s.mta_tax,
    s.tip_amount, s.tolls_amount, s.improvement_surcharge, s.total_amount, s.congestion_surcharge);
\timing off
DROP TABLE bench_staging, bench_target;
