//! Failures by their cause, with what is done about each.

use serde::Serialize;

use crate::journal::{ExecutionQuery, FailureCause};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::pages::format::{ShownTime, short_pairs};
use crate::server::pages::shell::flow_address;
use crate::text::shortened;

/// How many failures are looked at.
pub(in crate::server::pages) const MAX_FAILURES: u32 = 500;
/// The most executions of one action.
const MAX_ACTION: usize = 100;
/// The most letters of a message.
const MAX_LETTERS: usize = 300;

/// Executions that failed for the same reason.
#[derive(Serialize)]
pub(in crate::server::pages) struct ShownCause {
    pub(in crate::server::pages) flow: String,
    pub(in crate::server::pages) flow_address: String,
    pub(in crate::server::pages) task: String,
    pub(in crate::server::pages) message: String,
    pub(in crate::server::pages) count: usize,
    /// The newest of them.
    pub(in crate::server::pages) newest: String,
    pub(in crate::server::pages) inputs: Vec<String>,
    pub(in crate::server::pages) first: ShownTime,
    pub(in crate::server::pages) last: ShownTime,
    /// What the button that may fix it says, and for several executions the query of the page that asks first.
    pub(in crate::server::pages) remedy: String,
    pub(in crate::server::pages) several: Option<String>,
    /// The query of the list of these executions.
    pub(in crate::server::pages) list: String,
}

pub(in crate::server::pages) fn of(app: &App, query: &ExecutionQuery, most: u32) -> Result<Vec<ShownCause>, ApiError> {
    Ok(app.executor.journal().causes(query, most)?.into_iter().map(shown).collect())
}

fn shown(cause: FailureCause) -> ShownCause {
    let ids = cause.executions.iter().take(MAX_ACTION);
    let ids = ids.fold(QueryParameters::default(), |query, id| query.adding("id", id.as_str()));
    let count = cause.executions.len();
    let verb = if cause.code.as_deref() == Some("corrupt") { "Download again" } else { "Restart" };
    let first_line = cause.message.lines().next().unwrap_or_default();
    ShownCause {
        flow_address: flow_address(&cause.namespace, &cause.flow),
        message: shortened(first_line.trim_end_matches(':'), MAX_LETTERS).into_owned(),
        newest: cause.executions.first().map(ToString::to_string).unwrap_or_default(),
        inputs: short_pairs(&cause.inputs),
        first: ShownTime::of(cause.first),
        last: ShownTime::of(cause.last),
        remedy: if count > 1 { format!("{verb} {}…", count.min(MAX_ACTION)) } else { verb.to_owned() },
        several: (count > 1).then(|| ids.with("action", "restart")),
        list: ids.text(),
        task: cause.task,
        flow: cause.flow,
        count,
    }
}
