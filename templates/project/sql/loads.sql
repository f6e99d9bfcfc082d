-- What was loaded, the newest first: one row for each file and partition.
SELECT target, partition, source, rows_loaded, rows_rejected, loaded_at
FROM jitney_loads ORDER BY loaded_at DESC LIMIT 50;
