//! The home and the ledger of the first version with a journal of schema 5, met by this one: everything is still known,
//! and nothing is loaded again.

use rusqlite::Connection;
use serde_json::json;

use crate::cli::world::World;

const JOURNAL: &str = include_str!("journal.sql");
const KV: &str = include_str!("kv.sql");
const LEDGER: &str = include_str!("ledger.sql");
const FLOWS: [(&str, &str); 3] = [
    ("load.yaml", include_str!("load.yaml")),
    ("month.yaml", include_str!("month.yaml")),
    ("waits.yaml", include_str!("waits.yaml")),
];
/// Which of the months the ledger does not have.
const MISSING: [&str; 9] =
    ["backfill", "month.yaml", "--from", "2020-01", "--to", "2020-03", "--only", "missing", "--dry-run"];
const FAILED: &str = "1m8ggwrjqdy7m14f";
const PAUSED: &str = "1m8ggwrkd6zbaj71";
const BACKFILL: &str = "1m8ggwrh6wxzeqjw";

/// What the first version left: two of three months are loaded, and a file, in each way.
async fn left_behind(database: &str) -> World {
    let world = World::with_database(database).await;
    world.client().await.batch_execute(LEDGER).await.unwrap();
    for (name, text) in FLOWS {
        world.write(name, text);
    }
    world.write("a.csv", "id,v\n1,x\n2,y\n");
    for month in ["01", "02"] {
        world.write(&format!("months/2020-{month}.csv"), format!("day,n\n2020-{month}-01,{month}\n"));
    }
    world.write("home/.keep", "");
    for (name, sql) in [("journal.db", JOURNAL), ("kv.db", KV)] {
        let sql = sql.replace("{folder}", world.path("").to_str().unwrap().trim_end_matches('/'));
        let sql = sql.replace("{home}", world.home().to_str().unwrap());
        Connection::open(world.home().join(name)).unwrap().execute_batch(&sql).unwrap();
    }
    world
}

#[tokio::test]
async fn a_home_of_the_first_version_is_still_known() {
    let world = left_behind("cli_upgrade_home").await;
    let executions = world.jitney(&["executions", "--json"]).ended(0).json();
    let states: Vec<(&str, &str)> = executions
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["flow"].as_str().unwrap(), one["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("killed", "RUNNING"),
        ("waits", "PAUSED"),
        ("fails", "FAILED"),
        ("month", "FAILED"),
        ("month", "SUCCESS"),
        ("month", "SUCCESS"),
        ("load", "SUCCESS"),
        ("load", "SUCCESS"),
    ];
    assert_eq!(states, expected);
    assert_eq!(executions[0]["interrupted"], json!(true));
    let prints = |arguments: &[&str], text: &str| {
        let out = world.jitney(arguments).ended(0).out;
        assert!(out.contains(text), "{out}");
    };
    prints(&["executions", "logs", FAILED], "the script ended with exit code 1");
    prints(&["kv", "list", "-n", "upgrade"], "last");
    world.jitney(&["resume", PAUSED, "-i", "by=ann"]).ended(0).says("approved by ann");
    prints(&["backfill", "list"], "2 of 3");
    world.write("months/2020-03.csv", "day,n\n2020-03-01,3\n");
    world.jitney(&["backfill", "retry", BACKFILL]).ended(0).says("3 loaded");
}

#[tokio::test]
async fn what_the_first_version_loaded_is_not_loaded_again() {
    let world = left_behind("cli_upgrade_ledger").await;
    world.jitney(&MISSING).ended(0).says("1 of 3 partitions to run");
    world.jitney(&["run", "load.yaml"]).ended(0);
    let loaded = world.newest();
    assert_eq!(loaded["rows"], json!(0), "{loaded}");
    world.jitney(&["run", "month.yaml", "--trigger-date", "2020-01-01"]).ended(0).says("already there");
    world.jitney(&MISSING).ended(0).says("1 of 3 partitions to run");
    let rows = "SELECT count(*) FROM (SELECT id FROM appended UNION ALL SELECT id FROM merged UNION ALL
                SELECT id FROM truncated UNION ALL SELECT id FROM keyed UNION ALL SELECT n FROM trips) t";
    assert_eq!(world.client().await.query_one(rows, &[]).await.unwrap().get::<_, i64>(0), 10);
}

#[tokio::test]
async fn a_ledger_of_the_first_version_from_a_dump_does_not_vouch_for_rows() {
    let world = left_behind("cli_upgrade_dump").await;
    // A dump writes all entries of the ledger in one transaction.
    let copied = "CREATE TEMP TABLE copied AS TABLE jitney_loads; TRUNCATE jitney_loads, appended;
                  BEGIN; INSERT INTO jitney_loads OVERRIDING SYSTEM VALUE TABLE copied; INSERT INTO appended VALUES (8, 'p'), (9, 'q'); COMMIT";
    world.client().await.batch_execute(copied).await.unwrap();
    world.jitney(&["run", "load.yaml"]).ended(1).says("rows cannot be told from others");
    world.jitney(&MISSING).ended(0).says("3 of 3 partitions to run");
}
