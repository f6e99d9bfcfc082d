//! `jitney partitions`

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use clap::Args;
use comfy_table::Table;
use serde_json::{Value, json};

use crate::cli::backfill::{given_here, invalid, silent_runner, words};
use crate::cli::calendar::{Mark, calendar, legend};
use crate::cli::format::thousands;
use crate::cli::inputs::pair;
use crate::cli::out::{out, outln};
use crate::cli::{Exit, Invalid, flows};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::Runner;
use crate::engine::backfill::{Beat, Known, Partitioned, Period, Presence, Slot, Standing, Verdict};
use crate::flow::Flow;
use crate::flow::input::InputType;

/// How many partitions are shown when nobody says from when on.
const SHOWN: usize = 12;
/// The most columns of a grid.
const MOST_COLUMNS: usize = 8;

#[derive(Args)]
pub(super) struct Arguments {
    /// The flow's file
    flow: PathBuf,
    /// Only the partitions of this schedule
    #[arg(long, value_name = "ID", conflicts_with = "every")]
    trigger: Option<String>,
    /// The step, for a flow without a schedule: month, day or hour [default: month]
    #[arg(long, value_name = "STEP")]
    every: Option<String>,
    /// The first partition [default: the first that a backfill of the flow asked for, else a year of them]
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// The last partition, included [default: now]
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// An input of the flow; without it there is a column for each choice of a SELECT
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = pair)]
    input: Vec<(String, String)>,
    /// Ask the sources, by headers alone, which partitions have changed there since they were loaded
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A column of the grid: a schedule with values for inputs.
struct Column<'a> {
    name: String,
    beat: Beat<'a>,
    given: Vec<(String, String)>,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let (flow, warnings) = flows::read(&arguments.flow)?;
    warnings.iter().for_each(|warning| eprintln!("{warning}"));
    let runner = silent_runner(settings)?;
    let given = given_here(&flow, &arguments.input);
    let columns = columns(&flow, &arguments, &given)?;
    let mut grid: Vec<(&Column, Vec<Slot>, Vec<Known>)> = Vec::new();
    for column in &columns {
        let slots = slots(&runner, &flow, column, &arguments)?;
        let known = look(&runner, &flow, column, &slots, arguments.check).await?;
        grid.push((column, slots, known));
    }
    if arguments.json {
        let of =
            |(column, _, known): &(&Column, Vec<Slot>, Vec<Known>)| json!({"column": column.name, "partitions": known});
        outln!("{}", Value::Array(grid.iter().map(of).collect()));
        return Ok(Exit::Ok);
    }
    for (column, slots, known) in &grid {
        let marks: Vec<_> = known.iter().map(|known| (known.date, Mark::of(&known.standing))).collect();
        let grain = column.beat.grain(slots.first().map(|slot| slot.date).unwrap_or_default());
        outln!("{}", column.name);
        out!("{}", calendar(&marks, column.beat.times().zone(), grain));
        outln!("  {}\n", legend(marks.iter().map(|(_, mark)| *mark)));
    }
    let filled: Vec<(&str, &[Known])> =
        grid.iter().map(|(column, _, known)| (column.name.as_str(), &known[..])).collect();
    outln!("{}", table(&filled, arguments.check).trim_fmt());
    Ok(Exit::Ok)
}

/// A column for each schedule, and for each choice of a SELECT input that nothing gives a value.
fn columns<'a>(flow: &'a Flow, arguments: &Arguments, given: &[(String, String)]) -> Result<Vec<Column<'a>>, Invalid> {
    let schedules: Vec<&str> =
        flow.triggers.iter().filter(|trigger| trigger.times().is_some()).map(|trigger| trigger.id.as_str()).collect();
    let chosen: Vec<Option<&str>> = match (&arguments.trigger, &arguments.every) {
        (Some(trigger), _) => vec![Some(trigger)],
        (None, None) if !schedules.is_empty() => schedules.iter().copied().map(Some).collect(),
        (None, _) => vec![None],
    };
    let mut columns = Vec::new();
    for trigger in &chosen {
        let beat = Beat::find(flow, *trigger, arguments.every.as_deref()).map_err(invalid)?;
        let name = trigger.filter(|_| chosen.len() > 1).map(str::to_owned);
        columns.extend(variants(flow, &beat, given).into_iter().map(|extra| {
            let values: Vec<&str> = extra.iter().map(|(_, value)| value.as_str()).collect();
            let parts: Vec<&str> = name.as_deref().into_iter().chain(values).collect();
            let name = if parts.is_empty() { flow.id.to_string() } else { parts.join(" ") };
            Column { name, beat: beat.clone(), given: given.iter().cloned().chain(extra).collect() }
        }));
    }
    if columns.len() > MOST_COLUMNS {
        let finding = Diagnostic::error(format!("that would be a grid of {} columns", columns.len()));
        return Err(finding.help("say which with -i NAME=VALUE or --trigger").into());
    }
    Ok(columns)
}

fn variants(flow: &Flow, beat: &Beat, given: &[(String, String)]) -> Vec<Vec<(String, String)>> {
    let is_given = |id: &str| {
        let by_trigger = beat.trigger().is_some_and(|trigger| trigger.common.inputs.contains_key(id));
        by_trigger || given.iter().any(|(name, _)| name == id)
    };
    let open = flow.inputs.iter().filter(|input| input.kind == InputType::Select && !is_given(&input.id));
    open.filter(|input| !input.values.is_empty()).fold(vec![Vec::new()], |variants, input| {
        let with = |variant: &Vec<(String, String)>| -> Vec<Vec<(String, String)>> {
            let each = input.values.iter().map(|value| (input.id.clone(), value.clone()));
            each.map(|pair| variant.iter().cloned().chain([pair]).collect()).collect()
        };
        variants.iter().flat_map(with).collect()
    })
}

fn slots(runner: &Runner, flow: &Flow, column: &Column, arguments: &Arguments) -> anyhow::Result<Vec<Slot>> {
    let now = Utc::now();
    let to = arguments.to.clone().unwrap_or_else(|| now.to_rfc3339());
    let asked_for = || {
        let earlier = runner.journal.backfills(Some(flow.id.as_str()), 1000).unwrap_or_default();
        earlier.into_iter().map(|backfill| backfill.spec.from).min()
    };
    if let Some(from) = arguments.from.clone().or_else(asked_for) {
        return Ok(column.beat.slots(&from, &to).map_err(invalid)?);
    }
    let times = column.beat.times();
    let mut first = Period::read(&to, times.zone()).map_err(invalid)?.end;
    for _ in 0..SHOWN {
        first = times.previous(first).unwrap_or(first);
    }
    Ok(column.beat.slots(&first.to_rfc3339(), &to).map_err(invalid)?)
}

async fn look(
    runner: &Runner,
    flow: &Flow,
    column: &Column<'_>,
    slots: &[Slot],
    check: bool,
) -> anyhow::Result<Vec<Known>> {
    let of = Partitioned { flow, beat: &column.beat, given: &column.given };
    let runs = of.runs(runner, slots).map_err(Invalid)?;
    let presence = match runner.presence(flow, &runs).await {
        Ok(presence) => Some(presence),
        Err(error) => {
            eprintln!("The target cannot be asked what it holds: {error}\nWhat ran before is shown instead.");
            None
        }
    };
    if let Some(Presence::Unknown(why)) = presence.as_ref().and_then(|all| all.first()) {
        eprintln!("The target cannot say what it holds ({why}): what ran before is shown.");
    }
    let mut known = runner.survey(&of, &runs, presence.as_deref())?;
    if check {
        runner.check_sources(&of, &runs, &mut known).await?;
    }
    Ok(known)
}

/// One line for each partition, and some cells of it for each column of the grid.
fn table(grid: &[(&str, &[Known])], check: bool) -> Table {
    let mut table = Table::new();
    let mut header = vec!["partition".to_owned()];
    for (name, _) in grid {
        header.extend([(*name).to_owned(), "rows".to_owned(), "loaded".to_owned(), "checksum".to_owned()]);
        header.extend(check.then(|| "source".to_owned()));
    }
    table.load_style(comfy_table::presets::NOTHING).set_header(header);
    let mut labels: Vec<(chrono::DateTime<Utc>, &str)> =
        grid.iter().flat_map(|(_, known)| known.iter().map(|known| (known.date, known.partition.as_str()))).collect();
    labels.sort_by_key(|(date, label)| (*date, *label));
    let mut seen = std::collections::BTreeSet::new();
    for (_, label) in labels.into_iter().filter(|(_, label)| seen.insert(*label)) {
        let mut row = vec![label.to_owned()];
        for (_, known) in grid {
            let cells = known.iter().find(|known| known.partition == label).map(|known| cells(known, check));
            row.extend(cells.unwrap_or_else(|| vec![String::new(); if check { 5 } else { 4 }]));
        }
        table.add_row(row);
    }
    table
}

fn cells(known: &Known, check: bool) -> Vec<String> {
    let (sign, rows) = (
        Mark::of(&known.standing).sign(),
        match known.standing {
            Standing::Loaded { rows, .. } => thousands(rows),
            _ => String::new(),
        },
    );
    let state = match (&known.standing, &known.note) {
        (Standing::Loaded { .. }, _) => "in".to_owned(),
        (_, Some(note)) => note.clone(),
        (standing, None) => words(standing),
    };
    let loaded = known.loaded.map(|time| time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M").to_string());
    let sum = known.sha256.as_ref().map(|sum| sum.chars().take(8).collect());
    let mut cells = vec![format!("{sign} {state}"), rows, loaded.unwrap_or_default(), sum.unwrap_or_default()];
    if check {
        cells.push(known.source.as_ref().map(said).unwrap_or_default());
    }
    cells
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Same => "same".to_owned(),
        Verdict::Changed(why) => format!("CHANGED: {why}"),
        Verdict::New => "there, not loaded".to_owned(),
        Verdict::Gone => "gone".to_owned(),
        Verdict::NotThere => "not there".to_owned(),
        Verdict::Unknown(why) => format!("unknown: {why}"),
    }
}
