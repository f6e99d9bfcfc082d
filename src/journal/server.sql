-- What a server asks of the journal.

-- `queued` is the place in the queue, and `queue` names the process whose queue it is; both only while it waits.
-- `slots` is the limit of its flow when it was submitted.
ALTER TABLE executions ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE executions ADD COLUMN trigger_id TEXT;
ALTER TABLE executions ADD COLUMN trigger_date TEXT;
ALTER TABLE executions ADD COLUMN queue TEXT;
ALTER TABLE executions ADD COLUMN queued INTEGER;
ALTER TABLE executions ADD COLUMN slots INTEGER;

CREATE INDEX executions_queue ON executions (queue, queued, namespace, flow, slots) WHERE queued IS NOT NULL;
CREATE INDEX executions_open ON executions (namespace, flow, state) WHERE ended IS NULL;
CREATE INDEX executions_ended ON executions (ended) WHERE ended IS NOT NULL;
CREATE INDEX executions_by_state ON executions (state, id);

-- What a trigger has started an execution for: a moment, a file, another execution. The key sees to it that each does
-- so once at most; the row is written in the same transaction as the execution.
CREATE TABLE ticks (
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    trigger TEXT NOT NULL,
    date TEXT NOT NULL,
    execution TEXT,
    PRIMARY KEY (namespace, flow, trigger, date)
) WITHOUT ROWID;

-- How far a trigger has come: the latest moment that is dealt with, and whether it is switched off.
CREATE TABLE triggers (
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    trigger TEXT NOT NULL,
    last TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, flow, trigger)
) WITHOUT ROWID;

-- The texts that a flow has had, passwords blanked.
CREATE TABLE revisions (
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    number INTEGER NOT NULL,
    time TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    file TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (namespace, flow, number)
) WITHOUT ROWID;
