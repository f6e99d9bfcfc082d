//! The grid of a flow's partitions: a column for each schedule and each choice of a SELECT, a row for each moment.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::calendar::{Granularity, PartitionKey, PartitionSchedule};
use super::error::BackfillError;
use super::ledger_status::LedgerStatus;
use super::partition_report::PartitionReport;
use super::partition_run::{PartitionRun, Partitioned};
use super::period::Period;
use crate::diagnostic::Diagnostic;
use crate::engine::Runner;
use crate::flow::Flow;
use crate::flow::input::InputType;
use crate::journal::ExecutionQuery;

/// How many partitions are shown when nobody says from when on.
const SHOWN: usize = 12;
/// The most partitions by which a grid is moved to earlier or later ones.
const MAX_MOVED: usize = 400;
/// How many partitions are looked at together: what their executions would be given is only kept for these.
const CHUNK: usize = 1000;
/// The most columns of a grid.
const MAX_COLUMNS: usize = 8;
/// The most backfills of a flow that are looked through for the first partition.
const MAX_EXECUTIONS: u32 = 1000;

/// Which partitions are shown.
#[derive(Clone, Debug, Default)]
pub struct GridRequest {
    /// Those of this schedule alone.
    pub trigger: Option<String>,
    /// The step, for a flow without a schedule.
    pub every: Option<String>,
    /// The first one; else the first that a backfill of the flow asked for, else a year of them.
    pub from: Option<String>,
    /// The last one; else now.
    pub to: Option<String>,
    /// How many at most, the last ones; all of them if none is given.
    pub last: Option<usize>,
    /// Values for inputs; without one there is a column for each choice of a SELECT.
    pub given: Vec<(String, String)>,
    /// Whether the sources are asked, by headers alone, which partitions have changed there since they were loaded.
    pub check: bool,
}

/// The first and the last of some partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first one.
    pub from: String,
    /// The last one.
    pub to: String,
}

/// The partitions of a flow.
#[derive(Debug)]
pub struct PartitionGrid<'a> {
    /// Its columns.
    pub columns: Vec<GridColumn<'a>>,
    /// About as many partitions before the first of these, by the first column's schedule.
    pub earlier: Option<Stretch>,
    /// About as many after the last of these, where there are any that are not in the future.
    pub later: Option<Stretch>,
    /// What could not be found out.
    pub notes: Vec<String>,
}

/// A column of the grid: a schedule with values for inputs.
#[derive(Debug, Serialize)]
pub struct GridColumn<'a> {
    /// Its name.
    #[serde(rename = "column")]
    pub name: String,
    /// What its partitions go by.
    #[serde(skip)]
    pub schedule: PartitionSchedule<'a>,
    /// Its partitions, the earliest first.
    #[serde(rename = "partitions")]
    pub known: Vec<PartitionReport>,
    #[serde(skip)]
    given: Vec<(String, String)>,
}

impl GridColumn<'_> {
    /// The values of inputs that make it a column of its own.
    pub fn inputs(&self) -> &[(String, String)] {
        &self.given
    }

    /// How finely its partitions are named.
    pub fn granularity(&self) -> Granularity {
        self.schedule.granularity(self.known.first().map(|known| known.date).unwrap_or_default())
    }
}

impl Runner {
    /// What is known of a flow's partitions. Nothing is run and nothing downloaded for it.
    ///
    /// # Errors
    /// When a part of the report is not available, or the journal cannot be read.
    pub async fn grid<'a>(
        &self,
        flow: &'a Flow,
        wanted: &GridRequest,
        now: DateTime<Utc>,
    ) -> Result<PartitionGrid<'a>, BackfillError> {
        let columns = columns(flow, wanted)?;
        let mut grid = PartitionGrid { columns, earlier: None, later: None, notes: Vec::new() };
        for (place, column) in grid.columns.iter_mut().enumerate() {
            let keys = self.shown_keys(flow, &column.schedule, wanted, now)?;
            let keys = &keys[keys.len().saturating_sub(wanted.last.unwrap_or(usize::MAX))..];
            if place == 0 {
                (grid.earlier, grid.later) = (earlier(&column.schedule, keys), later(&column.schedule, keys, now));
            }
            column.known = self.look(flow, column, keys, wanted.check, &mut grid.notes).await?;
        }
        Ok(grid)
    }

    fn shown_keys(
        &self,
        flow: &Flow,
        schedule: &PartitionSchedule,
        wanted: &GridRequest,
        now: DateTime<Utc>,
    ) -> Result<Vec<PartitionKey>, BackfillError> {
        let to = wanted.to.clone().unwrap_or_else(|| now.to_rfc3339());
        let from = match &wanted.from {
            Some(from) => Some(from.clone()),
            None => self.first_asked_for(flow)?,
        };
        if let Some(from) = from {
            return schedule.keys(&from, &to).map_err(BackfillError::invalid);
        }
        let times = schedule.times();
        let mut first = Period::read(&to, times.zone()).map_err(BackfillError::invalid)?.end;
        for _ in 0..SHOWN {
            first = times.previous(first).unwrap_or(first);
        }
        schedule.keys(&first.to_rfc3339(), &to).map_err(BackfillError::invalid)
    }

    fn first_asked_for(&self, flow: &Flow) -> Result<Option<String>, BackfillError> {
        let query = ExecutionQuery { flow: Some(flow.id.to_string()), ..ExecutionQuery::default() };
        let (_, earlier) = self.journal.backfills(&query, MAX_EXECUTIONS, 0)?;
        let own = earlier.into_iter().filter(|backfill| backfill.namespace == flow.namespace);
        Ok(own.map(|backfill| backfill.spec.from).min())
    }

    async fn look(
        &self,
        flow: &Flow,
        column: &GridColumn<'_>,
        keys: &[PartitionKey],
        check: bool,
        notes: &mut Vec<String>,
    ) -> Result<Vec<PartitionReport>, BackfillError> {
        let of = Partitioned { flow, schedule: &column.schedule, given: &column.given };
        of.check_given().map_err(BackfillError::Invalid)?;
        let mut found = Vec::with_capacity(keys.len());
        let (mut last, mut refused, mut asks_target) = (None, None, true);
        for keys in keys.chunks(CHUNK) {
            let mut runs = Vec::with_capacity(keys.len());
            let mut without = Vec::new();
            for key in keys {
                match of.run(self, key) {
                    Ok(run) => runs.push(run),
                    Err(findings) => {
                        without.push(PartitionReport::without_run(key, reasons(&findings)));
                        refused.get_or_insert(findings);
                    }
                }
            }
            let mut known = Vec::new();
            if let Some(first) = runs.first() {
                let last = match &mut last {
                    Some(last) => &*last,
                    none => &*none.insert(self.last_runs(&of, &first.key)?),
                };
                let ledger_status = if asks_target { self.ask_target(&of, &runs, notes).await } else { None };
                asks_target = ledger_status.is_some();
                known = self.partition_report(&of, &runs, last, ledger_status.as_deref())?;
                if check {
                    self.check_sources(&of, &runs, &mut known).await?;
                }
            }
            known.extend(without);
            known.sort_by_key(|report| report.date);
            found.extend(known);
        }
        // Some dates may have no run, such as months that a SELECT does not offer; if none has, the inputs are wrong.
        match refused {
            Some(findings) if last.is_none() && keys.len() > 1 => Err(BackfillError::Invalid(findings)),
            _ => Ok(found),
        }
    }

    /// What the target holds of some partitions; none, with a note, where it cannot be asked.
    async fn ask_target(
        &self,
        of: &Partitioned<'_>,
        runs: &[PartitionRun],
        notes: &mut Vec<String>,
    ) -> Option<Vec<LedgerStatus>> {
        let asked = self.ledger_status(of, runs).await;
        let note = match &asked {
            Err(error) => {
                Some(format!("The target cannot be asked what it holds: {error}\nWhat ran before is shown instead."))
            }
            Ok(all) => match all.first() {
                Some(LedgerStatus::Unknown(why)) => {
                    Some(format!("The target cannot say what it holds ({why}): what ran before is shown."))
                }
                _ => None,
            },
        };
        notes.extend(note.filter(|note| !notes.contains(note)));
        asked.ok()
    }
}

/// What is wrong, on one line.
fn reasons(findings: &[Diagnostic]) -> String {
    let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    messages.join("; ")
}

/// How many partitions a grid of so many is moved by.
fn moved_by(keys: &[PartitionKey]) -> usize {
    keys.len().clamp(SHOWN, MAX_MOVED)
}

fn stretch(schedule: &PartitionSchedule, dates: &[DateTime<Utc>]) -> Option<Stretch> {
    let named = schedule.named(dates);
    Some(Stretch { from: named.first()?.label.clone(), to: named.last()?.label.clone() })
}

/// The partitions before the first of a grid, conditions of the trigger aside.
fn earlier(schedule: &PartitionSchedule, keys: &[PartitionKey]) -> Option<Stretch> {
    let times = schedule.times();
    let before = std::iter::successors(times.previous(keys.first()?.date), |date| times.previous(*date));
    let mut dates: Vec<DateTime<Utc>> = before.take(moved_by(keys)).collect();
    dates.reverse();
    stretch(schedule, &dates)
}

/// The partitions after the last of a grid that are not in the future.
fn later(schedule: &PartitionSchedule, keys: &[PartitionKey], now: DateTime<Utc>) -> Option<Stretch> {
    let times = schedule.times();
    let after = std::iter::successors(times.next(keys.last()?.date), |date| times.next(*date));
    let dates: Vec<DateTime<Utc>> = after.take_while(|date| *date <= now).take(moved_by(keys)).collect();
    stretch(schedule, &dates)
}

/// A column for each schedule, and for each choice of a SELECT input that nothing gives a value.
fn columns<'a>(flow: &'a Flow, wanted: &GridRequest) -> Result<Vec<GridColumn<'a>>, BackfillError> {
    let schedules: Vec<&str> =
        flow.triggers.iter().filter(|trigger| trigger.times().is_some()).map(|trigger| trigger.id.as_str()).collect();
    let chosen: Vec<Option<&str>> = match (&wanted.trigger, &wanted.every) {
        (Some(trigger), _) => vec![Some(trigger)],
        (None, None) if !schedules.is_empty() => schedules.iter().copied().map(Some).collect(),
        (None, _) => vec![None],
    };
    let mut columns = Vec::new();
    for trigger in &chosen {
        let schedule =
            PartitionSchedule::find(flow, *trigger, wanted.every.as_deref()).map_err(BackfillError::invalid)?;
        let name = trigger.filter(|_| chosen.len() > 1).map(str::to_owned);
        columns.extend(variants(flow, &schedule, &wanted.given).into_iter().map(|extra| {
            let values: Vec<&str> = extra.iter().map(|(_, value)| value.as_str()).collect();
            let parts: Vec<&str> = name.as_deref().into_iter().chain(values).collect();
            let name = if parts.is_empty() { flow.id.to_string() } else { parts.join(" ") };
            let given = wanted.given.iter().cloned().chain(extra).collect();
            GridColumn { name, schedule: schedule.clone(), known: Vec::new(), given }
        }));
    }
    if columns.len() > MAX_COLUMNS {
        let finding = Diagnostic::error(format!("there would be {} columns", columns.len()));
        return Err(BackfillError::Invalid(vec![finding.help("select one with -i NAME=VALUE or --trigger")]));
    }
    Ok(columns)
}

fn variants(flow: &Flow, schedule: &PartitionSchedule, given: &[(String, String)]) -> Vec<Vec<(String, String)>> {
    let is_given = |id: &str| {
        let by_trigger = schedule.trigger().is_some_and(|trigger| trigger.common.inputs.contains_key(id));
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
