-- What was loaded in each quarter of an hour since 1970, which is the same in every time zone. The ends of all executions of a
-- month are many, and these are at most 2,976. What was loaded stays counted when its execution is deleted.
CREATE TABLE loaded (
    quarter INTEGER PRIMARY KEY,
    rows INTEGER NOT NULL,
    executions INTEGER NOT NULL
);
INSERT INTO loaded SELECT unixepoch(ended) / 900, CAST(min(total(rows), 9e18) AS INTEGER), count(*) FROM executions
    WHERE unixepoch(ended) IS NOT NULL GROUP BY 1;

-- An execution that ends again after a restart counts where it ended last.
CREATE TRIGGER loaded_ended AFTER UPDATE OF ended, rows ON executions
WHEN old.ended IS NOT new.ended OR old.rows IS NOT new.rows
BEGIN
    UPDATE loaded SET rows = rows - old.rows, executions = executions - 1 WHERE quarter = unixepoch(old.ended) / 900;
    INSERT INTO loaded SELECT unixepoch(new.ended) / 900, new.rows, 1 WHERE unixepoch(new.ended) IS NOT NULL
        ON CONFLICT DO UPDATE SET rows = rows + excluded.rows, executions = executions + 1;
END;

-- All that a list of a flow's executions looks at.
DROP INDEX executions_by_flow;
CREATE INDEX executions_by_flow ON executions (flow, id, namespace, state, trigger_id, created, labels);

-- The newest of a state, however many older ones there are.
CREATE INDEX executions_recent ON executions (state, created);
