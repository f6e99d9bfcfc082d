//! Loads that meet other sessions: each other, a user who stops them, a server that goes away.

use std::time::Duration;

use jitney::task::{ErrorClass, Outputs, TaskError};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::load::{Place, counts, postgres, run};

fn partition(file: &str, value: &str) -> String {
    format!(
        "{{from: {file}, table: t, schema: {{part: text, id: int}}, mode: {{replace_partition: {{part: {value}}}}}}}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_loads_of_the_same_partition_at_once_do_not_double_its_rows() {
    let place = Place::new("same_at_once").await;
    place.file("a.csv", "id\n1\n2\n");
    let yaml = partition("a.csv", "a");
    let (one, other) = tokio::join!(place.load(&yaml), place.load(&yaml));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(counts(&one)[1] + counts(&other)[1], 2, "one of them loads, the other finds it done");
    assert_eq!(place.t().await, "a 1\na 2");
    assert_eq!(place.ledger().await, "a 2 2 0 0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_transactions_see_the_past_makes_no_difference() {
    let place = Place::new("past").await;
    place.run("ALTER DATABASE load_past SET default_transaction_isolation TO 'repeatable read'").await;
    place.file("a.csv", "id\n1\n2\n");
    let yaml = partition("a.csv", "a");
    let (one, other) = tokio::join!(place.load(&yaml), place.load(&yaml));
    assert_eq!(counts(&one.unwrap())[1] + counts(&other.unwrap())[1], 2);
    assert_eq!(place.t().await, "a 1\na 2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_partitions_at_once_both_get_into_a_table_that_was_not_there() {
    let place = Place::new("two_at_once").await;
    place.file("a.csv", "id\n1\n");
    place.file("b.csv", "id\n2\n");
    let (a, b) = (partition("a.csv", "a"), partition("b.csv", "b"));
    let (one, other) = tokio::join!(place.load(&a), place.load(&b));
    assert_eq!((counts(&one.unwrap()), counts(&other.unwrap())), ([1, 1, 0, 0], [1, 1, 0, 0]));
    assert_eq!(place.t().await, "a 1\nb 2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_merges_at_once_do_not_add_a_key_twice() {
    let place = Place::with("merges_at_once", "CREATE TABLE t (id int)").await;
    place.file("a.csv", "id\n1\n2\n");
    place.file("b.csv", "id\n2\n3\n");
    let yaml = |file: &str| format!("{{from: {file}, table: t, mode: {{merge: {{key: [id]}}}}}}");
    let (a, b) = (yaml("a.csv"), yaml("b.csv"));
    let (one, other) = tokio::join!(place.load(&a), place.load(&b));
    assert_eq!((one.unwrap().len(), place.t().await), (other.unwrap().len(), "1\n2\n3".to_owned()));
}

/// A load that has sent its rows and waits for another session, which is about to add the last row's key itself.
struct Held {
    place: Place,
    other: Client,
    load: JoinHandle<Result<Outputs, TaskError>>,
    /// The server's process of the load.
    backend: i32,
    cancel: tokio_util::sync::CancellationToken,
}

impl Held {
    async fn new(name: &str) -> Self {
        let place = Place::with(name, "CREATE TABLE t (id int PRIMARY KEY)").await;
        place.file("a.csv", "id\n1\n2\n3\n");
        let other = postgres::client(&place.url).await;
        other.batch_execute("BEGIN; INSERT INTO t VALUES (3)").await.unwrap();
        let context = place.context();
        let cancel = context.cancel.clone();
        let load = tokio::spawn(run("{from: a.csv, table: t}", context));
        let backend = waiting(&place).await;
        Self { place, other, load, backend, cancel }
    }

    /// The error that the load ended with, once the other session has given way.
    async fn error(self) -> (Place, TaskError) {
        let error = self.load.await.unwrap().unwrap_err();
        self.other.batch_execute("ROLLBACK").await.unwrap();
        (self.place, error)
    }
}

/// The process that waits for a lock.
async fn waiting(place: &Place) -> i32 {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..2000 {
        if let Some(row) = place.client.query_opt(sql, &[]).await.unwrap() {
            return row.get(0);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no session waits for a lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_stopped_in_the_middle_leaves_nothing() {
    let held = Held::new("stopped").await;
    held.cancel.cancel();
    let (place, error) = held.error().await;
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert_eq!(error.message, "the load into `t` was stopped and rolled back");
    assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
    assert_eq!(
        counts(&place.load("{from: a.csv, table: t}").await.unwrap()),
        [3, 3, 0, 0],
        "a second run goes through"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_in_the_middle_leaves_nothing_and_the_load_begins_again() {
    let held = Held::new("broken").await;
    held.place.run(&format!("SELECT pg_terminate_backend({})", held.backend)).await;
    held.other.batch_execute("ROLLBACK").await.unwrap();
    let outputs = held.load.await.unwrap().unwrap();
    assert_eq!((counts(&outputs), held.place.ledger().await.as_str()), ([3, 3, 0, 0], "a.csv 3 3 0 0"));
    assert_eq!(held.place.t().await, "1\n2\n3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_was_stopped_before_it_began_does_nothing() {
    let place = Place::with("stopped_before", "CREATE TABLE t (id int)").await;
    place.file("a.csv", "id\n1\n");
    let context = place.context();
    context.cancel.cancel();
    let error = run("{from: a.csv, table: t}", context).await.unwrap_err();
    assert_eq!((error.class, place.t().await), (ErrorClass::Cancelled, String::new()));
}
