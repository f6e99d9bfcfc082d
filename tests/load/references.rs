//! Rows that refer to each other, beside bad ones: the table becomes what COPY makes of the file without the rows that are
//! bad themselves.

use crate::merges::rejected;
use crate::{Place, assert_says, counts, many_rows};

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
