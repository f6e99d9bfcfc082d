//! `jitney demo --elt`: loads the sample months through Cloud Storage into BigQuery, on emulators, twice.

use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

use super::folder::DemoFolder;
use super::{FIRST_MONTH, MONTHS, SEED, YEAR, execute, serve, unpack};
use crate::cli::format::{bytes, seconds};
use crate::cli::layout;
use crate::cli::out::{errln, out, outln};
use crate::cli::run::load_counts;
use crate::cli::table::Table;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::gcp::Service;
use crate::journal::{ExecutionState, State};
use crate::sample::month::{MonthFacts, TaxiColour, write_month};
use crate::text::{count, thousands};

const BUCKET: &str = "jitney-demo-taxi";
/// The runs in order: each month as CSV, the same again, then as Parquet.
const RUNS: [(&str, &str); 3] = [
    ("gcp_taxi.yaml", "first run"),
    ("gcp_taxi.yaml", "second run, changes nothing"),
    ("gcp_taxi_parquet.yaml", "as Parquet, replaces it"),
];

/// One load, with the expected number of rows.
struct DemoBigQueryLoad {
    colour: TaxiColour,
    name: &'static str,
    rows: u64,
    state: State,
}

pub(super) async fn run_sample(rows: u64, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    for service in [Service::Storage, Service::BigQuery] {
        if service.emulator(settings).is_none() {
            let message = "the ELT demo runs on emulators of Cloud Storage and BigQuery, but STORAGE_EMULATOR_HOST and \
                           BIGQUERY_EMULATOR_HOST do not name them";
            let help = "run `make demo-elt`, which starts them. To use your own project on Google Cloud: \
                        jitney run flows/gcp_setup.yaml, then flows/gcp_taxi.yaml";
            return Err(InvalidFlow::from(Diagnostic::error(message).help(help)).into());
        }
    }
    let began = Instant::now();
    let demo = unpack(settings)?;
    errln!("Generating two sample months and serving them on this machine …");
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve::serve(demo.mirror.clone(), shutdown).await?;
    let source = format!("http://{address}");
    let mut months = Vec::new();
    for (colour, times) in MONTHS {
        months.push((colour, write_month(&demo.month(colour)?, colour, YEAR, FIRST_MONTH, rows * times, SEED)?));
    }
    // Emulators that are still running have the tables of an earlier demo.
    let dataset = format!("jitney_demo_{}", clock::now().timestamp());
    let place = [("bucket", BUCKET), ("dataset", &dataset), ("location", "US-CENTRAL1")];
    let setup = execute(&demo.flow("gcp_setup.yaml"), &place, settings).await?;
    if !setup.status.is_done() {
        return Ok(ended(&setup));
    }
    let mut loads = Vec::new();
    for (flow, name) in RUNS {
        for (colour, facts) in &months {
            let given = [("taxi", colour.as_str()), ("source", &source), ("bucket", BUCKET), ("dataset", &dataset)];
            let state = load(&demo, flow, &given, settings).await?;
            if !state.status.is_done() {
                return Ok(ended(&state));
            }
            loads.push(DemoBigQueryLoad { colour: *colour, name, rows: facts.rows, state });
        }
    }
    out!("\n{}\n", table(&loads));
    let mut is_correct = check_repeats(&loads);
    for (colour, facts) in &months {
        is_correct &= check(&demo, *colour, facts, &dataset, settings).await?;
    }
    outln!("\nTook {}, on emulators of Cloud Storage and BigQuery.", seconds(began.elapsed()));
    Ok(if is_correct { ExitStatus::Ok } else { ExitStatus::Failed })
}

fn ended(state: &State) -> ExitStatus {
    if state.status == ExecutionState::Killed { ExitStatus::Cancelled } else { ExitStatus::Failed }
}

async fn load(
    demo: &DemoFolder,
    flow: &str,
    given: &[(&str, &str)],
    settings: &Arc<Settings>,
) -> anyhow::Result<State> {
    let (year, month) = (YEAR.to_string(), format!("{FIRST_MONTH:02}"));
    execute(&demo.flow(flow), &[given, &[("year", &year), ("month", &month)]].concat(), settings).await
}

/// What was loaded, one line for each run of each month.
fn table(loads: &[DemoBigQueryLoad]) -> String {
    let mut table =
        Table::new(["file", "run", "rows in file", "loaded", "already there", "in the bucket", "time"]).right_aligned();
    for load in loads {
        let outputs = load.state.tasks.values().find_map(|task| Some((load_counts(&task.outputs)?, &task.outputs)));
        let Some((number, outputs)) = outputs else { continue };
        table.add_row([
            load.colour.file_name(YEAR, FIRST_MONTH),
            load.name.to_owned(),
            thousands(load.rows),
            thousands(number("rows_loaded")),
            thousands(number("rows_skipped")),
            bytes(number("bytes")),
            format!("{:.1} s", outputs.get("seconds").and_then(Value::as_f64).unwrap_or_default()),
        ]);
    }
    table.lines(layout::width(), false)
}

/// Whether the first run loaded every row, and the second none.
fn check_repeats(loads: &[DemoBigQueryLoad]) -> bool {
    let loaded = |load: &DemoBigQueryLoad| {
        let load_counts = load.state.tasks.values().find_map(|task| load_counts(&task.outputs));
        load_counts.map(|number| number("rows_loaded"))
    };
    let wanted = |load: &DemoBigQueryLoad| if load.name == RUNS[1].1 { 0 } else { load.rows };
    let good = loads.iter().all(|load| loaded(load) == Some(wanted(load)));
    let mark = if good { "✓" } else { "✗" };
    outln!("{mark} every first load loaded all rows of its file, every repeated load none");
    good
}

/// Compares the rows and the total amount in the table with those of the file.
async fn check(
    demo: &DemoFolder,
    colour: TaxiColour,
    facts: &MonthFacts,
    dataset: &str,
    settings: &Arc<Settings>,
) -> anyhow::Result<bool> {
    let taxi = colour.as_str();
    let state = execute(&demo.flow("gcp_report.yaml"), &[("taxi", taxi), ("dataset", dataset)], settings).await?;
    let rows = state.tasks.values().find_map(|task| task.outputs.get("rows")?.as_array().cloned()).unwrap_or_default();
    let cents = |row: &Value| row["dollars"].as_f64().map(|dollars| (dollars * 100.0).round() as i64);
    let same =
        rows.len() == 1 && rows[0]["trips"].as_u64() == Some(facts.rows) && cents(&rows[0]) == Some(facts.total_cents);
    let dollars = format!("{}.{:02}", thousands((facts.total_cents / 100).unsigned_abs()), facts.total_cents % 100);
    match same {
        true => outln!("✓ {taxi}: the table holds the file's {} and {dollars} dollars", count(facts.rows, "row")),
        false => {
            let file = count(facts.rows, "row");
            outln!("✗ {taxi}: the file has {file} and {dollars} dollars, the table {}", Value::from(rows));
        }
    }
    Ok(same)
}
