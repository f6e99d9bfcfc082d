-- The ends of executions in the order in which they were written: clocks may be set back, and this order is not.
CREATE TABLE ends (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    execution TEXT NOT NULL UNIQUE
);
INSERT INTO ends (execution) SELECT id FROM executions WHERE ended IS NOT NULL ORDER BY ended, id;

-- Up to which end the server has looked at them.
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO cursors SELECT 'ends', (SELECT count(*) FROM executions WHERE ended < last)
    FROM triggers WHERE namespace = '' AND flow = '' AND trigger = '(ended)';
DELETE FROM triggers WHERE namespace = '' AND flow = '' AND trigger = '(ended)';

-- The latest end that a trigger has dealt with.
ALTER TABLE triggers ADD COLUMN last_end INTEGER NOT NULL DEFAULT 0;
UPDATE triggers SET last_end = coalesce((
    SELECT ends.number FROM executions JOIN ends ON ends.execution = executions.id
    WHERE executions.ended <= triggers.last ORDER BY executions.ended DESC, executions.id DESC LIMIT 1
), 0);

-- The newest execution when a backfill was retried: what failed up to this one runs again.
ALTER TABLE backfills ADD COLUMN since_id TEXT;
UPDATE backfills SET since_id = (SELECT max(id) FROM executions WHERE executions.created < backfills.since);
