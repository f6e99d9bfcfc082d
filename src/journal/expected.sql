-- Executions whose number of rows looks unusual and is not, and who says so.
CREATE TABLE expected (
    execution TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    time TEXT NOT NULL
) WITHOUT ROWID;
