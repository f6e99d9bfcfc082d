//! The session of a load: the settings of its database, its user and the environment, and the rights that it needs.

use std::sync::Arc;

use jitney::config::{CliOverrides, Settings};
use jitney::task::TaskContext;

use crate::load::{Place, assert_says, counts, many_rows, postgres, run};

/// What the server prints while it stores a row.
const PRINTING: &str = "CREATE DOMAIN shown_date AS date CHECK (value::text ~ '^[0-9/.]{10}$');
    CREATE TABLE @ (d date CHECK (d::text ~ '^[0-9/.]{10}$'), e shown_date, by_trigger text DEFAULT '',
        by_default text DEFAULT concat_ws(' ', (date '2020-02-01')::text, (timestamptz '2020-02-01 00:00Z')::text,
            (interval '36 hours')::text, (1::float8 / 3)::text, ('\\x01'::bytea)::text, current_setting('search_path')));
    CREATE FUNCTION @_f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.by_trigger = new.d::text; RETURN new; END';
    CREATE TRIGGER f BEFORE INSERT ON @ FOR EACH ROW EXECUTE FUNCTION @_f();";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_triggers_and_checks_print_values_as_with_copy() {
    for (index, style) in ["SQL, DMY", "German", "SQL, MDY"].iter().enumerate() {
        let name = format!("settings_{index}");
        let place = Place::new(&name).await;
        let settings = [
            ("DateStyle", *style),
            ("TimeZone", "Europe/Berlin"),
            ("IntervalStyle", "iso_8601"),
            ("extra_float_digits", "-3"),
            ("bytea_output", "escape"),
        ];
        for (setting, value) in settings {
            place.run(&format!("ALTER DATABASE load_{name} SET {setting} = '{value}'")).await;
        }
        place.run(&format!("ALTER DATABASE load_{name} SET search_path = public, pg_temp")).await;
        let place = Place { client: postgres::client(&place.url).await, ..place };
        let domain = PRINTING.split_once(';').unwrap();
        place.run(&format!("{}; {}", domain.0, domain.1.replace('@', "t"))).await;
        place.run(&domain.1.replace('@', "copied")).await;
        place.run("ALTER TABLE t ADD k text; COMMENT ON TABLE t IS 'the target'").await;
        place.run("INSERT INTO copied (d, e) VALUES ('2020-02-01', '2020-12-31'), ('1999-11-30', NULL)").await;
        place.file("a.csv", "d,e\n2020-02-01,2020-12-31\n1999-11-30,\n");
        let yaml = "{from: a.csv, table: t, transform: {row_id: {columns: [d], name: k}}}";
        assert_eq!(counts(&place.load(yaml).await.unwrap()), [2, 2, 0, 0], "{style}");
        let columns = "d, e, by_trigger, by_default";
        let copied = place.rows(&format!("SELECT {columns} FROM copied")).await;
        assert_eq!(place.rows(&format!("SELECT {columns} FROM t")).await, copied, "{style}");
        assert_eq!(place.rows("SELECT count(*) FROM t WHERE k = md5(coalesce(d::text, ''))").await, "2", "{style}");
        let rows =
            place.run_in("e2", 1, "postgres.query", "{sql: SELECT d FROM t ORDER BY d, fetch: FETCH_ONE}").await.0;
        assert_eq!(rows.unwrap()["row"]["d"], "1999-11-30", "{style}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_of_libpq_set_the_session() {
    let place = Place::with("settings_variables", "CREATE TABLE t (at timestamptz, d date)").await;
    place.file("a.csv", "at,d\n2020-07-01 12:00,02/01/2020\n");
    let (context, lines) = postgres::context(place.path(), &place.url);
    let variables = [
        ("PGTZ", "America/New_York"),
        ("PGDATESTYLE", "SQL, DMY"),
        ("PGOPTIONS", "-c lock_timeout=77s"),
        ("PGSSLKEY", "/k"),
    ];
    let environment = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let overrides = CliOverrides { home: Some(place.path().to_owned()), postgres: Some(place.url.clone()) };
    let settings = Arc::new(Settings::from_environment(overrides, environment).unwrap());
    place.run("ALTER TABLE t ADD s text DEFAULT current_setting('lock_timeout')").await;
    run("{from: a.csv, table: t}", TaskContext { settings, ..context }).await.unwrap();
    assert_eq!(place.t().await, "2020-07-01 16:00:00+00 2020-01-02 77s");
    let said: Vec<String> = lines.lock().unwrap().iter().map(|(_, line)| line.clone()).collect();
    assert_says(&said.join("\n"), &["environment variables that have no effect here: PGSSLKEY"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_ledger_needs_is_said_before_anything_changes() {
    let role = "load_settings_role";
    let made = format!(
        "DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         CREATE TABLE t (id int CHECK (id > 0)); GRANT ALL ON t TO {role}; REVOKE CREATE ON SCHEMA public FROM public;
         REVOKE TEMPORARY ON DATABASE load_settings_rights FROM public"
    );
    let place = Place::with("settings_rights", &made).await;
    place.file("a.csv", "id\n1\n-1\n");
    let theirs = place.of_user(role);
    let yaml = "{from: a.csv, table: public.t, on_bad_row: {reject: {}}}";
    let error = theirs.refused(yaml).await;
    assert_says(&error, &["may not create the ledger `jitney_loads` in the schema `public`", "GRANT CREATE ON SCHEMA"]);
    theirs.run(&format!("ALTER ROLE {role} IN DATABASE load_settings_rights SET search_path = ''")).await;
    let error = theirs.refused(yaml).await;
    assert_says(&error, &["there is no schema for the ledger", "SET search_path = public"]);
    theirs.run(&format!("ALTER ROLE {role} IN DATABASE load_settings_rights RESET search_path")).await;
    theirs.run(&format!("GRANT CREATE ON SCHEMA public TO {role}")).await;
    let error = theirs.refused(yaml).await;
    assert_says(&error, &["may not create temporary tables", "`on_bad_row: reject` needs one", "GRANT TEMPORARY ON"]);
    assert_eq!((theirs.t().await, theirs.ledger().await), (String::new(), String::new()));
    theirs.run(&format!("GRANT TEMPORARY ON DATABASE load_settings_rights TO {role}")).await;
    assert_eq!(counts(&theirs.load(yaml).await.unwrap()), [2, 1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_that_sets_another_search_path_does_no_harm() {
    let made = "CREATE TABLE t (id int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN SET search_path = pg_catalog; RETURN new; END';
        CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
    let place = Place::with("settings_trigger", made).await;
    place.file("a.csv", "id\n1\n");
    for mode in ["append", "truncate", "{merge: {key: [id]}}", "append, on_bad_row: {reject: {}}"] {
        place.run("TRUNCATE t").await;
        let loaded = place.load(&format!("{{from: a.csv, table: public.t, if_loaded: load, mode: {mode}}}")).await;
        assert_eq!(counts(&loaded.unwrap()), [1, 1, 0, 0], "{mode}");
    }
    assert_eq!(place.rows("SELECT count(*) FROM public.jitney_loads").await, "4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_not_idle_for_long_loads_what_takes_longer() {
    let place = Place::with("settings_idle", "CREATE TABLE t (id int, note text)").await;
    let database = place.rows("SELECT current_database()").await;
    place.run(&format!("ALTER DATABASE {database} SET idle_in_transaction_session_timeout = '50ms'")).await;
    place.file("a.csv", many_rows(200_000));
    // Nothing is sent before the last row is read.
    place.load("{from: a.csv, table: t, transform: {dedupe: [id]}}").await.unwrap();
    assert_eq!(place.rows("SELECT count(*) FROM t").await, "200000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_told_is_said_in_words_that_fit() {
    let made = "CREATE TABLE b (id int); CREATE VIEW v AS SELECT * FROM b;
        CREATE TABLE g (id int, g int GENERATED ALWAYS AS (id * 2) STORED UNIQUE); CREATE TABLE t (id int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO b VALUES (new.id); RETURN new; END';
        CREATE FUNCTION h() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO b VALUES (new.id); RETURN NULL; END';
        CREATE TRIGGER f INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION f();
        CREATE TRIGGER h BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION h()";
    let place = Place::with("settings_words", made).await;
    place.file("a.csv", "id\n1\n");
    place.load("{from: a.csv, table: v}").await.unwrap();
    assert_says(&place.refused("{from: a.csv, table: v}").await, &["a view does not tell which load"]);
    let error = place.refused("{from: a.csv, table: g, mode: {merge: {key: [g]}}}").await;
    assert_says(&error, &["the server computes `g` when it stores a row", "it is computed from"]);
    place.run("ALTER TABLE g ADD n int").await;
    let error = place.refused("{from: a.csv, table: g, on_missing_column: empty, mode: {merge: {key: [n]}}}").await;
    assert_says(&error, &["the file has no column for `n` of the key"]);
    assert_eq!(counts(&place.load("{from: a.csv, table: t}").await.unwrap()), [1, 0, 0, 1]);
    let (again, log) = place.load_in("e2", "{from: a.csv, table: t}").await;
    assert_eq!(again.unwrap()["already_loaded"], true);
    assert_says(&log, &["kept 1 row out of it or stored them elsewhere", "`if_loaded: load`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_known_under_a_former_name_of_its_table_and_to_other_ledgers() {
    let made = "CREATE TABLE ra (id int); CREATE TABLE rc (id int); CREATE SCHEMA alice; CREATE TABLE s (id int)";
    let place = Place::with("settings_names", made).await;
    place.file("a.csv", "id\n1\n2\n");
    place.load("{from: a.csv, table: ra}").await.unwrap();
    place.run("ALTER TABLE ra RENAME TO rb").await;
    let (again, log) = place.load_in("e2", "{from: a.csv, table: rb}").await;
    assert_eq!(again.unwrap()["already_loaded"], true);
    assert_says(&log, &["into this table as `public.ra`; nothing to do"]);
    // A table that is gone with its rows says nothing of another one.
    assert_eq!(counts(&place.load("{from: a.csv, table: rc}").await.unwrap()), [2, 2, 0, 0]);
    place.run("DELETE FROM rb WHERE id = 1").await;
    let error = place.refused("{from: a.csv, table: rb}").await;
    assert_says(&error, &["as `public.ra`", "`if_loaded: skip`"]);
    place.load("{from: a.csv, table: s}").await.unwrap();
    place.run("ALTER DATABASE load_settings_names SET search_path = alice, public").await;
    // The ledger of `public` is on this path too.
    assert_eq!(place.load("{from: a.csv, table: s}").await.unwrap()["already_loaded"], true);
    place.run("ALTER DATABASE load_settings_names SET search_path = alice").await;
    let error = place.refused("{from: a.csv, table: public.s}").await;
    assert_says(&error, &["says the ledger `public.jitney_loads`", "another one, `alice.jitney_loads`"]);
    let skipped = place.load("{from: a.csv, table: public.s, if_loaded: skip}").await.unwrap();
    assert_eq!(skipped["already_loaded"], true);
    assert_eq!(counts(&place.load("{from: a.csv, table: public.s, if_loaded: load}").await.unwrap()), [2, 2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_format_that_a_column_is_not_read_by_is_refused() {
    let types =
        ["money", "numeric(5,2)[]", "numrange", "date[]", "daterange", "timestamp(3)[]", "tsrange", "boolean[]"];
    let columns: Vec<String> = types.iter().enumerate().map(|(at, kind)| format!("c{at} {kind}")).collect();
    let place = Place::with("settings_formats", &format!("CREATE TABLE t (id int, {})", columns.join(", "))).await;
    for (setting, at) in [
        ("decimal: ','", 0),
        ("decimal: ','", 1),
        ("{thousands: '.', decimal: ','}", 2),
        ("date_format: '%d.%m.%Y'", 3),
        ("date_format: '%d.%m.%Y'", 4),
        ("timestamp_format: '%d.%m.%Y %H:%M'", 5),
        ("timestamp_format: '%d.%m.%Y %H:%M'", 6),
        ("true_values: [ja]", 7),
        ("false_values: [nein]", 7),
    ] {
        place.file("a.csv", format!("id;c{at}\n1;\n"));
        let setting = setting.trim_matches(['{', '}']);
        let yaml = format!("{{from: a.csv, table: t, delimiter: ';', on_missing_column: empty, {setting}}}");
        let shown = place.refused(&yaml).await;
        assert_says(&shown, &["does not apply to column", &format!("`c{at}`"), "text column"]);
        place.file("b.csv", "id\n1\n");
        place.load(&yaml.replace("a.csv", "b.csv")).await.unwrap();
        place.run("DROP TABLE jitney_loads").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_see_its_own_session_loads() {
    let place = Place::new("other_role").await;
    place
        .run(
            "DO $$ BEGIN CREATE ROLE load_owner; CREATE ROLE load_ann LOGIN PASSWORD 'x' IN ROLE load_owner;
             EXCEPTION WHEN duplicate_object THEN NULL; END $$;
             ALTER ROLE load_ann IN DATABASE load_other_role SET role = 'load_owner';
             CREATE TABLE t (id int); ALTER TABLE t OWNER TO load_owner; GRANT CREATE ON SCHEMA public TO load_owner",
        )
        .await;
    let place = place.of_user("load_ann");
    place.file("a.csv", "id\n1\n");
    assert_eq!(counts(&place.load("{from: a.csv, table: t}").await.unwrap()), [1, 1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_table_of_the_ledgers_name_is_an_error_in_words() {
    let made = "CREATE TABLE t (id int); CREATE SCHEMA other; CREATE TABLE other.jitney_loads (id int, execution text,
        flow text, task text, target text, partition text, source_sha256 text, definition_sha256 text, rows_read int,
        rows_loaded int, rows_rejected int, rows_skipped int, source text, address text)";
    let place = Place::with("other_ledger", made).await;
    place.file("a.csv", "id\n1\n");
    place.load("{from: a.csv, table: t}").await.unwrap();
    place
        .run(
            "INSERT INTO other.jitney_loads SELECT id, execution, flow, task, target, partition, source_sha256,
        definition_sha256, 1, 1, 0, 0, source, address FROM jitney_loads; TRUNCATE jitney_loads",
        )
        .await;
    let error = place.refused("{from: a.csv, table: t}").await;
    assert_says(&error, &["reading the ledger"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_hides_the_servers_own_is_an_error_before_anything_changes() {
    let place = Place::with("settings_hidden", "CREATE TABLE t (id int)").await;
    place.file("a.csv", "id\n1\n");
    place.run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$").await;
    for (made, name, dropped) in [
        ("CREATE DOMAIN public.text AS pg_catalog.text", "public.text", "DROP DOMAIN public.text"),
        (
            "CREATE VIEW public.pg_stat_activity AS SELECT 1 AS pid",
            "public.pg_stat_activity",
            "DROP VIEW public.pg_stat_activity",
        ),
        (
            "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.now()'",
            "public.now",
            "DROP FUNCTION public.now()",
        ),
        (
            "CREATE OPERATOR public.= (LEFTARG = int, RIGHTARG = int, FUNCTION = int4ne)",
            "public.=",
            "DROP OPERATOR public.= (int, int)",
        ),
    ] {
        place.run(made).await;
        for task in ["postgres.load", "postgres.copy_in"] {
            let shown = place.run_in("e1", 1, task, "{from: a.csv, table: t}").await.0.unwrap_err().to_string();
            assert_says(&shown, &[&format!("`{name}` hides the server's own object"), "search_path"]);
        }
        let shown = place.run_in("e1", 1, "postgres.copy_out", "{table: t}").await.0.unwrap_err().to_string();
        assert_says(&shown, &["hides the server's own object"]);
        // Its own SQL means what the session says.
        place.run_in("e1", 1, "postgres.query", "{sql: SELECT 1}").await.0.unwrap();
        place.run(dropped).await;
    }
    assert_eq!(counts(&place.load("{from: a.csv, table: t}").await.unwrap()), [1, 1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_isolation_level_by_default_is_not_kept_and_the_log_says_so() {
    let place = Place::with(
        "settings_isolation",
        "CREATE TABLE t (a int, b text DEFAULT current_setting('transaction_isolation'))",
    )
    .await;
    place.file("a.csv", "a\n1\n");
    place.file("b.csv", "2\n");
    let copied = "{from: b.csv, table: t, format: CSV, columns: [a]}";
    for level in ["serializable", "repeatable read"] {
        place.run("TRUNCATE t").await;
        place
            .run(&format!("ALTER DATABASE load_settings_isolation SET default_transaction_isolation = '{level}'"))
            .await;
        for (task, yaml) in [("postgres.load", "{from: a.csv, table: t}"), ("postgres.copy_in", copied)] {
            let (done, said) = place.run_in(level, 1, task, yaml).await;
            done.unwrap();
            let expected = format!("READ COMMITTED, although `default_transaction_isolation` is `{level}`");
            assert_says(&said, &[&expected]);
        }
        assert_eq!(place.t().await, "1 read committed\n2 read committed", "{level}");
    }
    place.run("ALTER DATABASE load_settings_isolation RESET default_transaction_isolation").await;
    let (_, said) = place.load_in("e9", "{from: a.csv, table: t, mode: truncate}").await;
    assert!(!said.contains("READ COMMITTED"), "{said}");
}
