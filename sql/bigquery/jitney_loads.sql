-- The ledger: one row for each load that was committed, written in the load's own transaction.
CREATE TABLE IF NOT EXISTS jitney_loads (
    id STRING NOT NULL OPTIONS (description = 'The job that committed the load, without its number'),
    execution STRING NOT NULL OPTIONS (description = 'The execution'),
    flow STRING NOT NULL OPTIONS (description = 'The flow'),
    task STRING NOT NULL OPTIONS (description = 'The task'),
    target STRING NOT NULL OPTIONS (description = 'The table, as project.dataset.table'),
    `partition` STRING NOT NULL OPTIONS (description = 'The value of the partition, else the name of the source'),
    source STRING NOT NULL OPTIONS (description = 'The file or the objects'),
    source_sha256 STRING NOT NULL OPTIONS (description = 'SHA-256 of the file; of objects alone, of their names, sizes and checksums'),
    definition_sha256 STRING NOT NULL OPTIONS (description = 'SHA-256 of what the task does with it'),
    rows_read INT64 NOT NULL OPTIONS (description = 'Rows in the source'),
    rows_loaded INT64 NOT NULL OPTIONS (description = 'Rows that are new or changed in the table'),
    rows_rejected INT64 NOT NULL OPTIONS (description = 'Rows that did not fit'),
    rows_skipped INT64 NOT NULL OPTIONS (description = 'Rows that were there already'),
    bytes INT64 NOT NULL OPTIONS (description = 'Size of the source'),
    seconds FLOAT64 NOT NULL OPTIONS (description = 'How long it took to bring the rows to BigQuery'),
    loaded_at TIMESTAMP NOT NULL OPTIONS (description = 'When the load was committed'),
    address STRING OPTIONS (description = 'Where the source is; the partition of a load that has no other')
) OPTIONS (description = 'What jitney loaded: rows_read = rows_loaded + rows_rejected + rows_skipped');
