//! Rows that refer to each other, among bad ones: the table becomes what COPY makes of the file without the rows that are
//! bad themselves.

use crate::load::merges::rejected;
use crate::load::{Place, assert_says, counts, many_rows};

const N: &str = "CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1);
    CREATE TABLE n (id int PRIMARY KEY, ref int REFERENCES n, v int CHECK (v > 0), o int REFERENCES other)";

/// A file, the lines that are rejected, and the identifiers that are stored.
const CASES: &[(&str, &[u64], &str)] = &[
    // A check, between two rows of which one refers to the other.
    ("1,3,1,\n2,2,-1,\n3,3,1,\n", &[3], "1\n3"),
    // A key that is there twice; what refers to a later row, to itself, and round about.
    ("1,4,1,\n4,4,1,\n4,,1,\n5,6,1,\n6,5,1,\n", &[4], "1\n4\n5\n6"),
    // A reference that is nowhere, what refers to that row, and what refers to a row that a check refuses.
    ("1,2,1,\n2,9,1,\n3,4,1,\n4,3,1,\n5,6,1,\n6,,-1,\n7,8,1,\n8,,1,\n", &[2, 3, 6, 7], "3\n4\n7\n8"),
    // Another table's key.
    ("1,3,1,1\n2,3,1,7\n3,,1,1\n4,2,1,1\n", &[3, 5], "1\n3"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_rows_that_refer_to_later_ones_are_kept_beside_bad_ones() {
    let place = Place::with("references", N).await;
    for (rows, lines, stored) in CASES {
        for trigger in [false, true] {
            for mode in ["append", "truncate", "{replace_partition: {k: 1}}"] {
                place.run(&format!("DROP TABLE n; DROP TABLE IF EXISTS other, jitney_loads; {N}")).await;
                place.run("ALTER TABLE n ADD k int").await;
                if trigger {
                    let made =
                        "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
                        CREATE TRIGGER f BEFORE INSERT ON n FOR EACH ROW EXECUTE FUNCTION f()";
                    place.run(made).await;
                }
                place.file("n.csv", format!("id,ref,v,o\n{rows}"));
                let rest = "on_missing_column: empty, on_bad_row: {reject: {max: 9}}";
                let outputs = place.load(&format!("{{from: n.csv, table: n, mode: {mode}, {rest}}}")).await.unwrap();
                let (found, text) = rejected(&place, &outputs);
                assert_eq!(found, *lines, "{rows} {mode} {trigger}: {text}");
                assert!(!text.contains("jitney_stage"), "{text}");
                assert_eq!(place.rows("SELECT id FROM n").await, *stored, "{rows} {mode}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_keeps_them_too() {
    let place = Place::with("references_merge", N).await;
    place.file("n.csv", "id,ref,v,o\n1,2,1,\n2,9,1,\n3,4,1,\n4,3,1,\n5,6,1,\n6,,-1,\n7,8,1,\n8,,1,\n9,8,1,5\n");
    let yaml = "{from: n.csv, table: n, mode: {merge: {key: [id]}}, on_bad_row: {reject: {max: 9}}}";
    let outputs = place.load(yaml).await.unwrap();
    assert_eq!(rejected(&place, &outputs).0, [2, 3, 6, 7, 10]);
    assert_eq!(place.rows("SELECT id FROM n").await, "3\n4\n7\n8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_refer_to_others_far_away_in_the_file() {
    let made = "CREATE TABLE n (id int PRIMARY KEY, note text CHECK (note <> 'bad'), ref int REFERENCES n)";
    let place = Place::with("references_far", made).await;
    let count = 60_000;
    let rows = many_rows(count).replace("id,note\n", "");
    let far: String = rows.lines().enumerate().map(|(index, line)| format!("{line},{}\n", count - index)).collect();
    place.file("far.csv", format!("id,note,ref\n{far}"));
    let outputs = place.load("{from: far.csv, table: n, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(counts(&outputs), [60_000, 60_000, 0, 0]);
    // The same with two bad ones in the middle of it, and their counterparts without what they refer to.
    let broken = far.replace("\n100,a note that takes some room 100,", "\n100,bad,").replace(",200\n", ",90001\n");
    place.file("broken.csv", format!("id,note,ref\n{broken}"));
    let outputs = place.load("{from: broken.csv, table: n, mode: truncate, on_bad_row: {reject: {}}}").await.unwrap();
    let (lines, text) = rejected(&place, &outputs);
    assert_eq!(lines, [101, 201, 59_802, 59_902], "{text}");
    assert_says(&text, &["(ref)=(90001)", "n_note_check"]);
    assert_eq!(counts(&outputs), [60_000, 59_996, 4, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_for_statements_sees_the_good_rows_as_one_statement() {
    let made = "CREATE TABLE t (id int CHECK (id > 0)); CREATE TABLE seen (n int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
            INSERT INTO seen SELECT count(*) FROM added; RETURN NULL; END';
        CREATE TRIGGER f AFTER INSERT ON t REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION f()";
    let place = Place::with("references_statement", made).await;
    place.file("a.csv", "id\n1\n-2\n3\n");
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(counts(&outputs), [3, 2, 1, 0]);
    assert_eq!(place.rows("SELECT n FROM seen").await, "2");
    let again = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(again["already_loaded"], true);
}

/// A table with an AFTER trigger that wants the row's counterpart, and one of a file of pairs.
const PAIRS: &str = "CREATE TABLE t (a int PRIMARY KEY, b int);
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
        IF NOT EXISTS (SELECT FROM t WHERE a = new.b) THEN RAISE ''no counterpart of %'', new.a; END IF; RETURN NULL; END';
    CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";

fn pairs(count: u32) -> String {
    (0..count).map(|row| format!("{row},{}\n", count - 1 - row)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_after_a_row_finds_the_rows_of_the_whole_file() {
    let place = Place::with("references_after", PAIRS).await;
    place.file("far.csv", format!("a,b\n{}", pairs(200_000)));
    let yaml = "{from: far.csv, table: t, on_bad_row: {reject: {}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [200_000, 200_000, 0, 0]);
    // Among bad rows, too, those that want a later one are kept.
    let rows: String = (0..20).map(|row| format!("{row},{}\n", row.max(19 - row))).collect();
    place.file("near.csv", format!("a,b\n{rows}50,70\n60,60\n"));
    let yaml = "{from: near.csv, table: t, mode: truncate, on_bad_row: {reject: {}}}";
    let outputs = place.load(yaml).await.unwrap();
    assert_eq!(rejected(&place, &outputs).0, [22], "{}", rejected(&place, &outputs).1);
    assert_eq!(counts(&outputs), [22, 21, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_constraint_is_checked_when_all_good_rows_are_there() {
    let made = "CREATE TABLE t (id int PRIMARY KEY, v int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
            IF (SELECT sum(v) FROM t) <> 0 THEN RAISE ''does not balance''; END IF; RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER f AFTER INSERT OR DELETE ON t DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION f();";
    let place = Place::with("references_balance", made).await;
    place.run("INSERT INTO t VALUES (100, 0)").await;
    place.file("a.csv", "id,v\n1,5\n2,-5\n2,7\n3,-1\n4,1\n");
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(rejected(&place, &outputs).0, [4]);
    assert_eq!(place.rows("SELECT id FROM t").await, "1\n100\n2\n3\n4");
    // What refers to rows that are replaced finds them again.
    place
        .run(
            "CREATE TABLE n (id int PRIMARY KEY, p int); CREATE TABLE child (n int REFERENCES n DEFERRABLE INITIALLY DEFERRED);
              INSERT INTO n VALUES (1, 1), (2, 1); INSERT INTO child VALUES (1), (2)",
        )
        .await;
    place.file("n.csv", "id\n1\n2\n2\n");
    let yaml = "{from: n.csv, table: n, mode: {replace_partition: {p: 1}}, on_bad_row: {reject: {}}}";
    let outputs = place.load(yaml).await.unwrap();
    assert_eq!((rejected(&place, &outputs).0, counts(&outputs)), (vec![4], [3, 2, 1, 0]));
    // A view's trigger writes to a table that refers to itself.
    place
        .run(
            "CREATE TABLE base (id int PRIMARY KEY, ref int REFERENCES base DEFERRABLE INITIALLY DEFERRED);
             CREATE VIEW v AS SELECT * FROM base;
             CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
                 INSERT INTO base VALUES (new.id, new.ref); RETURN new; END';
             CREATE TRIGGER g INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION g()",
        )
        .await;
    place.file("v.csv", "id,ref\n1,3\n2,\n2,1\n3,1\n");
    let outputs = place.load("{from: v.csv, table: v, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(rejected(&place, &outputs).0, [4]);
    assert_eq!(place.rows("SELECT id FROM base").await, "1\n2\n3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_whose_key_a_bad_row_had_before_it_is_kept() {
    let made = "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1), (2);
        CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p)";
    let place = Place::with("references_key_before", made).await;
    place.file("a.csv", "id,p\n1,99\n1,1\n2,99\n3,1\n2,2\n2,1\n");
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(place.t().await, "1 1\n2 2\n3 1");
    assert_eq!(rejected(&place, &outputs).0, [2, 4, 7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_to_insert_is_enough() {
    let place = Place::with("references_rights", &format!("{PAIRS}; CREATE TABLE plain (a int, id serial)")).await;
    let made = "DO $$ BEGIN CREATE ROLE load_inserts LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        ALTER FUNCTION f() SECURITY DEFINER; GRANT INSERT ON t, plain TO load_inserts; GRANT CREATE ON SCHEMA public TO load_inserts";
    place.run(made).await;
    let place = place.of_user("load_inserts");
    place.file("a.csv", "a,b\n1,2\n2,1\n3,3\n3,1\n");
    let load = |rest: &str| format!("{{from: a.csv, {rest}, on_bad_row: {{reject: {{}}}}}}");
    let outputs = place.load(&load("table: t")).await.unwrap();
    assert_eq!(counts(&outputs), [4, 3, 1, 0]);
    // The sequence's right is missing for every row.
    let error = place.refused(&load("table: plain, transform: {select: [a]}")).await;
    assert_says(&error, &["permission denied for sequence plain_id_seq"]);
    assert!(!error.contains("line"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_rejected_rows_of_such_a_table_knows_its_rows_again() {
    for (name, made) in [
        ("self", "CREATE TABLE t (id int PRIMARY KEY, r int REFERENCES t)"),
        ("deferred", "CREATE TABLE t (id int PRIMARY KEY, r int REFERENCES t DEFERRABLE INITIALLY DEFERRED)"),
        (
            "after",
            "CREATE TABLE t (id int PRIMARY KEY, r int CHECK (r < 9));
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        ),
    ] {
        let place = Place::with(&format!("references_again_{name}"), made).await;
        place.file("a.csv", "id,r\n1,\n2,9\n3,1\n3,1\n");
        for mode in ["append", "truncate"] {
            let yaml = format!("{{from: a.csv, table: t, mode: {mode}, on_bad_row: {{reject: {{}}}}}}");
            assert_eq!(counts(&place.load(&yaml).await.unwrap()), [4, 2, 2, 0], "{name} {mode}");
            assert_eq!(place.load(&yaml).await.unwrap()["already_loaded"], true, "{name} {mode}");
            assert_eq!(place.rows("SELECT id FROM t").await, "1\n3", "{name} {mode}");
        }
    }
}

/// A table whose trigger adds what its rows refer to.
fn with_parents(rest: &str) -> String {
    format!(
        "CREATE TABLE p (a int PRIMARY KEY); CREATE TABLE t (a int PRIMARY KEY, b int REFERENCES p {rest});
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
             INSERT INTO p VALUES (new.a) ON CONFLICT DO NOTHING; RETURN new; END';
         CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_may_add_what_the_rows_refer_to() {
    let yaml = "{from: a.csv, table: t, on_bad_row: {reject: {max: 9}}}";
    for (name, rest) in [("now", ""), ("deferred", "DEFERRABLE INITIALLY DEFERRED")] {
        let place = Place::with(&format!("references_parents_{name}"), &with_parents(rest)).await;
        for (rows, lines) in [
            ("1,2\n2,1\n3,4\n4,3\n9,99\n", &[6][..]),
            ("4,99\n2,\n5,\n1,3\n3,5\n", &[2]),
            // Round about, with bad ones between.
            ("1,6\n7,70\n2,5\n8,\n8,\n5,1\n9,7\n6,2\n", &[3, 6, 8]),
        ] {
            place.run("TRUNCATE t, p; DROP TABLE IF EXISTS jitney_loads").await;
            place.file("a.csv", format!("a,b\n{rows}"));
            let outputs = place.load(yaml).await.unwrap();
            assert_eq!(rejected(&place, &outputs).0, lines, "{name} {rows}");
        }
        let rows: String = (0..30_000).map(|row| format!("{row},{}\n", 29_999 - row)).collect();
        place.run("TRUNCATE t, p; DROP TABLE IF EXISTS jitney_loads").await;
        place.file("a.csv", format!("a,b\n{}", rows.replace("\n100,29899\n", "\n100,50000\n")));
        assert_eq!(counts(&place.load(yaml).await.unwrap()), [30_000, 29_998, 2, 0], "{name}");
    }
    let made = "CREATE TABLE p (a int PRIMARY KEY);
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'INSERT INTO p SELECT count(*) + 1 FROM p RETURNING a';
        CREATE TABLE t (a int UNIQUE, b int REFERENCES p, c int DEFAULT f())";
    let place = Place::with("references_default", made).await;
    place.file("a.csv", "a,b\n1,3\n2,1\n3,2\n4,99\n");
    let yaml = yaml.replace("t,", "t, on_missing_column: empty,");
    let outputs = place.load(&yaml).await.unwrap();
    assert_eq!(rejected(&place, &outputs).0, [5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_after_the_row_may_add_what_a_deferred_key_wants() {
    let tables = "CREATE TABLE p (a int PRIMARY KEY); INSERT INTO p VALUES (1);
        CREATE TABLE t (a int, b int REFERENCES p DEFERRABLE INITIALLY DEFERRED);";
    let row = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
            IF new.a = 5 THEN INSERT INTO p VALUES (new.b) ON CONFLICT DO NOTHING; END IF; RETURN NULL; END';
        CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
    let statement = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
            INSERT INTO p SELECT b FROM nt WHERE a = 5 ON CONFLICT DO NOTHING; RETURN NULL; END';
        CREATE TRIGGER tr AFTER INSERT ON t REFERENCING NEW TABLE AS nt FOR EACH STATEMENT EXECUTE FUNCTION f()";
    for (name, trigger) in [("row", row), ("statement", statement)] {
        let place = Place::with(&format!("references_after_{name}"), &format!("{tables}{trigger}")).await;
        for (rows, lines) in [("1,1\n6,4\n5,8\n5,9\n2,9\n", &[3][..]), ("6,4\n5,8\n", &[2]), ("5,8\n6,4\n", &[3])] {
            place.run("TRUNCATE t; DELETE FROM p WHERE a > 1; DROP TABLE IF EXISTS jitney_loads").await;
            place.file("a.csv", format!("a,b\n{rows}"));
            let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
            assert_eq!(rejected(&place, &outputs).0, lines, "{name} {rows}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_there_twice_costs_no_other_row() {
    let place = Place::with("references_twice", "CREATE TABLE t (id int PRIMARY KEY, r int REFERENCES t)").await;
    let reject = "on_bad_row: {reject: {}}";
    for (rows, lines) in [
        ("2,6\n4,6\n3,\n2,3\n5,\n6,\n", &[5][..]),
        ("10,6\n17,12\n15,11\n12,10\n17,10\n6,\n", &[4, 6]),
        ("2,9\n2,\n3,2\n", &[2]),
    ] {
        place.run("TRUNCATE t; DROP TABLE IF EXISTS jitney_loads").await;
        place.file("a.csv", format!("id,r\n{rows}"));
        let outputs = place.load(&format!("{{from: a.csv, table: t, {reject}}}")).await.unwrap();
        assert_eq!(rejected(&place, &outputs).0, lines, "{rows}");
    }
    for (before, on_match, rows, lines) in
        [("", "ignore", "6,2\n6,\n2,5\n1,4\n6,4\n4,6\n", &[2, 4][..]), ("(1, NULL)", "update", "1,5\n5,1\n7,8\n", &[4])]
    {
        place.run("TRUNCATE t").await;
        if !before.is_empty() {
            place.run(&format!("INSERT INTO t VALUES {before}")).await;
        }
        place.file("a.csv", format!("id,r\n{rows}"));
        let yaml = format!("{{from: a.csv, table: t, mode: {{merge: {{key: [id], on_match: {on_match}}}}}, {reject}}}");
        let outputs = place.load(&yaml).await.unwrap();
        assert_eq!(rejected(&place, &outputs).0, lines, "{rows}");
        let stored = place.t().await;
        assert_eq!(counts(&place.load(&yaml).await.unwrap())[1], 0, "a repeat changes nothing: {rows}");
        assert_eq!(place.t().await, stored);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_rows_may_wait_for_a_later_one_than_may_be_bad() {
    let place = Place::with("references_waiting", PAIRS).await;
    let rows: String = (1..=300).map(|row| format!("{row},{}\n", if row == 150 { 999 } else { 300 })).collect();
    place.file("a.csv", format!("a,b\n{rows}"));
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {max: 5}}}").await.unwrap();
    assert_eq!((rejected(&place, &outputs).0, counts(&outputs)), (vec![151], [300, 299, 1, 0]));
    // What cannot be told from bad rows fails the load.
    let rows: String = (1..=300).map(|row| format!("{row},{}\n", if row == 300 { 999 } else { 299 })).collect();
    place.file("b.csv", format!("a,b\n{rows}"));
    let error = place.refused("{from: b.csv, table: t, mode: truncate, on_bad_row: {reject: {max: 5}}}").await;
    assert_says(&error, &["more than 5 bad rows"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_temporary_table_is_not_to_be_seen() {
    let made = "CREATE TABLE t (a int CHECK (a > 0), b int, CHECK (tableoid::regclass::text = 't'));
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
    let place = Place::with("references_stage", made).await;
    place.file("a.csv", "a,b\n1,2\n-1,3\n");
    let yaml = "{from: a.csv, table: t, on_bad_row: {reject: {}}}";
    for change in ["SELECT", "ALTER TABLE t DROP CONSTRAINT t_tableoid_check"] {
        place.run(&format!("{change}; TRUNCATE t; DROP TABLE IF EXISTS jitney_loads")).await;
        let outputs = place.load(yaml).await.unwrap();
        let (lines, text) = rejected(&place, &outputs);
        assert_eq!((lines, place.t().await.as_str()), (vec![3], "1 2"), "{text}");
        assert_says(&text, &["relation \"\"t\"\" violates check constraint", "contains (-1, 3)."]);
    }
    let columns: Vec<String> = (0..1600).map(|column| format!("c{column} int")).collect();
    place.run(&format!("CREATE TABLE wide ({})", columns.join(", "))).await;
    place.run("CREATE TRIGGER f AFTER INSERT ON wide FOR EACH ROW EXECUTE FUNCTION f()").await;
    place.file("wide.csv", "c0\n1\n");
    let yaml = "{from: wide.csv, table: wide, on_missing_column: empty, on_bad_row: {reject: {}}}";
    assert_says(&place.refused(yaml).await, &["at most 1600 columns", "without `on_bad_row`"]);
    let columns: Vec<String> = (0..127).map(|column| format!("c{column} name")).collect();
    place.run(&format!("CREATE TABLE large (a int, b bigint, {})", columns.join(", "))).await;
    place.run("CREATE TRIGGER f AFTER INSERT ON large FOR EACH ROW EXECUTE FUNCTION f()").await;
    let names: String = (0..127).map(|column| format!(",c{column}")).collect();
    place.file("large.csv", format!("a{names}\n1{}\n", ",x".repeat(127)));
    let yaml = "{from: large.csv, table: large, on_missing_column: empty, on_bad_row: {reject: {}}}";
    let outputs = place.load(yaml).await.unwrap();
    assert_says(&rejected(&place, &outputs).1, &["row is too big", "goes straight into the table"]);
}
