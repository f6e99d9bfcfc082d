-- What flows keep between executions, by namespace and key. Values are JSON.
CREATE TABLE IF NOT EXISTS kv (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    description TEXT,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    expires TEXT,
    -- The pieces of the value that are secret, a JSON list.
    secrets TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
