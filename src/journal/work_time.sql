-- How many milliseconds processes have worked on an execution.
ALTER TABLE executions ADD COLUMN worked INTEGER;
