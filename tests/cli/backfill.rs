//! Backfills as their users meet them: a year with holes, kills, and words from another terminal.

use std::fs;
use std::process::Child;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jitney::cli::demo::serve::serve;
use jitney::sample::month::{MonthFacts, TaxiColour, write_month};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cli::world::{CommandOutput, TAXI, World, held, ledger, output_of, until};

const ROWS: u64 = 1500;

/// Writes the months of a year of green trips; of each month another number of rows.
fn year(world: &World) -> Vec<MonthFacts> {
    let write = |month: u32| {
        let file = world.write(&format!("mirror/green/green_tripdata_2019-{month:02}.csv.gz"), "");
        write_month(&file, TaxiColour::Green, 2019, month, ROWS + u64::from(month), 7).unwrap()
    };
    (1..=12).map(write).collect()
}

fn sum<'a>(facts: impl Iterator<Item = &'a MonthFacts>) -> (i64, i64) {
    facts.fold((0, 0), |(rows, cents), month| (rows + month.rows.cast_signed(), cents + month.total_cents))
}

fn path(world: &World, month: u32) -> std::path::PathBuf {
    world.path(&format!("mirror/green/green_tripdata_2019-{month:02}.csv.gz"))
}

fn command<'a>(source: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let year = ["backfill", TAXI, "-i", "taxi=green", "-i", source, "--from", "2019-01", "--to", "2019-12"];
    year.iter().chain(more).copied().collect()
}

/// How many partitions are in each state, and how many failed for which reason.
fn counted(backfill: &Value, what: &str, value: &str) -> usize {
    backfill["partitions"].as_array().unwrap().iter().filter(|partition| partition[what] == value).count()
}

fn kill(mut child: Child) {
    assert!(child.try_wait().unwrap().is_none(), "it was over before it could be killed");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_killed_three_times_loads_exactly_the_available_months() {
    let world = World::with_database("cli_backfill").await;
    let facts = year(&world);
    let kept: Vec<(u32, Vec<u8>)> = [3, 5, 8].map(|month| (month, fs::read(path(&world, month)).unwrap())).to_vec();
    fs::remove_file(path(&world, 3)).unwrap();
    fs::remove_file(path(&world, 8)).unwrap();
    fs::write(path(&world, 5), &kept[1].1[..kept[1].1.len() / 2]).unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve(world.path("mirror"), shutdown).await.unwrap();
    let source = format!("source=http://{address}");
    let client = world.client().await;
    let loads = async || match held(&client).await {
        (0, _) => 0,
        _ => ledger(&client).await,
    };
    let parallel = command(&source, &["--parallel", "3"]);
    let again = ["backfill", "resume"];
    let commands: [&[&str]; 3] = [&parallel, &parallel, &again];
    for (more, command) in [1, 3, 5].into_iter().zip(commands) {
        let child = world.start(command);
        until("some months are in", async || loads().await >= more).await;
        kill(child);
    }
    let result = world.jitney(&["backfill", "resume"]).ended(1);
    let result = result.says("9 loaded, 3 failed; 13,562 rows in all").says("  failed: 404   2019-03, 2019-08\n");
    result.says("  failed: corrupt   2019-05\n").says("  2019   ✓   ✓   ✗   ✓   ✗   ✓   ✓   ✗   ✓   ✓   ✓   ✓\n");
    let whole = facts.iter().enumerate().filter(|(index, _)| ![2, 4, 7].contains(index)).map(|(_, month)| month);
    assert_eq!(held(&client).await, sum(whole));
    assert_eq!(ledger(&client).await, 9, "a month was loaded twice");
    let executions = world.jitney(&["executions", "--limit", "100", "--json"]).ended(0).json();
    assert_eq!(executions.as_array().unwrap().len(), 12, "an execution under way was started anew");

    kept.iter().for_each(|(month, bytes)| fs::write(path(&world, *month), bytes).unwrap());
    let failed = world.jitney(&command(&source, &["--only", "failed", "--parallel", "3"])).ended(0);
    failed.says("3 of 12 partitions to run, 3 at a time.").says("3 loaded, 9 skipped");
    assert_eq!(held(&client).await, sum(facts.iter()));
    assert_eq!(ledger(&client).await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_missing_selects_partitions_that_are_not_in_the_database() {
    let world = World::with_database("cli_backfill_missing").await;
    let facts = year(&world);
    fs::remove_file(path(&world, 4)).unwrap();
    world.jitney(&command("source=mirror", &["--parallel", "4"])).ended(1).says("11 loaded, 1 failed");
    let client = world.client().await;
    client.batch_execute("DELETE FROM green_tripdata WHERE filename = 'green_tripdata_2019-02.csv'").await.unwrap();
    let one = "SELECT ctid FROM green_tripdata WHERE filename = 'green_tripdata_2019-03.csv' LIMIT 1";
    let update = format!("UPDATE green_tripdata SET total_amount = 0 WHERE ctid = ({one})");
    client.batch_execute(&update).await.unwrap();
    let dry = world.jitney(&command("source=mirror", &["--only", "missing", "--dry-run"])).ended(0);
    let dry = dry.says("`public.green_tripdata` holds 0 of 1,502 rows").says("not loaded; failed: no file");
    let changed =
        "`public.green_tripdata` holds 1,502 of 1,503 rows as they were loaded, and 1 row changed or added since";
    dry.says(changed).says("3 of 12 partitions to run").without_data();
    write_month(&path(&world, 4), TaxiColour::Green, 2019, 4, ROWS + 4, 7).unwrap();
    let backfill = world.jitney(&command("source=mirror", &["--only", "missing", "--json"])).ended(0).json();
    assert_eq!((counted(&backfill, "state", "LOADED"), counted(&backfill, "state", "SKIPPED")), (3, 9), "{backfill}");
    assert_eq!(held(&client).await, sum(facts.iter()));

    // The source has a new June, and January is gone from it.
    write_month(&path(&world, 6), TaxiColour::Green, 2019, 6, ROWS + 60, 8).unwrap();
    fs::remove_file(path(&world, 1)).unwrap();
    let arguments =
        ["partitions", TAXI, "-i", "taxi=green", "-i", "source=mirror", "--to", "2019-12", "--check", "--json"];
    let grid = world.jitney(&arguments).ended(0).json();
    let partitions = grid[0]["partitions"].as_array().unwrap();
    let source = |month: usize| partitions[month - 1]["source"]["source"].as_str().unwrap().to_owned();
    assert_eq!([source(1), source(2), source(6)], ["gone", "same", "changed"], "{grid}");
    assert_eq!(
        (partitions.len(), &partitions[5]["rows"], &partitions[5]["state"]),
        (12, &1506.into(), &"LOADED".into())
    );

    // A server tells which version it has, but nothing is known of that of a file that came from a folder.
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve(world.path("mirror"), shutdown).await.unwrap();
    let source = format!("source=http://{address}");
    let arguments = ["partitions", TAXI, "-i", "taxi=green", "-i", &source, "--to", "2019-12", "--check", "--json"];
    let grid = world.jitney(&arguments).ended(0).json();
    let why = grid[0]["partitions"][1]["source"]["why"].as_str().unwrap();
    assert!(why.starts_with("it was loaded from file://") && why.ends_with("neither a version nor a time"), "{why}");
}

/// A flow that naps, each month as long as it says.
fn napping(world: &World, nap: &str, more: &str) {
    let tasks = format!("tasks:\n  - {{id: nap, type: sleep, duration: {nap}}}\n");
    world.write("nap.yaml", format!("id: nap\nnamespace: n\n{tasks}{more}"));
}

fn months<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["backfill", "nap.yaml", "--from", "2019-01", "--to", "2019-12"].iter().chain(more).copied().collect()
}

fn shown(world: &World) -> Value {
    world.jitney(&["backfill", "show", "--json"]).ended(0).json()
}

#[tokio::test]
async fn another_terminal_pauses_resumes_and_cancels() {
    let world = World::new();
    napping(&world, "400ms", "");
    let child = world.start(&months(&["--parallel", "2"]));
    until("it has begun", async || world.jitney(&["backfill", "show"]).out.contains("done, no rows")).await;
    world.jitney(&["backfill", "pause"]).ended(0).says("running executions continue to their end");
    until("all rest", async || counted(&shown(&world), "state", "RUNNING") == 0).await;
    let before = counted(&shown(&world), "state", "LOADED");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(counted(&shown(&world), "state", "LOADED"), before, "it went on while it was paused");
    assert!(world.jitney(&["backfill", "list"]).out.contains("PAUSED"));
    let refused = world.jitney(&months(&["--parallel", "2"])).ended(3);
    refused.says("is running in another process");
    world.jitney(&["backfill", "resume"]).ended(0).says("resumes in the process that runs it");
    until("it continues", async || counted(&shown(&world), "state", "LOADED") > before).await;
    world.jitney(&["backfill", "cancel"]).ended(0);
    let result = output_of(child).ended(130).says("  paused").says("  resumed").says("CANCELLED");
    assert!(counted(&shown(&world), "state", "WAITING") > 0, "{result}");
    world.jitney(&["backfill", "resume"]).ended(3).says("has ended").says("jitney backfill retry");
}

/// When each execution began and ended, in the order of beginning.
fn spans(result: &CommandOutput) -> Vec<[DateTime<Utc>; 3]> {
    let executions = result.json();
    let time = |value: &Value| value.as_str().unwrap().parse().unwrap();
    let span = |one: &Value| ["started", "ended", "trigger_date"].map(|name| time(&one[name]));
    let mut spans: Vec<_> = executions.as_array().unwrap().iter().map(span).collect();
    spans.sort();
    spans
}

#[test]
fn a_backfill_respects_the_concurrency_limit_and_can_run_in_descending_order() {
    let world = World::new();
    napping(&world, "30ms", "concurrency: {limit: 1}\n");
    world.jitney(&months(&["--parallel", "4", "--order", "desc"])).ended(0).says("12 done; 0 rows in all");
    let spans = spans(&world.jitney(&["executions", "--limit", "100", "--json"]));
    assert!(spans.windows(2).all(|pair| pair[0][1] <= pair[1][0]), "two ran at a time: {spans:?}");
    assert!(spans.windows(2).all(|pair| pair[0][2] > pair[1][2]), "not the latest first: {spans:?}");
}

#[test]
fn a_dry_run_names_every_partition_and_changes_nothing() {
    let world = World::new();
    napping(&world, "1ms", "");
    let result = world.jitney(&months(&["--dry-run"])).ended(0).without_data();
    result.says("  2019-01 … 2019-12 (12)  never ran  run\n").says("12 of 12 partitions to run");
    assert_eq!(world.jitney(&["backfill", "list", "--json"]).json(), Value::Array(Vec::new()));
    assert_eq!(world.jitney(&["executions", "--json"]).json(), Value::Array(Vec::new()));
}

#[test]
fn stop_on_failure_starts_no_more_partitions_and_retry_runs_the_rest() {
    let world = World::new();
    let fail = "  - {id: look, type: http.download, uri: '{{ trigger.date | date(\"yyyy-MM\") }}.csv'}\n";
    napping(&world, "1ms", fail);
    world.write("2019-01.csv", "a\n1\n");
    let result = world.jitney(&months(&["--stop-on-failure"])).ended(1);
    result.says("1 done, 1 failed, 10 pending").says("  failed: no file   2019-02\n");
    (2..=12).for_each(|month| drop(world.write(&format!("2019-{month:02}.csv"), "a\n1\n")));
    world.jitney(&["backfill", "retry"]).ended(0).says("12 done");
    let executions = world.jitney(&["executions", "--limit", "100", "--json"]).json();
    assert_eq!(executions.as_array().unwrap().len(), 13, "what was in ran again");
    world.jitney(&["backfill", "retry"]).ended(0).says("there is nothing to retry");
}

#[test]
fn inputs_can_be_rendered_from_the_date_and_are_checked_before_anything_runs() {
    let world = World::new();
    let flow = "id: f\nnamespace: n\ninputs:\n  - {id: year, type: INT, min: 2019}\n\
                tasks:\n  - {id: say, type: log, message: 'year {{ inputs.year }}'}\n";
    world.write("f.yaml", flow);
    let year = "year={{ trigger.date | date('yyyy') }}";
    let all = |from: &'static str| {
        ["backfill", "f.yaml", "--from", from, "--to", "2019-02", "-i", year, "--label", "why=test"]
    };
    world.jitney(&all("2018-12")).ended(3).without_data().says("input `year`: 2018 is less than 2019");
    assert_eq!(world.jitney(&["executions", "--json"]).json(), Value::Array(Vec::new()));
    world.jitney(&all("2019-01")).ended(0).says("2 done");
    let newest = world.newest();
    assert_eq!((&newest["inputs"]["year"], &newest["labels"]["why"]), (&2019.into(), &"test".into()));
    world
        .jitney(&["backfill", "f.yaml", "--from", "2019", "--to", "2019", "--trigger", "x"])
        .ended(3)
        .says("no schedule `x`");
}

#[test]
fn an_input_that_the_schedule_sets_from_the_date_cannot_be_given() {
    let world = World::new();
    let source = ["-i", "source=mirror", "--from", "2020-01", "--to", "2020-03"];
    let run = |command: &'static str, more: &[&'static str]| {
        world.jitney(&[&[command, TAXI][..], &source[..], more].concat())
    };
    let words = "input `year` is `2019`, but the schedule `months` sets it from each partition's date";
    for (command, more) in [("backfill", &["--dry-run"][..]), ("backfill", &[]), ("partitions", &[])] {
        let result = run(command, &[&["-i", "year=2019"][..], more].concat()).ended(3).without_data().says(words);
        result.says("help: remove `year`");
    }
    assert_eq!(world.jitney(&["executions", "--json"]).json(), Value::Array(Vec::new()));
    run("backfill", &["-i", "taxi=green", "-i", "year={{ trigger.date | date('yyyy') }}", "--dry-run"]).ended(0);
}

#[test]
fn every_is_rejected_for_flows_with_a_schedule() {
    let world = World::new();
    for command in ["backfill", "partitions"] {
        let result = world.jitney(&[command, TAXI, "--every", "day", "--from", "2019-01-01", "--to", "2019-01-03"]);
        result.ended(3).without_data().says("`every` is for a flow without a schedule").says("it has `months`");
    }
}

#[test]
fn backfill_warnings_are_printed_before_it_runs() {
    let world = World::new();
    napping(&world, "1ms", "");
    let alike = "warning: the 12 executions all do the same: their inputs are equal, and no task of `nap` reads";
    world.jitney(&months(&["--dry-run"])).ended(0).says(alike);
    world.jitney(&months(&[])).ended(0).says(alike);
    let json = world.jitney(&months(&["--dry-run", "--json"])).ended(0).json();
    assert!(json["warnings"][0].as_str().unwrap().contains("`trigger.date`"), "{json}");
    let run = world.jitney(&["run", "nap.yaml", "--trigger-date", "2019-01-01"]).ended(0);
    run.says("`--trigger-date` has no effect");

    napping(&world, "\"{{ trigger.date | date('M') }}ms\"", "");
    let dated = world.jitney(&months(&["--dry-run"])).ended(0);
    assert!(!dated.err.contains("warning"), "{dated}");
    let later = world.jitney(&["backfill", "nap.yaml", "--from", "2019-01", "--to", "9000-01", "--dry-run"]).ended(3);
    later.says("the period ends after the year 4999");
    world.write("often.yaml", "id: often\nnamespace: n\ntasks:\n  - {id: nap, type: sleep, duration: 1ms}\n");
    let often =
        ["backfill", "often.yaml", "--every", "hour", "--from", "2010-01-01", "--to", "2019-12-31", "--dry-run"];
    world.jitney(&often).ended(3).says("more than 50000 partitions; choose a shorter period");
    let later = world.jitney(&["backfill", "nap.yaml", "--from", "2999-01", "--to", "2999-03", "--dry-run"]).ended(0);
    later.says("warning: 3 of 3 partitions are in the future, from 2999-01 on");
}

#[test]
fn the_preview_shows_the_parallelism_and_an_empty_backfill_succeeds() {
    let world = World::new();
    napping(&world, "1ms", "concurrency: {limit: 2}\n");
    let result = world.jitney(&months(&["--parallel", "8"])).ended(0);
    result.says("12 of 12 partitions to run, 2 at a time, the limit of the flow's `concurrency`.");
    let result = world.jitney(&months(&["--only", "failed"])).ended(0);
    result.says("0 of 12 partitions to run").says("\nSUCCESS: there is nothing to run\n");
}

#[tokio::test]
async fn cancel_without_an_id_cancels_the_running_backfill() {
    let world = World::new();
    napping(&world, "30s", "");
    let child = world.start(&months(&[]));
    until("it has begun", async || world.jitney(&["backfill", "show"]).out.contains("running")).await;
    let first = shown(&world)["id"].as_str().unwrap().to_owned();
    let quick = std::fs::read_to_string(world.path("nap.yaml"))
        .unwrap()
        .replace("30s", "1ms")
        .replace("id: nap\n", "id: quick\n");
    world.write("quick.yaml", quick);
    world.jitney(&["backfill", "quick.yaml", "--from", "2019-01", "--to", "2019-02"]).ended(0);
    world.jitney(&["backfill", "cancel"]).ended(0).says(&format!("Backfill {first} is being cancelled"));
    output_of(child).ended(130);
    world.jitney(&["backfill", "cancel"]).ended(3).says("no backfill is running").says("jitney backfill list");
    world.jitney(&["backfill", "list", "--flow", "none"]).ended(0).says("The flow `none` has no backfills");
    assert!(world.jitney(&["backfill", "list", "--flow", "n.quick"]).ended(0).out.contains("quick"));
}

#[tokio::test]
async fn a_load_that_ignores_the_date_is_not_backfilled_and_its_partitions_are_not_called_loaded() {
    let world = World::with_database("cli_backfill_fixed").await;
    world.write("2019-01.csv", "id,month\n1,2019-01\n2,2019-01\n");
    let flow = |more: &str| {
        format!(
            "id: fixed\nnamespace: n\ninputs:\n  - {{id: month, type: STRING, defaults: 2019-01}}\ntasks:\n  \
             - {{id: load, type: postgres.load, from: '{{{{ inputs.month }}}}.csv', table: trips, schema: infer, \
             mode: {{replace_partition: {{month: '{{{{ inputs.month }}}}'}}}}}}\n{more}"
        )
    };
    world.write("fixed.yaml", flow(""));
    let period = ["fixed.yaml", "--from", "2019-01", "--to", "2019-03"];
    for (to, more) in [("2019-03", &[][..]), ("2019-03", &["--dry-run"]), ("2019-01", &["--only", "missing"])] {
        let backfill = [&["backfill", "fixed.yaml", "--from", "2019-01", "--to", to], more].concat();
        let refused = world.jitney(&backfill).ended(3).says("every partition would load the same");
        refused.says("-i \"month={{ trigger.date | date('yyyy-MM') }}\"");
    }
    assert_eq!(world.jitney(&["executions", "--json"]).json(), Value::Array(Vec::new()));

    // Loaded once, by hand: that is no month of the grid.
    world.jitney(&["run", "fixed.yaml"]).ended(0).says("2 rows loaded");
    let partitions = |more: &[&str]| world.jitney(&[&["partitions"], &period[..], more].concat()).ended(0);
    let shown = partitions(&[]).says("`load` loads the same for every date");
    assert!(shown.out.contains("3 not loaded") && !shown.out.contains('✓'), "{shown}");
    // The input from the date tells them apart.
    let dated = ["-i", "month={{ trigger.date | date('yyyy-MM') }}"];
    let shown = partitions(&dated);
    assert!(shown.out.contains("1 loaded") && shown.out.contains("2 not loaded"), "{shown}");
    let missing = [&["backfill"], &period[..], &dated, &["--only", "missing", "--dry-run"]].concat();
    world.jitney(&missing).ended(0).says("2 of 3 partitions to run");

    // A task that reads the date, though what is loaded does not depend on it.
    world.write("fixed.yaml", flow("  - {id: say, type: log, message: '{{ trigger.date }}'}\n"));
    let missing = world.jitney(&[&["backfill"], &period[..], &["--only", "missing", "--dry-run"]].concat()).ended(0);
    missing.says("`load` loads the same for every date").says("3 of 3 partitions to run");
    assert!(!partitions(&[]).out.contains('✓'));
}
