-- Why a backfill rests, where nobody wanted it to.
ALTER TABLE backfills ADD COLUMN problem TEXT;
