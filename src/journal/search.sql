-- All that a search looks at, in the order of lists: a search that no other index answers reads through this one, and not
-- through the inputs of everything.
CREATE INDEX executions_searched ON executions (id, namespace, flow, state, trigger_id, created, labels);
