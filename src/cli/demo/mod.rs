//! `jitney demo`: sample months, served over HTTP on this machine and loaded by the shipped flows into separate
//! tables.

pub mod chart;
pub mod serve;
pub mod zones;

mod elt;
mod folder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chrono::{Datelike, NaiveDate};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cli::exit::io_error;
use crate::cli::format::{bytes, seconds};
use crate::cli::home_errors::unusable_home;
use crate::cli::layout;
use crate::cli::out::{errln, out, outln};
use crate::cli::run::{RunSession, load_counts, per_second};
use crate::cli::table::Table;
use crate::cli::{ExitStatus, InvalidFlow, flows};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::{ExecutionRequest, InputHost};
use crate::flow::input;
use crate::home::make_private;
use crate::journal::{ExecutionState, State};
use crate::postgres::{PostgresSession, RequestedServer, connect, explain, resolve};
use crate::sample::month::{MonthFacts, TaxiColour, write_month};
use crate::text::{count, thousands};
use folder::DemoFolder;

/// The months of the demo: the taxis, and their rows as a multiple of `--rows`.
const MONTHS: [(TaxiColour, u64); 2] = [(TaxiColour::Green, 1), (TaxiColour::Yellow, 4)];
pub(super) const YEAR: i32 = 2020;
pub(super) const FIRST_MONTH: u32 = 4;
const SEED: u64 = 1;
/// More rows would fill the disk.
const MAX_ROWS: u64 = 1_000_000_000;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<DemoCommand>,
    /// Rows of the green month, 100 or more; the yellow one has four times as many [default: 50000, with --elt 5000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=MAX_ROWS))]
    rows: Option<u64>,
    /// Load through Cloud Storage into BigQuery, on emulators that `make demo-elt` starts
    #[arg(long)]
    elt: bool,
}

#[derive(Subcommand)]
enum DemoCommand {
    /// Write one sample month to a file that ends in .csv or .csv.gz
    Month {
        /// The file
        file: PathBuf,
        /// The taxis
        #[arg(long, value_enum, default_value_t = TaxiArgument::Yellow)]
        taxi: TaxiArgument,
        /// The number of rows
        #[arg(long, default_value_t = 100_000)]
        rows: u64,
        /// The year
        #[arg(long, default_value_t = YEAR)]
        year: i32,
        /// The month, 1 to 12
        #[arg(long, default_value_t = FIRST_MONTH, value_parser = clap::value_parser!(u32).range(1..=12))]
        month: u32,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum TaxiArgument {
    Yellow,
    Green,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    match arguments.command {
        Some(DemoCommand::Month { file, taxi, rows, year, month }) => {
            let colour = if matches!(taxi, TaxiArgument::Yellow) { TaxiColour::Yellow } else { TaxiColour::Green };
            check_name(&file)?;
            let facts = write_month(&file, colour, year, month, rows, SEED)
                .map_err(|error| io_error(format_args!("write the month to {}", file.display()), &error))?;
            outln!("{}, {} of CSV, in {}", count(facts.rows, "row"), bytes(facts.raw_bytes), file.display());
            Ok(ExitStatus::Ok)
        }
        None if arguments.elt => elt::run_sample(arguments.rows.unwrap_or(5_000), settings).await,
        None => run_sample(arguments.rows.unwrap_or(50_000), settings).await,
    }
}

/// Rejects a name whose extension is not that of CSV.
fn check_name(file: &Path) -> Result<(), InvalidFlow> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.ends_with(".csv") || name.ends_with(".csv.gz") {
        return Ok(());
    }
    let finding = Diagnostic::error(format!(
        "cannot write a month to `{}`: its extension is not that of a CSV file",
        file.display()
    ));
    Err(finding.help("choose a name that ends in .csv or .csv.gz").into())
}

/// The load of one month, with the facts about its file.
struct DemoLoad {
    colour: TaxiColour,
    facts: MonthFacts,
    state: State,
}

async fn run_sample(rows: u64, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let began = Instant::now();
    let (settings, uses_other_server) = (&demo_settings(settings), environment_names_one(settings));
    let demo = unpack(settings)?;
    errln!("Generating two sample months and serving them on this machine …");
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve::serve(demo.mirror.clone(), shutdown).await?;
    let source = format!("http://{address}");
    let mut loads = Vec::new();
    for (colour, times) in MONTHS {
        let facts = write_month(&demo.month(colour)?, colour, YEAR, FIRST_MONTH, rows * times, SEED)?;
        let given = [
            ("taxi", colour.as_str()),
            ("year", &YEAR.to_string()),
            ("month", &format!("{FIRST_MONTH:02}")),
            ("source", &source),
        ];
        let state = execute(&demo.sample_flow("postgres_taxi.yaml"), &given, settings).await?;
        if !state.status.is_done() {
            return Ok(if state.status == ExecutionState::Killed { ExitStatus::Cancelled } else { ExitStatus::Failed });
        }
        loads.push(DemoLoad { colour, facts, state });
    }
    zones::write_zones(&demo.zones()?)?;
    let zones = execute(&demo.sample_flow("postgres_zones.yaml"), &[("source", source.as_str())], settings).await?;
    let connection = connect(settings, None).await?;
    out!("\n{}\n", table(&loads));
    let is_correct = check(&connection, &loads).await?;
    outln!("{}", chart(&connection).await?);
    outln!("Took {}, on {}.", seconds(began.elapsed()), connection.description);
    out!("{}", demo.next_steps(settings, uses_other_server));
    Ok(if is_correct && zones.status.is_done() { ExitStatus::Ok } else { ExitStatus::Failed })
}

/// The settings of the demo: it uses the private server unless the command line names another one, since the server of
/// the environment may contain anything.
fn demo_settings(settings: &Arc<Settings>) -> Arc<Settings> {
    if settings.postgres.is_some() {
        errln!(
            "The sample months are loaded into the schema `{}` of the server that --postgres names.",
            folder::SCHEMA
        );
        return settings.clone();
    }
    if environment_names_one(settings) {
        errln!(
            "The demo uses a private server, not the one that the environment names; to choose a server: --postgres ADDRESS"
        );
    }
    Arc::new(settings.without_server_of_environment())
}

fn environment_names_one(settings: &Settings) -> bool {
    settings.postgres.is_none() && !matches!(resolve(settings, None), Ok(RequestedServer::Managed))
}

fn unpack(settings: &Settings) -> anyhow::Result<DemoFolder> {
    make_private(&settings.home).map_err(|error| unusable_home(&error, settings))?;
    DemoFolder::unpack(&settings.home.join("demo")).map_err(|error| unusable_home(&error, settings))
}

async fn execute(flow: &Path, given: &[(&str, &str)], settings: &Arc<Settings>) -> anyhow::Result<State> {
    let (flow, _) = flows::read(flow)?;
    let given: Vec<(String, String)> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let inputs = input::resolve(&flow, &given, &InputHost::of(settings, &flow, clock::now())).map_err(InvalidFlow)?;
    let session = RunSession::open(settings, false)?;
    Ok(session.run(&Arc::new(flow), ExecutionRequest { inputs, ..ExecutionRequest::default() }).await?.1)
}

/// What was loaded, one line for each file.
fn table(loads: &[DemoLoad]) -> String {
    let mut table =
        Table::new(["file", "rows in file", "loaded", "rejected", "already there", "time", "rows/s", "CSV/s"])
            .right_aligned();
    for load in loads {
        let outputs = load.state.tasks.values().find_map(|task| Some((load_counts(&task.outputs)?, &task.outputs)));
        let Some((number, outputs)) = outputs else { continue };
        let spent = outputs.get("seconds").and_then(Value::as_f64).unwrap_or_default();
        let rate = |amount: u64| per_second(&number, amount, spent);
        table.add_row([
            load.colour.file_name(YEAR, FIRST_MONTH),
            thousands(load.facts.rows),
            thousands(number("rows_loaded")),
            thousands(number("rows_rejected")),
            thousands(number("rows_skipped")),
            format!("{spent:.1} s"),
            rate(number("rows_read")).map(thousands).unwrap_or_default(),
            rate(load.facts.raw_bytes).map(bytes).unwrap_or_default(),
        ]);
    }
    table.lines(layout::width(), false)
}

/// Compares the tables with the files: rows, and total amount to the cent.
async fn check(connection: &PostgresSession, loads: &[DemoLoad]) -> anyhow::Result<bool> {
    let mut is_correct = true;
    for load in loads {
        let taxi = load.colour.as_str();
        let file = format!("{taxi}_tripdata_{YEAR}-{FIRST_MONTH:02}.csv");
        let sql = format!(
            "SELECT count(*), round(sum(total_amount) * 100)::bigint FROM {}.{taxi}_tripdata WHERE filename = $1",
            folder::SCHEMA
        );
        let row = connection.client.query_one(&sql, &[&file]).await;
        let row = row.map_err(|error| explain("counting the rows of the demo", &error))?;
        let (rows, cents): (i64, Option<i64>) = (row.get(0), row.get(1));
        let same = rows.unsigned_abs() == load.facts.rows && cents == Some(load.facts.total_cents);
        is_correct &= same;
        let dollars = |cents: i64| format!("{}.{:02} dollars", thousands((cents / 100).unsigned_abs()), cents % 100);
        if same {
            outln!(
                "✓ {taxi}: the table holds the file's {} and {}",
                count(load.facts.rows, "row"),
                dollars(load.facts.total_cents)
            );
        } else {
            outln!(
                "✗ {taxi}: the table holds {} and {}, the file {} and {}",
                count(rows.unsigned_abs(), "row"),
                dollars(cents.unwrap_or(0)),
                count(load.facts.rows, "row"),
                dollars(load.facts.total_cents)
            );
        }
    }
    outln!();
    Ok(is_correct)
}

async fn chart(connection: &PostgresSession) -> anyhow::Result<String> {
    let rows = connection.client.query(&DemoFolder::trips_per_day(), &[]).await;
    let rows = rows.map_err(|error| explain("counting trips per day", &error))?;
    let found: BTreeMap<NaiveDate, u64> =
        rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs())).collect();
    let first = NaiveDate::from_ymd_opt(YEAR, FIRST_MONTH, 1);
    let days = first.iter().flat_map(|first| first.iter_days().take_while(|day| day.month() == FIRST_MONTH));
    // Days without trips are part of the chart, too.
    let counts: Vec<_> = days.map(|day| (day, found.get(&day).copied().unwrap_or_default())).collect();
    Ok(chart::trips_per_day(&counts, 78))
}
