-- The ledger: one row for each load that was committed, written in the load's own transaction.
CREATE TABLE IF NOT EXISTS jitney_loads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution text NOT NULL,
    flow text NOT NULL,
    task text NOT NULL,
    target text NOT NULL,
    partition text NOT NULL,
    source text NOT NULL,
    source_sha256 text NOT NULL,
    definition_sha256 text NOT NULL,
    rows_read bigint NOT NULL,
    rows_loaded bigint NOT NULL,
    rows_rejected bigint NOT NULL,
    rows_skipped bigint NOT NULL,
    bytes bigint NOT NULL,
    seconds double precision NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    -- The number of the load's transaction, which its rows carry as xmin.
    xid bigint,
    -- The same for parts of the load that were written behind savepoints.
    parts bigint[],
    -- Whether the transaction may have changed rows that were in the table before.
    updates boolean,
    -- Where the file is; the partition of a load that has no other.
    address text
);

-- Ledgers of earlier versions lack these.
ALTER TABLE jitney_loads ADD COLUMN IF NOT EXISTS xid bigint, ADD COLUMN IF NOT EXISTS parts bigint[],
    ADD COLUMN IF NOT EXISTS updates boolean, ADD COLUMN IF NOT EXISTS address text;

CREATE INDEX IF NOT EXISTS jitney_loads_by_target ON jitney_loads (target, partition, id DESC);

COMMENT ON TABLE jitney_loads IS 'What jitney loaded: rows_read = rows_loaded + rows_rejected + rows_skipped';
