-- Why a backfill is on hold although no user asked for it.
ALTER TABLE backfills ADD COLUMN problem TEXT;
