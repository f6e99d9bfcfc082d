//! What bad rows cost, counted in what goes to the server.

use std::sync::atomic::Ordering;

use crate::load::line::{Fault, Line, server_of};
use crate::load::{Place, counts, postgres, run};

/// Runs the task; the bytes that it sent, and its counts.
async fn cost(place: &Place, yaml: &str) -> (usize, [u64; 4]) {
    let line = Line::to(server_of(&place.url), |_| Fault::None);
    let url = format!("{}?sslmode=disable", line.url(&place.url));
    let outputs = run(yaml, postgres::context(place.path(), &url).0).await.unwrap();
    (line.sent.load(Ordering::SeqCst), counts(&outputs))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_not_sent_again_as_a_whole_for_each_of_its_bad_rows() {
    let place = Place::with("cost_batch", "CREATE TABLE t (id int CHECK (id % 50 <> 1), note text)").await;
    let note = "n".repeat(40);
    let file: String = (0..20_000).map(|id| format!("{id},{note}\n")).collect();
    place.file("a.csv", format!("id,note\n{file}"));
    let yaml = "{from: a.csv, table: t, on_bad_row: {reject: {}}}";
    let (bytes, counts) = cost(&place, yaml).await;
    assert_eq!(counts, [20_000, 19_600, 400, 0]);
    assert!(bytes < 30 * file.len(), "{bytes} bytes for a file of {}", file.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rows_are_not_sent_again_for_each_reference_that_is_missing() {
    // A sequence keeps counting when rows are rolled back.
    let made = "CREATE TABLE p (id int PRIMARY KEY); CREATE SEQUENCE seen;
        CREATE TABLE t (id int PRIMARY KEY, r int REFERENCES p);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            PERFORM nextval('seen');
            IF new.r % 50 <> 1 THEN INSERT INTO p VALUES (new.r); END IF; RETURN new; END$$;
        CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
    let place = Place::with("cost_references", made).await;
    let file: String = (0..5000).map(|id| format!("{id},{id}\n")).collect();
    place.file("a.csv", format!("id,r\n{file}"));
    let (_, counts) = cost(&place, "{from: a.csv, table: t, on_bad_row: {reject: {}}}").await;
    assert_eq!(counts, [5000, 4900, 100, 0]);
    let seen: i64 = place.rows("SELECT last_value FROM seen").await.parse().unwrap();
    assert!(seen < 350_000, "{seen} rows");
    assert_eq!(place.rows("SELECT count(*), count(*) FILTER (WHERE r % 50 = 1) FROM t").await, "4900 0");
}
