-- Which execution started another one, by which of its task runs, and which one it repeats.
ALTER TABLE executions ADD COLUMN parent TEXT;
ALTER TABLE executions ADD COLUMN parent_run TEXT;
ALTER TABLE executions ADD COLUMN original TEXT;

CREATE INDEX executions_by_parent ON executions (parent, parent_run, id) WHERE parent IS NOT NULL;
