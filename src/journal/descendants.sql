-- How many executions one has started, directly and through others. It is counted in the first of them, which nobody started.
ALTER TABLE executions ADD COLUMN descendants INTEGER NOT NULL DEFAULT 0;

WITH RECURSIVE tree (root, id) AS (
    SELECT root.id, child.id FROM executions AS root JOIN executions AS child ON child.parent = root.id
    WHERE NOT EXISTS (SELECT 1 FROM executions WHERE id = root.parent)
    UNION ALL
    SELECT tree.root, executions.id FROM tree JOIN executions ON executions.parent = tree.id
)
UPDATE executions SET descendants = counted.number
FROM (SELECT root, count(*) AS number FROM tree GROUP BY root) AS counted WHERE executions.id = counted.root;
