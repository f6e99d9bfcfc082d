//! Crash safety with a crash: the process is killed or stopped in the middle, and a resume sets everything right.

use std::path::Path;
use std::time::{Duration, Instant};

use jitney::cli::demo::serve::serve;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::cli::world::{World, expected, held, ledger, output_of, signal, until};

const ROWS: u64 = 100_000;
const MOMENTS: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_load_killed_at_ten_points_always_ends_with_exactly_the_month() {
    let world = World::with_database("cli_kill").await;
    let facts = world.month(ROWS);
    let client = world.client().await;
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve(world.path("mirror"), shutdown).await.unwrap();
    let source = format!("source=http://{address}");
    let began = Instant::now();
    world.jitney(&world.load_from(&source)).ended(0);
    let whole = began.elapsed();
    let mut killed = 0;
    for moment in 0..MOMENTS {
        client.batch_execute("DROP TABLE green_tripdata, jitney_loads").await.unwrap();
        let mut child = world.start(&world.load_from(&source));
        tokio::time::sleep(Duration::from_millis(20) + whole * moment / MOMENTS).await;
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let resumed = world.jitney(&["resume"]).ended(0);
        if resumed.err.contains("nothing to resume") {
            world.jitney(&world.load_from(&source)).ended(0);
        }
        assert_eq!(held(&client).await, expected(&facts), "killed at moment {moment}\n{resumed}");
        assert_eq!(ledger(&client).await, 1, "killed at moment {moment}\n{resumed}");
        assert_eq!(world.left_in_storage().len(), 0, "{:?}", world.left_in_storage());
    }
    assert!(killed > 2, "nearly every run was over before it could be killed");
}

/// A table whose 1000th row waits for a lock that the returned client holds: a load that is surely in the middle.
async fn gate(world: &World) -> Client {
    let client = world.client().await;
    let ddl = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/postgres/green_tripdata.sql");
    client.batch_execute(&std::fs::read_to_string(ddl).unwrap()).await.unwrap();
    let gate = "CREATE SEQUENCE seen;
        CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('seen') = 1000 THEN PERFORM pg_advisory_xact_lock(7); END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER gate BEFORE INSERT ON green_tripdata FOR EACH ROW EXECUTE FUNCTION gate();
        SELECT pg_advisory_lock(7)";
    client.batch_execute(gate).await.unwrap();
    client
}

async fn until_at_the_gate(client: &Client) {
    let sql = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 7
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    until("the load is at its 1000th row", async || client.query_one(sql, &[]).await.unwrap().get(0)).await;
}

async fn open_the_gate(client: &Client) {
    client.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
}

#[tokio::test]
async fn a_load_killed_during_copy_leaves_no_rows_until_it_is_resumed() {
    let world = World::with_database("cli_kill_copy").await;
    let facts = world.month(3000);
    let client = gate(&world).await;
    let mut child = world.start(&world.load_from("source=mirror"));
    until_at_the_gate(&client).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(world.newest()["state"], "RUNNING", "the journal cannot know yet");
    open_the_gate(&client).await;
    assert_eq!(held(&client).await, (0, 0));
    world.jitney(&["resume"]).ended(0).says("3,000 rows loaded");
    assert_eq!(held(&client).await, expected(&facts));
    assert_eq!(world.newest()["state"], "SUCCESS");
}

#[tokio::test]
async fn ctrl_c_rolls_back_and_prints_how_to_resume() {
    let world = World::with_database("cli_interrupt").await;
    let facts = world.month(3000);
    let client = gate(&world).await;
    let child = world.start(&world.load_from("source=mirror"));
    until_at_the_gate(&client).await;
    signal(&child, "INT");
    let stopped = output_of(child).ended(130).without_data();
    let id = world.newest_id();
    let words =
        format!("Running loads were rolled back; changes made by scripts remain. Resume with: jitney resume {id}");
    stopped.says("stopping; press Ctrl-C again to exit immediately").says(&words);
    assert_eq!(world.newest()["state"], "KILLED");
    assert_eq!(held(&client).await, (0, 0));
    open_the_gate(&client).await;
    world.jitney(&["resume", &id]).ended(0).says("3,000 rows loaded");
    assert_eq!(held(&client).await, expected(&facts));
    assert_eq!(ledger(&client).await, 1);
}

#[tokio::test]
async fn a_running_execution_cannot_be_resumed_by_another_process() {
    let world = World::with_database("cli_taken").await;
    let facts = world.month(3000);
    let client = gate(&world).await;
    let child = world.start(&world.load_from("source=mirror"));
    until_at_the_gate(&client).await;
    let id = world.newest_id();
    let refused = world.jitney(&["resume", &id]).ended(1).without_data();
    refused
        .says(&format!("execution {id} is running in another process; wait until it ends, or stop that process first"));
    open_the_gate(&client).await;
    output_of(child).ended(0);
    assert_eq!(held(&client).await, expected(&facts));
    assert_eq!(ledger(&client).await, 1);
}

/// Notes its process and those of two children, one of which leaves its process group.
const LONG: &str = "id: long\nnamespace: n\ntasks:\n  - id: wait\n    type: shell.commands\n    commands:\n      - |
        echo begins >> $HOME/told
        sleep 600 & echo $! >> $HOME/pids
        setsid sleep 601 & echo $! >> $HOME/pids
        echo $$ >> $HOME/pids
        [ -e $HOME/short ] || sleep 602
        echo done >> $HOME/told\n";

/// The processes of the script that have not ended; none when it has not noted them yet.
fn running(world: &World) -> Option<usize> {
    let noted = std::fs::read_to_string(world.path("pids")).unwrap_or_default();
    let stat = |process: &str| std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let is_running = |process: &&str| {
        !matches!(stat(process).rsplit_once(") "), None | Some((_, ""))) && !stat(process).contains(") Z ")
    };
    (noted.lines().count() == 3).then(|| noted.lines().filter(is_running).count())
}

#[tokio::test]
async fn no_script_outlives_a_jitney_that_is_killed() {
    for name in ["KILL", "HUP", "QUIT"] {
        let world = World::new();
        let flow = world.write("long.yaml", LONG);
        let mut command = world.command(&["run", flow.to_str().unwrap()]);
        let mut child = command.env("HOME", world.path("")).spawn().unwrap();
        until("the script runs", async || running(&world) == Some(3)).await;
        signal(&child, name);
        child.wait().unwrap();
        until(&format!("the script is gone after {name}"), async || running(&world) == Some(0)).await;
    }
}

#[tokio::test]
async fn a_script_is_not_repeated_while_an_earlier_attempt_runs() {
    let world = World::new();
    let flow = world.write("long.yaml", LONG);
    let mut command = world.command(&["run", flow.to_str().unwrap()]);
    let mut child = command.env("HOME", world.path("")).spawn().unwrap();
    until("the script runs", async || running(&world) == Some(3)).await;
    // Who looks after the script is killed too, so that the script stays.
    let noted = std::fs::read_to_string(world.path("pids")).unwrap();
    let script = noted.lines().nth(2).unwrap().to_owned();
    let group = std::process::Command::new("ps").args(["-o", "pgid=", "-p", &script]).output().unwrap().stdout;
    let watcher = String::from_utf8(group).unwrap().trim().to_owned();
    assert!(std::process::Command::new("kill").args(["-KILL", &watcher]).status().unwrap().success());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(running(&world), Some(3), "nobody is there to kill it");
    world.write("short", "");
    std::fs::remove_file(world.path("told")).unwrap();
    let resumed = world.command(&["resume"]).env("HOME", world.path("")).output().unwrap();
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert_eq!(std::fs::read_to_string(world.path("told")).unwrap(), "begins\ndone\n");
    let all = std::fs::read_to_string(world.path("pids")).unwrap();
    let stays = |process: &&str| Path::new("/proc").join(process).join("exe").exists();
    assert_eq!(all.lines().filter(stays).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(std::fs::read_dir(world.home().join("work")).unwrap().count(), 0);
}
