-- What the first version left in a database: each load and its entry in the ledger in one transaction.
CREATE TABLE jitney_loads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution text NOT NULL, flow text NOT NULL, task text NOT NULL, target text NOT NULL, partition text NOT NULL,
    source text NOT NULL, source_sha256 text NOT NULL, definition_sha256 text NOT NULL, rows_read bigint NOT NULL,
    rows_loaded bigint NOT NULL, rows_rejected bigint NOT NULL, rows_skipped bigint NOT NULL, bytes bigint NOT NULL,
    seconds double precision NOT NULL, loaded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX jitney_loads_by_target ON jitney_loads (target, partition, id DESC);
CREATE TABLE appended (id int, v text);
CREATE TABLE merged (id int PRIMARY KEY, v text);
CREATE TABLE truncated (id int, v text);
CREATE TABLE keyed (unique_row_id text PRIMARY KEY, id int, v text);
CREATE TABLE trips (day date, n int, month text);

BEGIN;
INSERT INTO appended VALUES (1, 'x'), (2, 'y');
INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
    VALUES ('1m8ggwrc6139gftt', 'load', 'appended', 'public.appended', 'a.csv', 'a.csv',
        '3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5', '28c78fb7624f67abda68dbabd9d49da5ffd5ab08f3b47d661f495ef98c6e6108', 2, 2, 0, 0, 13, 0.01);
COMMIT;

BEGIN;
INSERT INTO merged VALUES (1, 'x'), (2, 'y');
INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
    VALUES ('1m8ggwrc6139gftt', 'load', 'merged', 'public.merged', 'a.csv', 'a.csv',
        '3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5', '1839d562125437e0e9657f38e1ae849ca0ded9cb9f193037821444671375f5d4', 2, 2, 0, 0, 13, 0.01);
COMMIT;

BEGIN;
INSERT INTO truncated VALUES (1, 'x'), (2, 'y');
INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
    VALUES ('1m8ggwrc6139gftt', 'load', 'truncated', 'public.truncated', 'a.csv', 'a.csv',
        '3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5', '3999fc2677e03f2fde2be22e602255134fc90bc1f539f660f6f78aa51274eefc', 2, 2, 0, 0, 13, 0.01);
COMMIT;

BEGIN;
INSERT INTO keyed VALUES ('c4ca4238a0b923820dcc509a6f75849b', 1, 'x'), ('c81e728d9d4c2f636f067f89cc14862c', 2, 'y');
INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
    VALUES ('1m8ggwrc6139gftt', 'load', 'keyed', 'public.keyed', 'a.csv', 'a.csv',
        '3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5', '42d3dbfa8e7d7436018c79d73e129cf111014a5cc05f6b6c76fcf77bbeb0eeeb', 2, 2, 0, 0, 13, 0.01);
COMMIT;

BEGIN;
INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
    VALUES ('1m8ggwrey87pdjs4', 'load', 'merged', 'public.merged', 'a.csv', 'a.csv',
        '3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5', '1839d562125437e0e9657f38e1ae849ca0ded9cb9f193037821444671375f5d4', 2, 0, 0, 2, 13, 0.01);
COMMIT;

BEGIN;
INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
    VALUES ('1m8ggwrey87pdjs4', 'load', 'keyed', 'public.keyed', 'a.csv', 'a.csv',
        '3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5', '42d3dbfa8e7d7436018c79d73e129cf111014a5cc05f6b6c76fcf77bbeb0eeeb', 2, 0, 0, 2, 13, 0.01);
COMMIT;

BEGIN;
INSERT INTO trips VALUES ('2020-01-01', 1, '2020-01');
INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
    VALUES ('1m8ggwrh7zpe5get', 'month', 'trips', 'public.trips', '2020-01', '2020-01.csv',
        'fb672e90313fcd51f5bb6d14a1194a1e2a5270397d6514050483a76a066ebfbc', 'aeca654c691063ed45fe02b620a6eddb374536de6396fe1e3693e837c06fb10b', 1, 1, 0, 0, 20, 0.01);
COMMIT;

BEGIN;
INSERT INTO trips VALUES ('2020-02-01', 2, '2020-02');
INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
    VALUES ('1m8ggwrhreg9r2qj', 'month', 'trips', 'public.trips', '2020-02', '2020-02.csv',
        'cf915616d3f733a8fcf51c4b69cb7a1f8c5a4e4b0ec6255026e2288cc3417011', '6946dafad0c66120e6c70ef2060ab3df8602529a99a8e01a3604aa0cfcb0c915', 1, 1, 0, 0, 20, 0.01);
COMMIT;
