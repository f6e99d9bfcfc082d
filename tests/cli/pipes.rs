//! Output that nobody takes: it ends nothing that is in progress, and lost data is reported.

use std::fs::File;
use std::process::{Child, Stdio};

use crate::cli::world::{CommandOutput, World, signal, until};

const FLOW: &str = "id: f\nnamespace: n\ntasks:\n  - {id: a, type: log, message: one}\n  \
    - {id: wait, type: sleep, duration: 200ms}\n  - {id: b, type: log, message: two}\n";
const FAILS: &str = "id: g\nnamespace: n\ntasks:\n  - {id: a, type: fail, errorMessage: no}\n";
const MONTHS: &str = "id: m\nnamespace: n\ntasks:\n  - {id: a, type: log, message: one}\n\
    triggers:\n  - {id: monthly, type: schedule, cron: \"0 6 1 * *\"}\n";

fn world() -> World {
    let world = World::new();
    world.write("f.yaml", FLOW);
    world.write("g.yaml", FAILS);
    world.write("flows/m.yaml", MONTHS);
    world
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_run_with_a_closed_stderr_continues_to_its_end() {
    let world = world();
    let mut child = world.start(&["run", "f.yaml"]);
    drop((child.stderr.take(), child.stdout.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(world.newest()["state"], "SUCCESS");
    let arguments: [&[&str]; 3] = [
        &["run", "f.yaml"],
        &["backfill", "flows/m.yaml", "--from", "2020-01", "--to", "2020-02"],
        &["validate", "f.yaml"],
    ];
    for arguments in arguments {
        let ended = world.command(arguments).stderr(full()).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
    }
    assert_eq!(world.newest()["state"], "SUCCESS");
    let ended = world.command(&["run", "g.yaml"]).stderr(full()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn a_failed_write_to_stdout_is_an_error_except_for_a_closed_pipe() {
    let world = world();
    world.jitney(&["run", "f.yaml"]).ended(0);
    for arguments in
        [&["executions", "--json"][..], &["executions"], &["tasks"], &["schema"], &["run", "f.yaml", "--json"]]
    {
        let lost = world.command(arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        CommandOutput::from(lost).ended(70).says("cannot write to stdout: No space left on device");
        let mut gone = world.start(arguments);
        drop(gone.stdout.take());
        crate::cli::world::output_of(gone).ended(0);
    }
    let mut failed = world.start(&["run", "g.yaml", "--json"]);
    drop(failed.stdout.take());
    crate::cli::world::output_of(failed).ended(1);
}

fn server(world: &World, stderr: Stdio) -> Child {
    let arguments = ["server", "--listen", "127.0.0.1:0", "--flows", "flows"];
    world.command(&arguments).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

#[tokio::test]
async fn a_server_with_a_closed_stderr_works_and_stops() {
    let world = world();
    let every_second = "id: ticks\nnamespace: n\ntasks:\n  - {id: one, type: log, message: hi}\n\
        triggers:\n  - {id: t, type: schedule, cron: \"* * * * * *\", withSeconds: true}\n";
    world.write("flows/ticks.yaml", every_second);
    for stderr in [full(), Stdio::piped()] {
        let mut child = server(&world, stderr);
        drop(child.stderr.take());
        let before = world.jitney(&["executions", "--json"]).json().as_array().unwrap().len();
        until("the server works", async || {
            world.jitney(&["executions", "--json"]).json().as_array().unwrap().len() > before
        })
        .await;
        signal(&child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0), "it stopped gracefully");
    }
}
