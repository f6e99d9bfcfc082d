-- The issues that are open for the longest time without a change.
SELECT repository, number, title, updated_at FROM issues WHERE state = 'open' ORDER BY updated_at LIMIT 50;
