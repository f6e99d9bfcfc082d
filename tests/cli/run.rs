//! The job: a month into Postgres, from one command, as often as one likes.

use serde_json::json;

use crate::cli::world::{TAXI, World, expected, held, ledger, output_of};

#[tokio::test]
async fn a_month_is_loaded_once_however_often_it_runs() {
    let world = World::with_database("cli_run_twice").await;
    let facts = world.month(5000);
    let client = world.client().await;
    let first = world.load().ended(0).says("SUCCESS in").says("5,000 rows loaded");
    assert!(first.out.contains("public.green_tripdata"), "{first}");
    assert_eq!(held(&client).await, expected(&facts));
    let before: Vec<String> = places(&client).await;
    world.load().ended(0).says("5,000 already there");
    assert_eq!(held(&client).await, expected(&facts));
    assert_eq!(places(&client).await, before, "the second run rewrote rows");
    assert_eq!(ledger(&client).await, 1);
    assert!(world.left_in_storage().is_empty(), "{:?}", world.left_in_storage());
}

/// Where the rows lie on disk: a row that is written again lies elsewhere.
async fn places(client: &tokio_postgres::Client) -> Vec<String> {
    let rows = client.query("SELECT ctid::text FROM green_tripdata ORDER BY ctid", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_month_is_loaded_to_the_cent() {
    let world = World::with_database("cli_run_month").await;
    let wanted = expected(&world.month(35_612));
    let client = world.client().await;
    for _ in 0..2 {
        world.load().ended(0);
        assert_eq!(held(&client).await, wanted);
    }
}

#[tokio::test]
async fn a_run_is_listed_with_its_logs_from_the_journal() {
    let world = World::with_database("cli_run_journal").await;
    world.month(2000);
    let mut arguments = world.load_from("source=mirror").to_vec();
    arguments.push("--json");
    let result = world.jitney(&arguments).ended(0);
    assert_eq!(result.err, "", "with --json a good run is silent");
    let run = result.json();
    assert_eq!((&run["state"], &run["tasks"]["load"]["outputs"]["rows_loaded"]), (&json!("SUCCESS"), &json!(2000)));
    let id = run["id"].as_str().unwrap();
    assert_eq!((world.newest_id().as_str(), &world.newest()["rows"]), (id, &json!(2000)));
    let list = world.jitney(&["executions"]).ended(0).out;
    assert!(list.contains(id) && list.contains("SUCCESS") && list.contains("2,000"), "{list}");
    let show = world.jitney(&["executions", "show", &id[..12]]).ended(0).out;
    assert!(show.contains("rows_loaded = 2000") && show.contains("input   taxi = green"), "{show}");
    assert_eq!(world.jitney(&["executions", "show", id, "--json"]).ended(0).json(), run);
    let logs = world.jitney(&["executions", "logs", id]).ended(0).out;
    assert!(logs.contains("INFO") && logs.contains("using PostgreSQL"), "{logs}");
    let lines = world.jitney(&["executions", "logs", id, "--json"]).ended(0).json();
    assert!(lines.as_array().unwrap().iter().any(|line| line["task"] == "load"), "{lines}");
    assert_eq!(world.jitney(&["executions", "--flow", "other", "--json"]).ended(0).json(), json!([]));
}

#[test]
fn a_run_prints_no_messages_of_libraries() {
    let world = World::new();
    world.write("days.csv", "id,day\n1,2020-04-01\n2,2020-04-02\n");
    let flow = "id: days
namespace: n
tasks:
  - id: cast
    type: polars.transform
    from: days.csv
    with_columns: {date: CAST(day AS DATE)}
    sql: SELECT id, CAST(day AS DATE) AS day, date + INTERVAL '1 day' AS next FROM self WHERE CAST(day AS DATE) > '2020-04-01'
";
    world.write("days.yaml", flow);
    let result = world.jitney(&["run", "days.yaml"]).ended(0).says("SUCCESS");
    for word in ["deprecat", "polars 2", "polars-", "warning"] {
        assert!(!result.err.to_lowercase().contains(word), "{result}");
    }
}

#[tokio::test]
async fn two_runs_of_one_month_at_once_load_it_once() {
    let world = World::with_database("cli_run_together").await;
    let facts = world.month(20_000);
    let client = world.client().await;
    let both = [(); 2].map(|()| world.start(&world.load_from("source=mirror")));
    both.into_iter().for_each(|child| drop(output_of(child).ended(0)));
    assert_eq!(held(&client).await, expected(&facts));
    assert_eq!(ledger(&client).await, 1);
}

#[test]
fn an_invalid_command_line_exits_with_2() {
    let world = World::new();
    for arguments in [&["run"][..], &["nonsense"], &["run", TAXI, "-i", "taxi"], &["executions", "--limit", "x"]] {
        world.jitney(arguments).ended(2).without_data().says("--help");
    }
    world.jitney(&["run", TAXI, "-i", "taxi"]).says("`taxi` is not of the form NAME=VALUE");
    assert!(!world.home().exists(), "a usage error made a home");
}
