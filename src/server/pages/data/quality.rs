//! What the data-quality rules of flows (`expect`) said of the last executions. The journal keeps no verdict of its own: a rule that
//! failed is the error of its task, one that warned is in its log, and otherwise all held.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use serde::Serialize;

use super::rule::ShownRule;
use super::{DataHead, head};
use crate::blocking::run_blocking;
use crate::flow::{Flow, Step};
use crate::journal::{Journal, JournalError, LogFilter, LogPosition, Summary, TaskState};
use crate::server::App;
use crate::server::api::parameters::QueryParameters;
use crate::server::pages::format::ShownTime;
use crate::server::pages::shell::{NavPage, Shell, flow_address};
use crate::server::pages::state::StateBadge;
use crate::server::pages::{PageResult, page_or_json};
use crate::task::Level;
use crate::tasks::polars::expect::is_verdict;
use crate::text::shortened;

/// How many flows are looked at, and how many executions of each.
const MAX_FLOWS: usize = 12;
const MAX_EXECUTIONS: u32 = 24;
/// How many warnings of one task run are read, and how long the shown one may be.
const MAX_WARNINGS: u32 = 10;
const MAX_MESSAGE: usize = 300;

/// What the rules of a task said in an execution.
#[derive(Serialize)]
struct Verdict {
    execution: String,
    state: StateBadge,
    message: String,
    at: ShownTime,
    /// Its place in the strip.
    x: usize,
}

/// A task with rules.
#[derive(Serialize)]
struct Rules {
    flow: String,
    address: String,
    task: String,
    rules: Vec<ShownRule>,
    /// The oldest first.
    verdicts: Vec<Verdict>,
}

impl Rules {
    /// Those that did not hold, the newest first.
    fn broken(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().rev().filter(|verdict| !verdict.message.is_empty()).take(3)
    }
}

#[derive(Serialize, Template)]
#[template(path = "data_quality.html")]
struct QualityPage {
    #[serde(skip)]
    shell: Shell,
    head: DataHead,
    rules: Vec<Rules>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let (head, _) = head(&app, "quality", &parameters).await?;
    let rules = run_blocking(|| all(&app))?;
    page_or_json(&QualityPage { shell: Shell::of(&app, NavPage::Data, ""), head, rules })
}

fn all(app: &App) -> Result<Vec<Rules>, JournalError> {
    let journal = app.executor.journal();
    let mut found = Vec::new();
    let entries = app.catalog.list();
    let with_rules = entries.iter().filter_map(|entry| {
        let steps: Vec<&Step> = entry.flow.all_steps().into_iter().filter(|step| rules_of(step).is_some()).collect();
        (!steps.is_empty()).then_some((entry, steps))
    });
    for (entry, steps) in with_rules.take(MAX_FLOWS) {
        let executions = journal.executions_of(&entry.key(), MAX_EXECUTIONS)?;
        for step in steps {
            found.push(of_step(journal, &entry.flow, step, &executions)?);
        }
    }
    Ok(found)
}

/// The rules of a task, if it has any.
fn rules_of(step: &Step) -> Option<Vec<ShownRule>> {
    let places = ["/expect", "/transform/expect"];
    let rules = places.iter().find_map(|place| step.fields.pointer(place)?.as_array())?;
    (!rules.is_empty()).then(|| rules.iter().map(ShownRule::of).collect())
}

fn of_step(journal: &Journal, flow: &Flow, step: &Step, executions: &[Summary]) -> Result<Rules, JournalError> {
    let mut verdicts = Vec::new();
    for summary in executions {
        verdicts.extend(verdict(journal, step, summary)?);
    }
    verdicts.reverse();
    verdicts.iter_mut().enumerate().for_each(|(place, verdict)| verdict.x = place * 7);
    Ok(Rules {
        flow: flow.id.to_string(),
        address: flow_address(&flow.namespace, flow.id.as_str()),
        task: step.id.to_string(),
        rules: rules_of(step).unwrap_or_default(),
        verdicts,
    })
}

/// What the rules said in an execution; none where the task did not get that far.
fn verdict(journal: &Journal, step: &Step, summary: &Summary) -> Result<Option<Verdict>, JournalError> {
    let Some(state) = journal.state(&summary.id)? else { return Ok(None) };
    let Some((_, run)) = state.tasks.iter().find(|(id, _)| id.task() == step.id.as_str()) else { return Ok(None) };
    let failure = run.error.as_ref().map(|error| error.message.as_str()).filter(|message| is_verdict(message));
    let (badge, message) = match (&run.state, failure) {
        (TaskState::Failed, Some(message)) => (StateBadge::BROKEN, message.to_owned()),
        (TaskState::Success | TaskState::Warning, _) => {
            let filter = LogFilter { min_level: Some(Level::Warn), task: Some(step.id.to_string()), text: None };
            let lines = journal.log_lines(&summary.id, &filter, LogPosition::End, MAX_WARNINGS)?;
            let warned = lines.into_iter().map(|(_, line)| line.message).filter(|message| is_verdict(message));
            let warned: Vec<String> = warned.collect();
            let badge = if warned.is_empty() { StateBadge::HELD } else { StateBadge::WARNED };
            (badge, warned.join("; "))
        }
        _ => return Ok(None),
    };
    Ok(Some(Verdict {
        execution: summary.id.to_string(),
        state: badge,
        message: shortened(&message, MAX_MESSAGE).into_owned(),
        at: ShownTime::of(summary.started.unwrap_or(summary.created)),
        x: 0,
    }))
}
