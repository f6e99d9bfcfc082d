-- A flow's runs for many moments of the past. Which execution ran for a partition, and how it ended, is not written here
-- again: the labels `backfill` and `partition` of the executions say so.
CREATE TABLE backfills (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    created TEXT NOT NULL,
    since TEXT NOT NULL,
    spec TEXT NOT NULL,
    wish TEXT NOT NULL,
    outcome TEXT,
    ended TEXT
) WITHOUT ROWID;

CREATE TABLE backfill_partitions (
    backfill TEXT NOT NULL,
    number INTEGER NOT NULL,
    label TEXT NOT NULL,
    date TEXT NOT NULL,
    inputs TEXT NOT NULL,
    skipped TEXT,
    PRIMARY KEY (backfill, number)
) WITHOUT ROWID;

CREATE INDEX executions_by_backfill ON executions (labels ->> '$.backfill')
    WHERE labels ->> '$.backfill' IS NOT NULL;
