//! What a table holds of loads that are yet to run: the answer of `partitions` and of `backfill --only missing`.

use jitney::task::LedgerAnswer;
use jitney::tasks;
use serde_json::{Value, json};

use crate::load::line::{Fault, Line, server_of};
use crate::load::{Place, assert_says, postgres};

fn fields(value: &str) -> Value {
    json!({"table": "t", "mode": {"replace_partition": {"month": value}}})
}

/// The answers for months 1 to `last`: the rows that are held, or why they are not.
async fn held(place: &Place, last: u32) -> Vec<Result<u64, String>> {
    let context = place.context();
    let look = tasks::find("postgres.load").unwrap().ledger.unwrap().probe;
    let asked = (1..=last).map(|month| (fields(&format!("2024-{month:02}")), context.files.clone())).collect();
    let answers = look(asked, context.settings).await.unwrap();
    let word = |answer| match answer {
        LedgerAnswer::Held(held) => Ok(held.rows),
        LedgerAnswer::Missing(why) => Err(why.unwrap_or_default()),
        LedgerAnswer::Unknown(why) => Err(format!("unknown: {why}")),
    };
    answers.into_iter().map(word).collect()
}

async fn load(place: &Place, month: u32) {
    place.file("a.csv", format!("id\n{month}1\n{month}2\n"));
    let yaml = format!("{{from: a.csv, table: t, mode: {{replace_partition: {{month: 2024-{month:02}}}}}}}");
    place.load_in(&format!("e{month}"), &yaml).await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_others_changed_added_or_replaced_are_not_held() {
    let place = Place::with("held", "CREATE TABLE t (id int, month text)").await;
    assert_eq!(held(&place, 1).await, [Err(String::new())]);
    for month in 1..=6 {
        load(&place, month).await;
    }
    place.run("UPDATE t SET id = 0 WHERE id = 21").await;
    place.run("INSERT INTO t VALUES (33, '2024-03')").await;
    place.run("DELETE FROM t WHERE month = '2024-04'; INSERT INTO t VALUES (1, '2024-04'), (2, '2024-04')").await;
    place.run("DELETE FROM t WHERE id = 51").await;
    let answers = held(&place, 7).await;
    let changed = |own: u32, count: &str| {
        Err(format!("`t` holds {own} of 2 rows as they were loaded, and {count} changed or added since"))
    };
    let expected = [
        Ok(2),
        changed(1, "1 row"),
        changed(2, "1 row"),
        changed(0, "2 rows"),
        Err("`t` holds 1 of 2 rows".to_owned()),
        Ok(2),
        Err(String::new()),
    ];
    assert_eq!(answers, expected);
    // A load of any of these does again what is said to be missing, and nothing else.
    for month in 1..=6 {
        load(&place, month).await;
    }
    assert_eq!(held(&place, 6).await, vec![Ok(2); 6]);
    let loads = place.rows("SELECT partition, count(*) FROM jitney_loads GROUP BY 1").await;
    assert_eq!(loads, "2024-01 1\n2024-02 2\n2024-03 2\n2024-04 2\n2024-05 2\n2024-06 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_whose_origin_cannot_be_told_are_not_held() {
    let place = Place::with("held_rewritten", "CREATE TABLE t (id int, month text)").await;
    load(&place, 1).await;
    place.run("UPDATE jitney_loads SET seconds = 0").await;
    let answers = held(&place, 1).await;
    assert_says(answers[0].as_ref().unwrap_err(), &["it is not known whether `t` holds it", "the entry in the ledger"]);
    place.run("ALTER TABLE jitney_loads DROP xid, DROP updates").await;
    let answers = held(&place, 1).await;
    assert_says(answers[0].as_ref().unwrap_err(), &["`t` holds 0 of 2 rows as they were loaded"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_an_earlier_version_tells_what_is_held() {
    let place = Place::with("held_before", "CREATE TABLE t (id int, month text)").await;
    load(&place, 1).await;
    load(&place, 2).await;
    place.run("ALTER TABLE jitney_loads DROP xid, DROP updates, DROP parts, DROP address").await;
    place.run("DELETE FROM t WHERE id = 21").await;
    assert_eq!(held(&place, 2).await, [Ok(2), Err("`t` holds 1 of 2 rows".to_owned())]);
}

/// The statements about the table and the database, of all that a line has heard.
fn about(line: &Line, words: &[&str]) -> Vec<usize> {
    let statements = line.statements();
    let count = |word: &&str| statements.iter().filter(|sql| sql.contains(*word)).count();
    words.iter().map(count).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_and_a_look_at_the_ledger_ask_for_nothing_twice_or_in_vain() {
    let place = Place::with("asked_once", "CREATE TABLE t (id int, month text)").await;
    load(&place, 1).await;
    place.file("a.csv", "id\n1\n");
    let line = Line::to(server_of(&place.url), |_| Fault::None);
    let words = ["server_encoding", "pg_database", "pg_attribute a JOIN pg_type", "pg_rewrite", "jitney_loads"];
    let url = format!("{}?sslmode=disable", line.url(&place.url));
    let fields = "{from: a.csv, table: t, mode: {replace_partition: {month: 2024-02}}}";
    crate::load::run(fields, postgres::context(place.path(), &url).0).await.unwrap();
    assert_eq!(about(&line, &words), [1, 1, 1, 1, 3], "{:#?}", line.statements());
    assert_eq!(line.statements().len(), 20, "{:#?}", line.statements());

    let line = Line::to(server_of(&place.url), |_| Fault::None);
    let url = format!("{}?sslmode=disable", line.url(&place.url));
    let context = postgres::context(place.path(), &url).0;
    let look = tasks::find("postgres.load").unwrap().ledger.unwrap().probe;
    let answers = look(vec![(self::fields("2024-02"), context.files.clone())], context.settings).await.unwrap();
    assert!(matches!(&answers[0], LedgerAnswer::Held(held) if held.rows == 1), "{answers:?}");
    assert_eq!(about(&line, &words), [0, 0, 1, 0, 3], "{:#?}", line.statements());
}
