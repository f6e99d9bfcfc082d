//! `jitney partitions`

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use clap::Args;
use serde_json::json;

use crate::cli::backfill::{explain, reading_runner, texts_with_absolute_paths};
use crate::cli::calendar::{CalendarMark, calendar, legend};
use crate::cli::inputs::parse_pair;
use crate::cli::out::{self, errln, exact, outln};
use crate::cli::table::Table;
use crate::cli::{ExitStatus, flows};
use crate::cli::{colour, layout};
use crate::clock;
use crate::config::Settings;
use crate::engine::backfill::{GridRequest, PartitionReport, PartitionStatus, SourceChange};
use crate::text::thousands;

/// Characters of a cell; longer texts are printed below the table.
const MAX_STATE_WIDTH: usize = 24;
const MAX_SOURCE_WIDTH: usize = 42;

#[derive(Args)]
pub(super) struct Arguments {
    /// The flow's file
    flow: PathBuf,
    /// Show only the partitions of this schedule
    #[arg(long, value_name = "ID", conflicts_with = "every")]
    trigger: Option<String>,
    /// The step, for a flow without a schedule: month, day or hour [default: month]
    #[arg(long, value_name = "STEP")]
    every: Option<String>,
    /// The first partition [default: the first one of the flow's backfills, else a year ago]
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// The last partition, inclusive [default: now]
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// An input of the flow; a SELECT input without a value gets a column for each of its choices
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = parse_pair)]
    input: Vec<(String, String)>,
    /// Check, by HTTP headers alone, which partitions have changed at the source since they were loaded
    #[arg(long)]
    check: bool,
    /// Print the partitions as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let (flow, warnings) = flows::read(&arguments.flow)?;
    warnings.iter().for_each(|warning| errln!("{warning}"));
    let runner = reading_runner(settings)?;
    let given = texts_with_absolute_paths(&flow, &arguments.input);
    let Arguments { trigger, every, from, to, check, .. } = arguments;
    let wanted = GridRequest { trigger, every, from, to, last: None, given, check };
    let grid = runner.grid(&flow, &wanted, clock::now()).await.map_err(explain)?;
    grid.notes.iter().for_each(|note| errln!("{note}"));
    if arguments.json {
        outln!("{}", json!(grid.columns));
        return Ok(ExitStatus::Ok);
    }
    for column in &grid.columns {
        let marks: Vec<_> = column.known.iter().map(|known| (known.date, CalendarMark::of(&known.status))).collect();
        outln!("{}", column.name);
        let drawn = calendar(&marks, column.schedule.times().zone(), column.granularity());
        let drawn = format!("{drawn}  {}\n\n", legend(marks.iter().map(|(_, mark)| *mark)));
        exact(&colour::marks(&drawn, colour::on_stdout()));
    }
    let filled: Vec<(&str, &[PartitionReport])> =
        grid.columns.iter().map(|column| (column.name.as_str(), &column.known[..])).collect();
    let mut notes = Footnotes::default();
    let together = table(&filled, wanted.check, &mut notes);
    if together.natural_width() <= layout::width() || filled.len() == 1 {
        out::table(&together);
    } else {
        // Side by side they are too wide.
        for (index, column) in filled.iter().enumerate() {
            exact(if index > 0 { "\n" } else { "" });
            out::table(&table(&[*column], wanted.check, &mut notes));
        }
    }
    notes.0.iter().enumerate().for_each(|(index, note)| outln!("[{}] {note}", index + 1));
    Ok(ExitStatus::Ok)
}

/// Texts that are too long for a table and are printed below it.
#[derive(Default)]
struct Footnotes(Vec<String>);

impl Footnotes {
    /// A word for the table, with the number of the footnote.
    fn refer_to(&mut self, word: &str, text: &str) -> String {
        let place = self.0.iter().position(|note| note == text).unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        format!("{word} [{}]", place + 1)
    }

    /// The text itself if it has at most `most` characters, otherwise its beginning with a footnote.
    fn shorten(&mut self, text: String, most: usize) -> String {
        match text.char_indices().nth(most) {
            None => text,
            Some(_) => {
                let begin: String = text.chars().take(most / 2).collect();
                self.refer_to(&format!("{}…", begin.trim_end()), &text)
            }
        }
    }
}

/// One row for each partition, with several cells for each column of the grid.
fn table(grid: &[(&str, &[PartitionReport])], check: bool, notes: &mut Footnotes) -> Table {
    let mut header = vec!["partition".to_owned()];
    for (name, _) in grid {
        header.extend([(*name).to_owned(), "rows".to_owned(), "loaded".to_owned(), "checksum".to_owned()]);
        header.extend(check.then(|| "source".to_owned()));
    }
    let states: Vec<&str> = grid.iter().map(|(name, _)| *name).chain(["source"]).collect();
    let mut table = Table::new(header).breaking(&states);
    let mut labels: Vec<(chrono::DateTime<Utc>, &str)> =
        grid.iter().flat_map(|(_, known)| known.iter().map(|known| (known.date, known.partition.as_str()))).collect();
    labels.sort_by_key(|(date, label)| (*date, *label));
    let mut seen = std::collections::BTreeSet::new();
    for (_, label) in labels.into_iter().filter(|(_, label)| seen.insert(*label)) {
        let mut row = vec![label.to_owned()];
        for (_, known) in grid {
            let cells = known.iter().find(|known| known.partition == label).map(|known| cells(known, check, notes));
            row.extend(cells.unwrap_or_else(|| vec![String::new(); if check { 5 } else { 4 }]));
        }
        table.add_row(row);
    }
    table
}

fn cells(known: &PartitionReport, check: bool, notes: &mut Footnotes) -> Vec<String> {
    let (sign, rows) = (
        CalendarMark::of(&known.status).sign(),
        match known.status {
            PartitionStatus::Loaded { rows, .. } => thousands(rows),
            _ => String::new(),
        },
    );
    let state = match (&known.status, &known.note) {
        (PartitionStatus::Loaded { .. }, _) => "loaded".to_owned(),
        (_, Some(note)) => note.clone(),
        (status, None) => status.to_string(),
    };
    let loaded = known.loaded.map(|time| time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M").to_string());
    let sum = known.sha256.as_ref().map(|sum| sum.chars().take(8).collect());
    let state = notes.shorten(state, MAX_STATE_WIDTH);
    let mut cells = vec![format!("{sign} {state}"), rows, loaded.unwrap_or_default(), sum.unwrap_or_default()];
    if check {
        cells.push(known.source.as_ref().map(|source| source_text(source, notes)).unwrap_or_default());
    }
    cells
}

fn source_text(verdict: &SourceChange, notes: &mut Footnotes) -> String {
    match verdict {
        SourceChange::Same => "same".to_owned(),
        SourceChange::Changed(why) => notes.shorten(format!("changed: {why}"), MAX_SOURCE_WIDTH),
        SourceChange::New => "there, not loaded".to_owned(),
        SourceChange::Gone => "gone".to_owned(),
        SourceChange::NotThere => "not there".to_owned(),
        SourceChange::Unknown(why) => notes.refer_to("unknown", why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_stands_below_the_table_once() {
        let why = format!("cannot request http://localhost:1/{}: connection refused", "x".repeat(300));
        let known = |partition: &str| PartitionReport {
            partition: partition.to_owned(),
            date: chrono::DateTime::default(),
            status: PartitionStatus::Loaded { rows: 44_000, already: false },
            note: None,
            loaded: Some(chrono::DateTime::default()),
            sha256: Some("ab50cfda00".to_owned()),
            execution: None,
            source: Some(SourceChange::Unknown(why.clone())),
        };
        let (known, mut notes) = ([known("2019-04"), known("2019-05")], Footnotes::default());
        let table = table(&[("postgres_taxi", &known[..])], true, &mut notes).lines(80, false);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert_eq!((table.matches("unknown [1]").count(), notes.0), (2, vec![why]));
    }
}
