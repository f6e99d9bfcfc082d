-- The journal: what happened, in order. `executions` is a summary of `events`, written in the same transaction,
-- so that lists need not read every event.
CREATE TABLE IF NOT EXISTS events (
    execution TEXT NOT NULL,
    number INTEGER NOT NULL,
    time TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (execution, number)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS executions (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    state TEXT NOT NULL,
    inputs TEXT NOT NULL,
    created TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    rows INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS executions_by_flow ON executions (flow, id);

CREATE TABLE IF NOT EXISTS logs (
    execution TEXT NOT NULL,
    time TEXT NOT NULL,
    task TEXT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS logs_by_execution ON logs (execution);

-- What was notified about a flow, and how often the same has been suppressed since.
CREATE TABLE IF NOT EXISTS notices (
    rule TEXT NOT NULL,
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    occasion TEXT NOT NULL,
    told TEXT NOT NULL,
    left_out INTEGER NOT NULL,
    PRIMARY KEY (rule, namespace, flow, occasion)
) WITHOUT ROWID;
