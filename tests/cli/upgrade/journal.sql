PRAGMA user_version = 5;
BEGIN TRANSACTION;
CREATE TABLE backfill_partitions (
    backfill TEXT NOT NULL,
    number INTEGER NOT NULL,
    label TEXT NOT NULL,
    date TEXT NOT NULL,
    inputs TEXT NOT NULL,
    skipped TEXT,
    PRIMARY KEY (backfill, number)
) WITHOUT ROWID;
INSERT INTO "backfill_partitions" VALUES('1m8ggwrh6wxzeqjw',0,'2020-01','2020-01-01T09:00:00.000000Z','{"month":"2020-01","source":"months"}',NULL);
INSERT INTO "backfill_partitions" VALUES('1m8ggwrh6wxzeqjw',1,'2020-02','2020-02-01T09:00:00.000000Z','{"month":"2020-01","source":"months"}',NULL);
INSERT INTO "backfill_partitions" VALUES('1m8ggwrh6wxzeqjw',2,'2020-03','2020-03-01T09:00:00.000000Z','{"month":"2020-01","source":"months"}',NULL);
CREATE TABLE backfills (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    created TEXT NOT NULL,
    since TEXT NOT NULL,
    spec TEXT NOT NULL,
    wish TEXT NOT NULL,
    outcome TEXT,
    ended TEXT
, problem TEXT) WITHOUT ROWID;
INSERT INTO "backfills" VALUES('1m8ggwrh6wxzeqjw','upgrade','month','2026-11-28T07:28:40.486876Z','2026-11-28T07:28:40.486876Z','{"file":"{folder}/month.yaml","trigger":null,"every":null,"from":"2020-01","to":"2020-03","inputs":[],"only":"all","labels":{},"parallel":1,"descending":false,"stop_on_failure":false,"by_server":false}','RUN','FAILED','2026-11-28T07:28:40.518086Z',NULL);
CREATE TABLE events (
    execution TEXT NOT NULL,
    number INTEGER NOT NULL,
    time TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (execution, number)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',0,'2026-11-28T07:28:40.326552Z','{"kind":"created","flow":"load","namespace":"upgrade","file":"{folder}/load.yaml","text":"id: load\nnamespace: upgrade\ntasks:\n  - {id: appended, type: postgres.load, from: a.csv, table: appended, mode: append}\n  - {id: merged, type: postgres.load, from: a.csv, table: merged, mode: {merge: {key: [id]}}}\n  - {id: truncated, type: postgres.load, from: a.csv, table: truncated, mode: truncate}\n  - {id: keyed, type: postgres.load, from: a.csv, table: keyed, transform: {row_id: {columns: [id], name: unique_row_id}}, mode: {merge: {key: [unique_row_id]}}}\n  - {id: keep, type: kv.set, key: last, value: \"{{ outputs.appended.rows_loaded }}\"}\n","sha256":"5c0257ab5035cb3a8494fef55ca045acef56336153b075a0185ef7aaf7e173ee","inputs":{},"labels":{},"trigger_date":"2026-11-28T07:28:40.326552701Z"}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',1,'2026-11-28T07:28:40.327660Z','{"kind":"started"}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',2,'2026-11-28T07:28:40.327984Z','{"kind":"task_started","run":"appended","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',3,'2026-11-28T07:28:40.348234Z','{"kind":"task_succeeded","run":"appended","outputs":{"table":"appended","server":"postgres://{home}/postgres/run:34801/jitney","source":"a.csv","source_sha256":"3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5","rows_read":2,"rows_loaded":2,"rows_rejected":0,"rows_skipped":0,"rejected_uri":null,"already_loaded":false,"bytes":13,"seconds":0.009898367,"rowCount":2},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',4,'2026-11-28T07:28:40.348466Z','{"kind":"task_started","run":"merged","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',5,'2026-11-28T07:28:40.362561Z','{"kind":"task_succeeded","run":"merged","outputs":{"table":"merged","server":"postgres://{home}/postgres/run:34801/jitney","source":"a.csv","source_sha256":"3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5","rows_read":2,"rows_loaded":2,"rows_rejected":0,"rows_skipped":0,"rejected_uri":null,"already_loaded":false,"bytes":13,"seconds":0.006878088,"rowCount":2},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',6,'2026-11-28T07:28:40.362730Z','{"kind":"task_started","run":"truncated","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',7,'2026-11-28T07:28:40.377740Z','{"kind":"task_succeeded","run":"truncated","outputs":{"table":"truncated","server":"postgres://{home}/postgres/run:34801/jitney","source":"a.csv","source_sha256":"3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5","rows_read":2,"rows_loaded":2,"rows_rejected":0,"rows_skipped":0,"rejected_uri":null,"already_loaded":false,"bytes":13,"seconds":0.005121692,"rowCount":2},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',8,'2026-11-28T07:28:40.377945Z','{"kind":"task_started","run":"keyed","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',9,'2026-11-28T07:28:40.391061Z','{"kind":"task_succeeded","run":"keyed","outputs":{"table":"keyed","server":"postgres://{home}/postgres/run:34801/jitney","source":"a.csv","source_sha256":"3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5","rows_read":2,"rows_loaded":2,"rows_rejected":0,"rows_skipped":0,"rejected_uri":null,"already_loaded":false,"bytes":13,"seconds":0.006458826,"rowCount":2},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',10,'2026-11-28T07:28:40.391311Z','{"kind":"task_started","run":"keep","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',11,'2026-11-28T07:28:40.394667Z','{"kind":"task_succeeded","run":"keep","outputs":{},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrc6139gftt',12,'2026-11-28T07:28:40.394843Z','{"kind":"ended","state":"SUCCESS"}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',0,'2026-11-28T07:28:40.414799Z','{"kind":"created","flow":"load","namespace":"upgrade","file":"{folder}/load.yaml","text":"id: load\nnamespace: upgrade\ntasks:\n  - {id: appended, type: postgres.load, from: a.csv, table: appended, mode: append}\n  - {id: merged, type: postgres.load, from: a.csv, table: merged, mode: {merge: {key: [id]}}}\n  - {id: truncated, type: postgres.load, from: a.csv, table: truncated, mode: truncate}\n  - {id: keyed, type: postgres.load, from: a.csv, table: keyed, transform: {row_id: {columns: [id], name: unique_row_id}}, mode: {merge: {key: [unique_row_id]}}}\n  - {id: keep, type: kv.set, key: last, value: \"{{ outputs.appended.rows_loaded }}\"}\n","sha256":"5c0257ab5035cb3a8494fef55ca045acef56336153b075a0185ef7aaf7e173ee","inputs":{},"labels":{},"trigger_date":"2026-11-28T07:28:40.414799684Z"}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',1,'2026-11-28T07:28:40.415833Z','{"kind":"started"}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',2,'2026-11-28T07:28:40.416156Z','{"kind":"task_started","run":"appended","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',3,'2026-11-28T07:28:40.428276Z','{"kind":"task_succeeded","run":"appended","outputs":{"table":"appended","server":"postgres://{home}/postgres/run:34801/jitney","source":"a.csv","source_sha256":"3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5","rows_read":2,"rows_loaded":0,"rows_rejected":0,"rows_skipped":2,"rejected_uri":null,"already_loaded":true,"bytes":13,"seconds":0.0,"rowCount":0},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',4,'2026-11-28T07:28:40.428450Z','{"kind":"task_started","run":"merged","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',5,'2026-11-28T07:28:40.441732Z','{"kind":"task_succeeded","run":"merged","outputs":{"table":"merged","server":"postgres://{home}/postgres/run:34801/jitney","source":"a.csv","source_sha256":"3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5","rows_read":2,"rows_loaded":0,"rows_rejected":0,"rows_skipped":2,"rejected_uri":null,"already_loaded":false,"bytes":13,"seconds":0.006739632,"rowCount":0},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',6,'2026-11-28T07:28:40.441887Z','{"kind":"task_started","run":"truncated","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',7,'2026-11-28T07:28:40.451070Z','{"kind":"task_succeeded","run":"truncated","outputs":{"table":"truncated","server":"postgres://{home}/postgres/run:34801/jitney","source":"a.csv","source_sha256":"3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5","rows_read":2,"rows_loaded":0,"rows_rejected":0,"rows_skipped":2,"rejected_uri":null,"already_loaded":true,"bytes":13,"seconds":0.0,"rowCount":0},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',8,'2026-11-28T07:28:40.451240Z','{"kind":"task_started","run":"keyed","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',9,'2026-11-28T07:28:40.464352Z','{"kind":"task_succeeded","run":"keyed","outputs":{"table":"keyed","server":"postgres://{home}/postgres/run:34801/jitney","source":"a.csv","source_sha256":"3f23e65da769b361ebb9ee59026463fcc1b119b5d787b53599f4f92d4b5fc1e5","rows_read":2,"rows_loaded":0,"rows_rejected":0,"rows_skipped":2,"rejected_uri":null,"already_loaded":false,"bytes":13,"seconds":0.005666151,"rowCount":0},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',10,'2026-11-28T07:28:40.464602Z','{"kind":"task_started","run":"keep","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',11,'2026-11-28T07:28:40.466697Z','{"kind":"task_succeeded","run":"keep","outputs":{},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrey87pdjs4',12,'2026-11-28T07:28:40.466828Z','{"kind":"ended","state":"SUCCESS"}');
INSERT INTO "events" VALUES('1m8ggwrh7zpe5get',0,'2026-11-28T07:28:40.488036Z','{"kind":"created","flow":"month","namespace":"upgrade","file":"{folder}/month.yaml","text":"id: month\nnamespace: upgrade\ninputs: [{id: month, type: STRING, defaults: \"2020-01\"}, {id: source, type: STRING, defaults: months}]\ntriggers: [{id: monthly, type: schedule, cron: \"0 9 1 * *\", timezone: UTC}]\ntasks:\n  - {id: start, type: log, message: \"loading {{ trigger.date | date(''yyyy-MM'') }}\"}\n  - {id: trips, type: postgres.load, from: \"months/{{ trigger.date | date(''yyyy-MM'') }}.csv\", table: trips, mode: {replace_partition: {month: \"{{ trigger.date | date(''yyyy-MM'') }}\"}}}\n","sha256":"b6312f5c74f61b7d30ae6af5d662f3020739d44bd124d211d2b4dbad4d362c59","inputs":{"month":"2020-01","source":"months"},"labels":{"backfill":"1m8ggwrh6wxzeqjw","partition":"2020-01"},"trigger_date":"2020-01-01T09:00:00Z","trigger":{"id":"backfill","kind":"backfill","facts":{"date":"2020-01-01T09:00:00.000Z","next":"2020-02-01T09:00:00.000Z","previous":"2019-12-01T09:00:00.000Z","id":"monthly"}}}');
INSERT INTO "events" VALUES('1m8ggwrh7zpe5get',1,'2026-11-28T07:28:40.488036Z','{"kind":"started"}');
INSERT INTO "events" VALUES('1m8ggwrh7zpe5get',2,'2026-11-28T07:28:40.488949Z','{"kind":"task_started","run":"start","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrh7zpe5get',3,'2026-11-28T07:28:40.489379Z','{"kind":"task_succeeded","run":"start","outputs":{},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrh7zpe5get',4,'2026-11-28T07:28:40.489563Z','{"kind":"task_started","run":"trips","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrh7zpe5get',5,'2026-11-28T07:28:40.502300Z','{"kind":"task_succeeded","run":"trips","outputs":{"table":"trips","server":"postgres://{home}/postgres/run:34801/jitney","source":"2020-01.csv","source_sha256":"fb672e90313fcd51f5bb6d14a1194a1e2a5270397d6514050483a76a066ebfbc","rows_read":1,"rows_loaded":1,"rows_rejected":0,"rows_skipped":0,"rejected_uri":null,"already_loaded":false,"bytes":20,"seconds":0.005974267,"rowCount":1},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrh7zpe5get',6,'2026-11-28T07:28:40.502454Z','{"kind":"ended","state":"SUCCESS"}');
INSERT INTO "events" VALUES('1m8ggwrhreg9r2qj',0,'2026-11-28T07:28:40.504589Z','{"kind":"created","flow":"month","namespace":"upgrade","file":"{folder}/month.yaml","text":"id: month\nnamespace: upgrade\ninputs: [{id: month, type: STRING, defaults: \"2020-01\"}, {id: source, type: STRING, defaults: months}]\ntriggers: [{id: monthly, type: schedule, cron: \"0 9 1 * *\", timezone: UTC}]\ntasks:\n  - {id: start, type: log, message: \"loading {{ trigger.date | date(''yyyy-MM'') }}\"}\n  - {id: trips, type: postgres.load, from: \"months/{{ trigger.date | date(''yyyy-MM'') }}.csv\", table: trips, mode: {replace_partition: {month: \"{{ trigger.date | date(''yyyy-MM'') }}\"}}}\n","sha256":"b6312f5c74f61b7d30ae6af5d662f3020739d44bd124d211d2b4dbad4d362c59","inputs":{"month":"2020-01","source":"months"},"labels":{"backfill":"1m8ggwrh6wxzeqjw","partition":"2020-02"},"trigger_date":"2020-02-01T09:00:00Z","trigger":{"id":"backfill","kind":"backfill","facts":{"date":"2020-02-01T09:00:00.000Z","next":"2020-03-01T09:00:00.000Z","previous":"2020-01-01T09:00:00.000Z","id":"monthly"}}}');
INSERT INTO "events" VALUES('1m8ggwrhreg9r2qj',1,'2026-11-28T07:28:40.504589Z','{"kind":"started"}');
INSERT INTO "events" VALUES('1m8ggwrhreg9r2qj',2,'2026-11-28T07:28:40.505022Z','{"kind":"task_started","run":"start","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrhreg9r2qj',3,'2026-11-28T07:28:40.505231Z','{"kind":"task_succeeded","run":"start","outputs":{},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrhreg9r2qj',4,'2026-11-28T07:28:40.505359Z','{"kind":"task_started","run":"trips","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrhreg9r2qj',5,'2026-11-28T07:28:40.515388Z','{"kind":"task_succeeded","run":"trips","outputs":{"table":"trips","server":"postgres://{home}/postgres/run:34801/jitney","source":"2020-02.csv","source_sha256":"cf915616d3f733a8fcf51c4b69cb7a1f8c5a4e4b0ec6255026e2288cc3417011","rows_read":1,"rows_loaded":1,"rows_rejected":0,"rows_skipped":0,"rejected_uri":null,"already_loaded":false,"bytes":20,"seconds":0.004401178,"rowCount":1},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrhreg9r2qj',6,'2026-11-28T07:28:40.515529Z','{"kind":"ended","state":"SUCCESS"}');
INSERT INTO "events" VALUES('1m8ggwrj48cw3q69',0,'2026-11-28T07:28:40.516473Z','{"kind":"created","flow":"month","namespace":"upgrade","file":"{folder}/month.yaml","text":"id: month\nnamespace: upgrade\ninputs: [{id: month, type: STRING, defaults: \"2020-01\"}, {id: source, type: STRING, defaults: months}]\ntriggers: [{id: monthly, type: schedule, cron: \"0 9 1 * *\", timezone: UTC}]\ntasks:\n  - {id: start, type: log, message: \"loading {{ trigger.date | date(''yyyy-MM'') }}\"}\n  - {id: trips, type: postgres.load, from: \"months/{{ trigger.date | date(''yyyy-MM'') }}.csv\", table: trips, mode: {replace_partition: {month: \"{{ trigger.date | date(''yyyy-MM'') }}\"}}}\n","sha256":"b6312f5c74f61b7d30ae6af5d662f3020739d44bd124d211d2b4dbad4d362c59","inputs":{"month":"2020-01","source":"months"},"labels":{"backfill":"1m8ggwrh6wxzeqjw","partition":"2020-03"},"trigger_date":"2020-03-01T09:00:00Z","trigger":{"id":"backfill","kind":"backfill","facts":{"date":"2020-03-01T09:00:00.000Z","next":"2020-04-01T09:00:00.000Z","previous":"2020-02-01T09:00:00.000Z","id":"monthly"}}}');
INSERT INTO "events" VALUES('1m8ggwrj48cw3q69',1,'2026-11-28T07:28:40.516473Z','{"kind":"started"}');
INSERT INTO "events" VALUES('1m8ggwrj48cw3q69',2,'2026-11-28T07:28:40.516853Z','{"kind":"task_started","run":"start","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrj48cw3q69',3,'2026-11-28T07:28:40.517044Z','{"kind":"task_succeeded","run":"start","outputs":{},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrj48cw3q69',4,'2026-11-28T07:28:40.517176Z','{"kind":"task_started","run":"trips","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrj48cw3q69',5,'2026-11-28T07:28:40.517489Z','{"kind":"task_failed","run":"trips","error":{"class":"permanent","message":"there is no file `months/2020-03.csv`","help":"looked at {folder}/months/2020-03.csv; relative paths start at the flow''s own folder","code":"no file"},"retry_at":null}');
INSERT INTO "events" VALUES('1m8ggwrj48cw3q69',6,'2026-11-28T07:28:40.517533Z','{"kind":"ended","state":"FAILED"}');
INSERT INTO "events" VALUES('1m8ggwrjqdy7m14f',0,'2026-11-28T07:28:40.535065Z','{"kind":"created","flow":"fails","namespace":"upgrade","file":"{folder}/fails.yaml","text":"id: fails\nnamespace: upgrade\ntasks:\n  - {id: before, type: log, message: once}\n  - {id: check, type: shell.commands, commands: [\"test -e ready\"]}\n  - {id: after, type: log, message: \"after {{ outputs.check.exitCode }}\"}\n","sha256":"ea0f2f4d4e18b7b0c3ef8006bbb2c28a6a6282494713191649db19069facf0c1","inputs":{},"labels":{},"trigger_date":"2026-11-28T07:28:40.535065064Z"}');
INSERT INTO "events" VALUES('1m8ggwrjqdy7m14f',1,'2026-11-28T07:28:40.536029Z','{"kind":"started"}');
INSERT INTO "events" VALUES('1m8ggwrjqdy7m14f',2,'2026-11-28T07:28:40.536467Z','{"kind":"task_started","run":"before","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrjqdy7m14f',3,'2026-11-28T07:28:40.537673Z','{"kind":"task_succeeded","run":"before","outputs":{},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8ggwrjqdy7m14f',4,'2026-11-28T07:28:40.537838Z','{"kind":"task_started","run":"check","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrjqdy7m14f',5,'2026-11-28T07:28:40.543060Z','{"kind":"task_failed","run":"check","error":{"class":"transient","message":"the script ended with exit code 1","help":null},"retry_at":null}');
INSERT INTO "events" VALUES('1m8ggwrjqdy7m14f',6,'2026-11-28T07:28:40.543162Z','{"kind":"ended","state":"FAILED"}');
INSERT INTO "events" VALUES('1m8ggwrkd6zbaj71',0,'2026-11-28T07:28:40.557584Z','{"kind":"created","flow":"waits","namespace":"upgrade","file":"{folder}/waits.yaml","text":"id: waits\nnamespace: upgrade\ntasks: [{id: wait, type: pause, onResume: [{id: by, type: STRING}]}, {id: end, type: log, message: \"approved by {{ outputs.wait.onResume.by }}\"}]\n","sha256":"13a53d87b1ec56b9ae8f91d8da888de1bf49ce09f0323be5d078261c18446613","inputs":{},"labels":{},"trigger_date":"2026-11-28T07:28:40.557584410Z"}');
INSERT INTO "events" VALUES('1m8ggwrkd6zbaj71',1,'2026-11-28T07:28:40.558450Z','{"kind":"started"}');
INSERT INTO "events" VALUES('1m8ggwrkd6zbaj71',2,'2026-11-28T07:28:40.558664Z','{"kind":"task_started","run":"wait","attempt":1}');
INSERT INTO "events" VALUES('1m8ggwrkd6zbaj71',3,'2026-11-28T07:28:40.559139Z','{"kind":"task_paused","run":"wait","until":null,"behavior":"RESUME"}');
INSERT INTO "events" VALUES('1m8ggwrkd6zbaj71',4,'2026-11-28T07:28:40.559231Z','{"kind":"paused"}');
INSERT INTO "events" VALUES('1m8gh3e96r1ka4d1',0,'2026-11-28T07:32:19.366421Z','{"kind":"created","flow":"killed","namespace":"upgrade","file":"{folder}/killed.yaml","text":"id: killed\nnamespace: upgrade\ntasks: [{id: first, type: log, message: first}, {id: slow, type: sleep, duration: PT1S}]\n","sha256":"19b6ad0c3730c31cc1010d9a65d0ab870ff95020eb68d0f8b614ff88bc45dc60","inputs":{},"labels":{},"trigger_date":"2026-11-28T07:32:19.366421349Z"}');
INSERT INTO "events" VALUES('1m8gh3e96r1ka4d1',1,'2026-11-28T07:32:19.374232Z','{"kind":"started"}');
INSERT INTO "events" VALUES('1m8gh3e96r1ka4d1',2,'2026-11-28T07:32:19.374668Z','{"kind":"task_started","run":"first","attempt":1}');
INSERT INTO "events" VALUES('1m8gh3e96r1ka4d1',3,'2026-11-28T07:32:19.375496Z','{"kind":"task_succeeded","run":"first","outputs":{},"labels":{},"warning":false}');
INSERT INTO "events" VALUES('1m8gh3e96r1ka4d1',4,'2026-11-28T07:32:19.375696Z','{"kind":"task_started","run":"slow","attempt":1}');
CREATE TABLE executions (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    state TEXT NOT NULL,
    inputs TEXT NOT NULL,
    created TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    rows INTEGER NOT NULL DEFAULT 0
, labels TEXT NOT NULL DEFAULT '{}', trigger_id TEXT, trigger_date TEXT, queue TEXT, queued INTEGER, slots INTEGER, parent TEXT, parent_run TEXT, original TEXT) WITHOUT ROWID;
INSERT INTO "executions" VALUES('1m8ggwrc6139gftt','upgrade','load','SUCCESS','{}','2026-11-28T07:28:40.326552Z','2026-11-28T07:28:40.327660Z','2026-11-28T07:28:40.394843Z',8,'{}',NULL,'2026-11-28T07:28:40.326552Z',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES('1m8ggwrey87pdjs4','upgrade','load','SUCCESS','{}','2026-11-28T07:28:40.414799Z','2026-11-28T07:28:40.415833Z','2026-11-28T07:28:40.466828Z',0,'{}',NULL,'2026-11-28T07:28:40.414799Z',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES('1m8ggwrh7zpe5get','upgrade','month','SUCCESS','{"month":"2020-01","source":"months"}','2026-11-28T07:28:40.488036Z','2026-11-28T07:28:40.488036Z','2026-11-28T07:28:40.502454Z',1,'{"backfill":"1m8ggwrh6wxzeqjw","partition":"2020-01"}','backfill','2020-01-01T09:00:00.000000Z',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES('1m8ggwrhreg9r2qj','upgrade','month','SUCCESS','{"month":"2020-01","source":"months"}','2026-11-28T07:28:40.504589Z','2026-11-28T07:28:40.504589Z','2026-11-28T07:28:40.515529Z',1,'{"backfill":"1m8ggwrh6wxzeqjw","partition":"2020-02"}','backfill','2020-02-01T09:00:00.000000Z',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES('1m8ggwrj48cw3q69','upgrade','month','FAILED','{"month":"2020-01","source":"months"}','2026-11-28T07:28:40.516473Z','2026-11-28T07:28:40.516473Z','2026-11-28T07:28:40.517533Z',0,'{"backfill":"1m8ggwrh6wxzeqjw","partition":"2020-03"}','backfill','2020-03-01T09:00:00.000000Z',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES('1m8ggwrjqdy7m14f','upgrade','fails','FAILED','{}','2026-11-28T07:28:40.535065Z','2026-11-28T07:28:40.536029Z','2026-11-28T07:28:40.543162Z',0,'{}',NULL,'2026-11-28T07:28:40.535065Z',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES('1m8ggwrkd6zbaj71','upgrade','waits','PAUSED','{}','2026-11-28T07:28:40.557584Z','2026-11-28T07:28:40.558450Z',NULL,0,'{}',NULL,'2026-11-28T07:28:40.557584Z',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES('1m8gh3e96r1ka4d1','upgrade','killed','RUNNING','{}','2026-11-28T07:32:19.366421Z','2026-11-28T07:32:19.374232Z',NULL,0,'{}',NULL,'2026-11-28T07:32:19.366421Z',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE logs (
    execution TEXT NOT NULL,
    time TEXT NOT NULL,
    task TEXT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL
);
INSERT INTO "logs" VALUES('1m8ggwrc6139gftt','2026-11-28T07:28:40.336738Z','appended','INFO','using PostgreSQL 15.18, managed by jitney (127.0.0.1:34801/jitney)');
INSERT INTO "logs" VALUES('1m8ggwrey87pdjs4','2026-11-28T07:28:40.422200Z','appended','INFO','using PostgreSQL 15.18, managed by jitney (127.0.0.1:34801/jitney)');
INSERT INTO "logs" VALUES('1m8ggwrey87pdjs4','2026-11-28T07:28:40.426566Z','appended','INFO','execution 1m8ggwrc6139gftt has loaded this very file already; nothing to do');
INSERT INTO "logs" VALUES('1m8ggwrey87pdjs4','2026-11-28T07:28:40.450638Z','truncated','INFO','execution 1m8ggwrc6139gftt has loaded this very file already; nothing to do');
INSERT INTO "logs" VALUES('1m8ggwrh7zpe5get','2026-11-28T07:28:40.489243Z','start','INFO','loading 2020-01');
INSERT INTO "logs" VALUES('1m8ggwrh7zpe5get','2026-11-28T07:28:40.495258Z','trips','INFO','using PostgreSQL 15.18, managed by jitney (127.0.0.1:34801/jitney)');
INSERT INTO "logs" VALUES('1m8ggwrhreg9r2qj','2026-11-28T07:28:40.505166Z','start','INFO','loading 2020-02');
INSERT INTO "logs" VALUES('1m8ggwrhreg9r2qj','2026-11-28T07:28:40.510052Z','trips','INFO','using PostgreSQL 15.18, managed by jitney (127.0.0.1:34801/jitney)');
INSERT INTO "logs" VALUES('1m8ggwrj48cw3q69','2026-11-28T07:28:40.516986Z','start','INFO','loading 2020-03');
INSERT INTO "logs" VALUES('1m8ggwrj48cw3q69','2026-11-28T07:28:40.517440Z','trips','ERROR','there is no file `months/2020-03.csv`');
INSERT INTO "logs" VALUES('1m8ggwrjqdy7m14f','2026-11-28T07:28:40.537173Z','before','INFO','once');
INSERT INTO "logs" VALUES('1m8ggwrjqdy7m14f','2026-11-28T07:28:40.542929Z','check','ERROR','the script ended with exit code 1');
INSERT INTO "logs" VALUES('1m8gh3e96r1ka4d1','2026-11-28T07:32:19.375132Z','first','INFO','first');
CREATE TABLE notices (
    rule TEXT NOT NULL,
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    occasion TEXT NOT NULL,
    told TEXT NOT NULL,
    left_out INTEGER NOT NULL,
    PRIMARY KEY (rule, namespace, flow, occasion)
) WITHOUT ROWID;
CREATE TABLE revisions (
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    number INTEGER NOT NULL,
    time TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    file TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (namespace, flow, number)
) WITHOUT ROWID;
CREATE TABLE ticks (
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    trigger TEXT NOT NULL,
    date TEXT NOT NULL,
    execution TEXT,
    PRIMARY KEY (namespace, flow, trigger, date)
) WITHOUT ROWID;
CREATE TABLE triggers (
    namespace TEXT NOT NULL,
    flow TEXT NOT NULL,
    trigger TEXT NOT NULL,
    last TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, flow, trigger)
) WITHOUT ROWID;
CREATE INDEX executions_by_flow ON executions (flow, id);
CREATE INDEX logs_by_execution ON logs (execution);
CREATE INDEX executions_queue ON executions (queue, queued, namespace, flow, slots) WHERE queued IS NOT NULL;
CREATE INDEX executions_open ON executions (namespace, flow, state) WHERE ended IS NULL;
CREATE INDEX executions_ended ON executions (ended) WHERE ended IS NOT NULL;
CREATE INDEX executions_by_state ON executions (state, id);
CREATE INDEX executions_by_parent ON executions (parent, parent_run, id) WHERE parent IS NOT NULL;
CREATE INDEX executions_by_backfill ON executions (labels ->> '$.backfill')
    WHERE labels ->> '$.backfill' IS NOT NULL;
CREATE INDEX executions_searched ON executions (id, namespace, flow, state, trigger_id, created, labels);
COMMIT;
