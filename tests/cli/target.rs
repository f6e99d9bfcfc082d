//! An execution and a backfill go on with the Postgres that they began with, unless somebody says otherwise.

use crate::cli::postgres;
use crate::cli::world::World;

const FLOW: &str = "id: f\nnamespace: n\ntasks:\n  - {id: get, type: http.download, uri: late.csv}\n  \
    - {id: fill, type: postgres.query, sql: \"CREATE TABLE IF NOT EXISTS filled (a int)\"}\n";
const MONTHS: &str = "id: f\nnamespace: n\ntasks:\n  - {id: get, type: http.download, uri: late.csv}\n  \
    - {id: fill, type: postgres.query, sql: \"CREATE TABLE IF NOT EXISTS filled (a int)\"}\n\
    triggers:\n  - {id: monthly, type: schedule, cron: \"0 6 1 * *\"}\n";

async fn is_filled(address: &str) -> bool {
    let sql = "SELECT to_regclass('filled') IS NOT NULL";
    postgres::client(address).await.query_one(sql, &[]).await.unwrap().get(0)
}

fn place(address: &str) -> String {
    let (_, place) = address.rsplit_once('@').unwrap();
    place.replace("127.0.0.1", "localhost")
}

#[tokio::test]
async fn an_execution_resumes_with_its_target_or_with_retarget() {
    let (first, second) = (postgres::database("target_first").await, postgres::database("target_second").await);
    let mut world = World::at(first.clone());
    world.write("f.yaml", FLOW);
    let failed = world.jitney(&["run", "f.yaml"]).ended(1);
    let id = world.newest_id();
    let (login, _) = first.rsplit_once('@').unwrap();
    let (_, password) = login.rsplit_once(':').unwrap();
    assert!(!failed.err.contains(password), "{failed}");
    assert!(failed.err.contains(&format!("jitney resume {id} --postgres postgres://")), "{failed}");
    world.write("late.csv", "a\n");

    world.postgres = None;
    let began =
        format!("execution {id} began with Postgres at {} and would continue with the private Postgres", place(&first));
    world.jitney(&["resume"]).ended(3).without_data().says(&began).says("--retarget");
    world.jitney(&["replay", &id]).ended(3).says(&began);
    assert!(!world.home().join("postgres").exists(), "a private server was made");

    // One that does not answer is not written down.
    world.postgres = Some("postgres://u@127.0.0.1:1/x".to_owned());
    world.jitney(&["resume", "--retarget"]).ended(1).says("no Postgres server answers");

    world.postgres = Some(second.clone());
    world.jitney(&["resume"]).ended(3).says(&place(&first)).says(&place(&second));
    assert_eq!(world.newest()["state"], "FAILED");
    world.jitney(&["resume", "--retarget"]).ended(0);
    assert_eq!((is_filled(&first).await, is_filled(&second).await), (false, true));
    // From now on it belongs there.
    world.jitney(&["replay", &id]).ended(0);
    world.postgres = Some(first.clone());
    world.jitney(&["replay", &id]).ended(3).says(&place(&second));
}

#[tokio::test]
async fn the_same_server_may_be_named_in_any_way_on_resume() {
    let mut world = World::with_database("target_same").await;
    world.write("f.yaml", FLOW);
    world.jitney(&["run", "f.yaml"]).ended(1);
    world.write("late.csv", "a\n");
    let address = world.postgres.take().unwrap();
    let resumed = world.command(&["resume"]).env("DATABASE_URL", &address).output().unwrap();
    crate::cli::world::CommandOutput::from(resumed).ended(0);
    assert!(is_filled(&address).await);
}

#[tokio::test]
async fn the_private_server_is_recognised_by_its_address() {
    let mut world = World::new();
    world.write("f.yaml", FLOW);
    world.jitney(&["run", "f.yaml"]).ended(1);
    let url = world.jitney(&["postgres", "url"]).ended(0).out.trim().to_owned();
    world.write("late.csv", "a\n");
    world.postgres = Some(url.replace("127.0.0.1", "localhost"));
    world.jitney(&["resume"]).ended(0);
    assert!(is_filled(&url).await);
    // And back again.
    std::fs::remove_file(world.path("late.csv")).unwrap();
    world.jitney(&["run", "f.yaml"]).ended(1);
    world.write("late.csv", "a\n");
    world.postgres = None;
    world.jitney(&["resume"]).ended(0);
    world.jitney(&["postgres", "destroy", "--yes"]).ended(0);
}

#[test]
fn executions_without_a_recorded_target_resume_anywhere() {
    let mut world = World::at("postgres://u@127.0.0.1:1/x".to_owned());
    world.write("f.yaml", "id: f\nnamespace: n\ntasks:\n  - {id: get, type: http.download, uri: late.csv}\n");
    world.jitney(&["run", "f.yaml"]).ended(1);
    world.write("late.csv", "a\n");
    world.postgres = None;
    world.jitney(&["resume"]).ended(0);

    let flow = FLOW.replace("late.csv", "later.csv").replace("type: postgres", "disabled: true, type: postgres");
    world.write("old.yaml", flow);
    world.postgres = Some("postgres://u@127.0.0.1:1/x".to_owned());
    world.jitney(&["run", "old.yaml"]).ended(1);
    let journal = rusqlite::Connection::open(world.home().join("journal.db")).unwrap();
    journal.execute("UPDATE events SET body = json_remove(body, '$.target', '$.started_by')", []).unwrap();
    drop(journal);
    world.write("later.csv", "a\n");
    world.postgres = None;
    world.jitney(&["resume"]).ended(0);
}

#[tokio::test]
async fn a_backfill_resumes_with_its_target_or_with_retarget() {
    let (first, second) = (postgres::database("target_months").await, postgres::database("target_others").await);
    let mut world = World::at(first.clone());
    world.write("f.yaml", MONTHS);
    let failed = world.jitney(&["backfill", "f.yaml", "--from", "2020-01", "--to", "2020-02"]).ended(1);
    assert!(failed.err.contains(" --postgres postgres://"), "{failed}");
    world.write("late.csv", "a\n");

    world.postgres = None;
    let words = format!("began with Postgres at {} and would continue with the private Postgres", place(&first));
    world.jitney(&["backfill", "retry"]).ended(3).says(&words).says("--retarget");
    world.postgres = Some(second.clone());
    world.jitney(&["backfill", "retry"]).ended(3).says(&place(&first)).says(&place(&second));
    world.jitney(&["backfill", "retry", "--retarget"]).ended(0);
    assert_eq!((is_filled(&first).await, is_filled(&second).await), (false, true));
}
