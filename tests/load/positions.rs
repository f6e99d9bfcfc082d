//! The row that the server refuses, where the CONTEXT of its error quotes values of the file.

use crate::load::merges::rejected;
use crate::load::{Place, assert_says, counts};

const BY_DAY: &str = "CREATE TABLE a_2020 (id int, day date, note text CHECK (note NOT LIKE 'bad%'));
    CREATE TABLE t (id int, day date, note text);
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        EXECUTE format('INSERT INTO %I VALUES (%L, %L, %L)', 'a_' || extract(year FROM new.day), new.id, new.day, new.note);
        RETURN new; END $$;
    CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
const REJECT: &str = "{from: a.csv, table: t, on_bad_row: {reject: {}}}";

/// Ends of a value that read as places of a COPY.
const FORGED: [&str; 4] = [
    "COPY t, line 1",
    "COPY t, line 2\n",
    "COPY t, line 1, column note: \"\"x",
    "COPY jitney_stage, line 1, column note: \"\"x\"\"",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_in_the_sql_of_a_trigger_do_not_pass_for_the_row() {
    let place = Place::with("positions_trigger", BY_DAY).await;
    for forged in FORGED {
        place.run("TRUNCATE t, a_2020; DROP TABLE IF EXISTS jitney_loads").await;
        let good = "id,day,note\n1,2020-01-01,n1\n2,2020-01-01,n2\n3,2020-01-01,n3\n";
        place.file("a.csv", format!("{good}9,2020-01-04,\"bad\n{forged}\"\n5,2020-01-01,n5\n"));
        let shown = place.refused("{from: a.csv, table: t}").await;
        assert_says(&shown, &["a.csv:5:", "a_2020_note_check"]);
        let outputs = place.load(REJECT).await.unwrap();
        assert_eq!((counts(&outputs), rejected(&place, &outputs).0[0]), ([5, 4, 1, 0], 5), "{forged}");
        assert_eq!(place.rows("SELECT id FROM t").await, "1\n2\n3\n5", "{forged}");
        assert_eq!(place.rows("SELECT id FROM a_2020").await, "1\n2\n3\n5", "{forged}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_in_the_sql_of_a_domain_do_not_pass_for_the_row() {
    let made = "CREATE FUNCTION f(v text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
            IF v LIKE 'bad%' THEN EXECUTE format('SELECT %L::int', v); END IF; RETURN true; END $$;
        CREATE DOMAIN checked AS text CHECK (f(value)); CREATE TABLE t (id int PRIMARY KEY, note checked)";
    let place = Place::with("positions_domain", made).await;
    for (forged, mode) in FORGED.iter().flat_map(|forged| [(forged, "append"), (forged, "{merge: {key: [id]}}")]) {
        place.run("TRUNCATE t; DROP TABLE IF EXISTS jitney_loads").await;
        place.file("a.csv", format!("id,note\n1,n1\n2,n2\n3,n3\n9,\"bad\n{forged}\"\n5,n5\n"));
        let yaml = format!("{{from: a.csv, table: t, mode: {mode}, on_bad_row: {{reject: {{}}}}}}");
        let outputs = place.load(&yaml).await.unwrap();
        let lines = rejected(&place, &outputs).0;
        assert_eq!((counts(&outputs), lines[0]), ([5, 4, 1, 0], 5), "{forged} {mode}");
        assert_eq!(place.rows("SELECT id FROM t").await, "1\n2\n3\n5", "{forged} {mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_too_large_is_placed_as_far_as_the_server_tells() {
    let names: Vec<String> = (0..1100).map(|number| format!("c{number}")).collect();
    let columns = names.iter().map(|name| format!("{name} bigint")).collect::<Vec<_>>().join(", ");
    let place = Place::with("positions_large", &format!("CREATE TABLE t ({columns})")).await;
    let (header, full, empty) = (names.join(","), vec!["1"; 1100].join(","), format!("1{}", ",".repeat(1099)));
    place.file("a.csv", format!("{header}\n{empty}\n{full}\n{empty}\n"));
    let shown = place.refused("{from: a.csv, table: t}").await;
    assert_says(&shown, &["row is too big", "one of the rows on lines 2 to 4 of a.csv", "`on_bad_row: {reject: {}}`"]);
    assert!(!shown.contains("where: COPY"), "{shown}");
    place.file("b.csv", format!("{header}\n{full}\n"));
    assert_says(&place.refused("{from: b.csv, table: t}").await, &["b.csv:2:", "row is too big"]);
    place.file("c.csv", format!("{header}\n{}{full}\n", format!("{empty}\n").repeat(1500)));
    let shown = place.refused("{from: c.csv, table: t}").await;
    assert_says(&shown, &["one of the rows on lines 504 to 1502 of c.csv"]);
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!((counts(&outputs), rejected(&place, &outputs).0), ([3, 2, 1, 0], vec![3]));
}
