//! Merges whose table refuses rows: which ones are rejected, what the table becomes, and where a failing row stood.

use std::fmt::Write as _;

use jitney::storage::Storage;
use jitney::task::Outputs;

use crate::load::{Place, assert_says, counts};

const T: &str = "
DROP TABLE IF EXISTS t, parent, jitney_loads;
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent VALUES (1), (2);
CREATE TABLE t (id int PRIMARY KEY, email text, n int, parent int);
INSERT INTO t VALUES (9, 'old', 0, 1), (1, 'z', 0, 1);
";

const FILE: &str = "id,email,n,parent
1,a,1,1
2,b,13,1
3,a,2,1
4,a,3,7
2,e,4,1
1,f,5,1
5,old,6,2
1,g,13,1
";

const RAISE: &str = "
CREATE OR REPLACE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.n = 13 THEN RAISE 'bad luck' USING ERRCODE = 'JT013'; END IF; RETURN new; END $$;
CREATE TRIGGER odd BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION odd()";

const EMPTIES: &str = "
CREATE OR REPLACE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.n = 13 THEN new.n = NULL; END IF; RETURN new; END $$;
CREATE TRIGGER odd BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION odd();
ALTER TABLE t ALTER n SET NOT NULL";

/// What the table is given, a part of the message, and the lines that are rejected by `ignore` and by `update`.
const CASES: &[(&str, &str, &[u64], &[u64])] = &[
    ("ALTER TABLE t ADD UNIQUE (email)", "23505", &[5, 8], &[5, 8]),
    ("ALTER TABLE t ADD UNIQUE (email) DEFERRABLE INITIALLY DEFERRED", "23505", &[5, 8], &[5, 8]),
    ("ALTER TABLE t ADD FOREIGN KEY (parent) REFERENCES parent", "(parent)=(7)", &[5], &[5]),
    ("ALTER TABLE t ADD FOREIGN KEY (parent) REFERENCES parent INITIALLY DEFERRED", "(parent)=(7)", &[5], &[5]),
    (RAISE, "bad luck (JT013)", &[3], &[9]),
    (EMPTIES, "23502", &[3], &[9]),
    ("ALTER TABLE t ADD g int GENERATED ALWAYS AS (n * 2) STORED CHECK (g <> 26)", "23514", &[3], &[9]),
    ("ALTER TABLE t ADD EXCLUDE USING btree (email WITH =)", "23P01", &[5, 8], &[5, 8]),
];

/// The lines of the rows that a load rejected, and all that was written of them.
pub fn rejected(place: &Place, outputs: &Outputs) -> (Vec<u64>, String) {
    let context = place.context();
    let storage = Storage::new(context.settings.storage(), context.execution);
    let Some(uri) = outputs["rejected_uri"].as_str() else { return (Vec::new(), String::new()) };
    let kept = std::fs::read_to_string(storage.path(uri).unwrap()).unwrap();
    let lines = kept.lines().skip(1).filter_map(|line| line.split(',').next()?.parse().ok());
    (lines.collect(), kept)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_table_refuses_in_a_merge_is_rejected_as_if_the_file_had_not_had_it() {
    let place = Place::new("merge_reject").await;
    for (change, message, ignored, updated) in CASES {
        for (on_match, lines) in [("ignore", ignored), ("update", updated)] {
            let case = format!("{change} on {on_match}");
            let mode = format!("mode: {{merge: {{key: [id], on_match: {on_match}}}}}");
            place.run(&format!("{T}{change}")).await;
            place.file("a.csv", FILE);
            let yaml = format!("{{from: a.csv, table: t, {mode}, on_bad_row: {{reject: {{file: bad.csv}}}}}}");
            let outputs = place.load(&yaml).await.unwrap_or_else(|error| panic!("{case}: {error}"));
            let (found, kept) = rejected(&place, &outputs);
            assert_eq!(found, *lines, "{case}: {kept}");
            assert_says(&kept, &[message]);
            let [read, loaded, ..] = counts(&outputs);
            assert_eq!((read, counts(&outputs)[2]), (8, lines.len() as u64), "{case}");
            let stored = place.t().await;

            place.run(&format!("{T}{change}")).await;
            let is_left = |number: &usize| !lines.contains(&(*number as u64 + 1));
            let clean = FILE.lines().enumerate().filter(|(number, _)| is_left(number));
            let clean = clean.fold(String::new(), |text, (_, line)| text + line + "\n");
            place.file("clean.csv", clean);
            let yaml = format!("{{from: clean.csv, table: t, {mode}}}");
            let outputs = place.load(&yaml).await.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!((counts(&outputs)[1], place.t().await), (loaded, stored), "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_fails_a_merge_is_named_by_its_line_and_nothing_is_committed() {
    let place = Place::new("merge_fail").await;
    for (change, message, _, updated) in CASES {
        place.run(&format!("{T}{change}")).await;
        place.file("a.csv", FILE);
        let before = place.t().await;
        let shown = place.refused("{from: a.csv, table: t, mode: {merge: {key: [id], on_match: update}}}").await;
        // A merge may store either of two rows with the same key.
        let is_either = change.contains("UNIQUE (email) DEFERRABLE");
        let at = format!("a.csv:{}", updated[0]);
        assert_says(&shown, &[if is_either { "Postgres does not say which row it is" } else { &at }, message]);
        assert_eq!((place.t().await, place.ledger().await), (before, String::new()), "{change}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_rows_that_a_merge_refuses_fail_the_load() {
    let place = Place::new("merge_max").await;
    place.run(&format!("{T}ALTER TABLE t ADD CHECK (n < 500), ADD FOREIGN KEY (parent) REFERENCES parent")).await;
    let rows = (10..1010).fold("id,email,n,parent\n".to_owned(), |mut text, id| {
        let parent = if id % 250 == 7 { 7 } else { 1 };
        let _ = writeln!(text, "{id},m{id},1,{parent}");
        text
    });
    place.file("a.csv", rows);
    let yaml = |max: u64| {
        format!("{{from: a.csv, table: t, mode: {{merge: {{key: [id]}}}}, on_bad_row: {{reject: {{max: {max}}}}}}}")
    };
    let shown = place.refused(&yaml(2)).await;
    assert_says(&shown, &["a.csv:749", "more than 2 bad rows"]);
    assert_eq!(place.rows("SELECT count(*) FROM t").await, "2");
    let outputs = place.load(&yaml(4)).await.unwrap();
    assert_eq!(counts(&outputs), [1000, 996, 4, 0]);
    assert_eq!(rejected(&place, &outputs).0, [249, 499, 749, 999]);
    assert_eq!(counts(&place.load(&yaml(4)).await.unwrap()), [1000, 0, 4, 996]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_a_query_is_rejected_by_a_merge_with_its_values() {
    let place =
        Place::with("merge_query", &format!("{T}ALTER TABLE t ADD FOREIGN KEY (parent) REFERENCES parent")).await;
    place.file("a.csv", "id,parent\n11,1\n12,7\n12,7\n");
    let sql = "SELECT id, max(parent) AS parent FROM self GROUP BY id";
    let yaml = |on_bad_row: &str| {
        let rest = format!("transform: {{sql: \"{sql}\"}}, on_missing_column: empty, on_bad_row: {on_bad_row}");
        format!("{{from: a.csv, table: t, mode: {{merge: {{key: [id]}}}}, {rest}}}")
    };
    assert_says(&place.refused(&yaml("fail")).await, &["a.csv", "(parent)=(7)"]);
    let outputs = place.load(&yaml("{reject: {}}")).await.unwrap();
    assert_eq!(counts(&outputs), [3, 1, 1, 1]);
    assert_says(&rejected(&place, &outputs).1, &["(parent)=(7)", "12\t7"]);
    assert_eq!(place.rows("SELECT id, parent FROM t WHERE id > 9").await, "11 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_row_of_a_key_wins_whatever_the_width_of_the_rows() {
    let place = Place::with("merge_widths", "CREATE TABLE t (id int PRIMARY KEY, note text)").await;
    let mut random = 7_u64;
    let mut rows = Vec::new();
    for at in 0..6000_u64 {
        let length = [10, 8000, 1900, 3, 2500, 700][(at * 7 % 6) as usize];
        let mut note = format!("{at}:");
        while note.len() < length {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let _ = write!(note, "{:x}", random >> 8);
        }
        rows.push((random % 900, note));
    }
    let text = rows.iter().fold("id,note\n".to_owned(), |mut text, (id, note)| {
        let _ = writeln!(text, "{id},{note}");
        text
    });
    place.file("a.csv", text);
    let winners = |from_the_end: bool| {
        let mut kept = std::collections::BTreeMap::new();
        for (id, note) in &rows {
            let number = note.split(':').next().unwrap().to_owned();
            if from_the_end {
                kept.insert(*id, number);
            } else {
                kept.entry(*id).or_insert(number);
            }
        }
        let mut lines: Vec<String> = kept.iter().map(|(id, number)| format!("{id} {number}")).collect();
        lines.sort();
        lines.join("\n")
    };
    for (on_match, expected) in [("update", winners(true)), ("ignore", winners(false))] {
        for on_bad_row in ["fail", "{reject: {}}"] {
            place.run("TRUNCATE t").await;
            let mode = format!("{{merge: {{key: [id], on_match: {on_match}}}}}");
            let yaml = format!("{{from: a.csv, table: t, mode: {mode}, on_bad_row: {on_bad_row}}}");
            place.load(&yaml).await.unwrap();
            let stored = place.rows("SELECT id, split_part(note, ':', 1) FROM t").await;
            assert_eq!(stored, expected, "{on_match} {on_bad_row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deferred_constraints_name_the_row_with_reject_and_without() {
    let place = Place::new("deferred").await;
    let made = "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
        CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED,
                        parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)";
    for mode in ["append", "truncate", "{replace_partition: {kind: x}}"] {
        place.run(&format!("DROP TABLE IF EXISTS t, parent, jitney_loads; {made}")).await;
        if mode.starts_with('{') {
            place.run("ALTER TABLE t ADD kind text").await;
        }
        place.file("a.csv", "id,parent\n1,1\n2,7\n3,1\n1,1\n4,\n");
        let shown = place.refused(&format!("{{from: a.csv, table: t, mode: {mode}}}")).await;
        assert_says(&shown, &["a.csv:3:3: `parent`: ", "Key (parent)=(7)"]);
        assert!(!shown.contains("not known"), "{shown}");
        assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
        let yaml = format!("{{from: a.csv, table: t, mode: {mode}, on_bad_row: {{reject: {{}}}}}}");
        let outputs = place.load(&yaml).await.unwrap();
        assert_eq!(counts(&outputs), [5, 3, 2, 0], "{mode}");
        let (lines, kept) = rejected(&place, &outputs);
        assert_eq!(lines, [3, 5], "{mode}: {kept}");
        assert_says(&kept, &["(parent)=(7)", "23505"]);
        assert_eq!(place.rows("SELECT id FROM t").await, "1\n3\n4", "{mode}");
    }
    place.file("b.csv", "id,parent\n1,7\n");
    let (outputs, _) = place
        .run_in(
            "e2",
            1,
            "postgres.copy_in",
            "{from: b.csv, table: t, format: CSV, header: true, columns: [id, parent]}",
        )
        .await;
    let error = outputs.unwrap_err();
    assert_says(&format!("{error} {:?}", error.help), &["checking the deferred constraints", "nothing of them"]);
}

/// Types, values that the server cannot take, and the SQLSTATE.
const TOO_MUCH: &[(&str, &str, &str)] = &[
    ("json", "DEEP", "54001"),
    ("jsonb", "DEEP", "54001"),
    ("jsonb", "\"\"\"\\u0000\"\"\"", "22P05"),
    ("text UNIQUE", "LONG", "54000"),
    ("tsvector", "LONG", "54000"),
    ("text", "a\0b", "zero byte"),
    ("int[]", "\"{{{{{{{1}}}}}}}\"", "54000"),
    ("xml", "<a>", "2200N"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_too_much_for_the_server_is_its_rows_fault() {
    let place = Place::new("too_much").await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let long: String = (0..9000_u64).map(|at| format!("{:x}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    for (kind, value, code) in TOO_MUCH {
        let value = value.replace("DEEP", &deep).replace("LONG", &long[..6000]);
        place.file("a.csv", format!("id,v\n1,\n2,{value}\n3,\n"));
        for mode in ["append", "{merge: {key: [id]}}"] {
            place.run(&format!("DROP TABLE IF EXISTS t, jitney_loads; CREATE TABLE t (id int, v {kind})")).await;
            let shown = place.refused(&format!("{{from: a.csv, table: t, mode: {mode}}}")).await;
            assert_says(&shown[..shown.len().min(4000)], &["a.csv:3", code]);
            assert_eq!(place.t().await, "");
            let yaml = format!("{{from: a.csv, table: t, mode: {mode}, on_bad_row: {{reject: {{}}}}}}");
            let outputs = place.load(&yaml).await.unwrap_or_else(|error| {
                panic!("{kind} {code} {mode}: {}", error.to_string().chars().take(500).collect::<String>())
            });
            assert_eq!(counts(&outputs), [3, 2, 1, 0], "{kind} {code} {mode}");
            let (lines, kept) = rejected(&place, &outputs);
            assert_eq!(lines, [3], "{kind} {code} {mode}");
            assert_says(&kept[..kept.len().min(4000)], &[code]);
            assert_eq!(place.rows("SELECT id FROM t").await, "1\n3");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_a_merge_skips_is_no_bad_row() {
    let place = Place::with("merge_skips", "CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n <> 2))").await;
    for (before, rows, on_match) in [
        ("(1, 1)", "1,2\n3,3\n", "ignore"),
        ("(9, 9)", "1,1\n1,2\n3,3\n1,4\n", "ignore"),
        ("(1, 1)", "1,2\n1,3\n3,3\n", "update"),
    ] {
        place.file("a.csv", format!("id,n\n{rows}"));
        let mut ends = Vec::new();
        for rest in ["", ", on_bad_row: {reject: {}}"] {
            place.run(&format!("TRUNCATE t; INSERT INTO t VALUES {before}")).await;
            let mode = format!("mode: {{merge: {{key: [id], on_match: {on_match}}}}}");
            let outputs = place.load(&format!("{{from: a.csv, table: t, {mode}{rest}}}")).await.unwrap();
            ends.push((counts(&outputs), place.t().await));
        }
        assert_eq!(ends[0], ends[1], "{rows} {on_match}");
    }
}
