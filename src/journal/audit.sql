-- Who has signed in on the server's login page, by the digests of their cookies. `login` is a digest of the login that was used.
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY,
    user TEXT NOT NULL,
    login BLOB NOT NULL,
    created TEXT NOT NULL,
    used TEXT NOT NULL
) WITHOUT ROWID;

-- Who has asked the server to change something, and whether it did: `status` is that of the response.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    user TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    status INTEGER NOT NULL
);

CREATE INDEX audit_time ON audit (time);
CREATE INDEX audit_user ON audit (user, number);
