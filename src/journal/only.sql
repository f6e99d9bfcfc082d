-- The one task that an execution runs; none if it runs its whole flow.
ALTER TABLE executions ADD COLUMN only_task TEXT;
