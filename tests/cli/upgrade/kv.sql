PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE kv (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    description TEXT,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    expires TEXT,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
INSERT INTO "kv" VALUES('upgrade','last','NUMBER','0',NULL,'2026-11-28T07:28:40.393640Z','2026-11-28T07:28:40.465369Z',NULL);
COMMIT;
