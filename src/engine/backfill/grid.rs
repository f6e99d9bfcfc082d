//! The grid of a flow's partitions: a column for each schedule and each choice of a SELECT, a row for each moment.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::calendar::{Granularity, PartitionKey, PartitionSchedule};
use super::error::BackfillError;
use super::ledger_status::LedgerStatus;
use super::partition_report::PartitionReport;
use super::partition_run::Partitioned;
use super::period::Period;
use crate::diagnostic::Diagnostic;
use crate::engine::Runner;
use crate::flow::Flow;
use crate::flow::input::InputType;
use crate::journal::ExecutionQuery;

/// How many partitions are shown when nobody says from when on.
const SHOWN: usize = 12;
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

/// The partitions of a flow.
#[derive(Debug)]
pub struct PartitionGrid<'a> {
    /// Its columns.
    pub columns: Vec<GridColumn<'a>>,
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
        let mut grid = PartitionGrid { columns: columns(flow, wanted)?, notes: Vec::new() };
        for column in &mut grid.columns {
            let keys = self.shown_keys(flow, &column.schedule, wanted, now)?;
            let keys = &keys[keys.len().saturating_sub(wanted.last.unwrap_or(usize::MAX))..];
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
        let runs = of.runs(self, keys).map_err(BackfillError::Invalid)?;
        let ledger_status = match self.ledger_status(&of, &runs).await {
            Ok(ledger_status) => Some(ledger_status),
            Err(error) => {
                notes.push(format!(
                    "The target cannot be asked what it holds: {error}\nWhat ran before is shown instead."
                ));
                None
            }
        };
        if let Some(LedgerStatus::Unknown(why)) = ledger_status.as_ref().and_then(|all| all.first()) {
            notes.push(format!("The target cannot say what it holds ({why}): what ran before is shown."));
        }
        let mut known = self.partition_report(&of, &runs, ledger_status.as_deref())?;
        if check {
            self.check_sources(&of, &runs, &mut known).await?;
        }
        Ok(known)
    }
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
