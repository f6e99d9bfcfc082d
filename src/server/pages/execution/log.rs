//! The log of an execution: a window of its lines, which the address names.

use super::super::format::Moment;
use crate::id::ExecutionId;
use crate::journal::{Journal, LogFilter, LogPosition, NumberedLine};
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::task::Level;

/// How many lines a page shows.
const WINDOW: u32 = 500;

/// A line of a log.
pub(super) struct ShownLine {
    pub(super) number: i64,
    pub(super) time: Moment,
    pub(super) level: Level,
    pub(super) class: &'static str,
    pub(super) task: String,
    pub(super) message: String,
}

/// A window of a log.
pub(super) struct LogView {
    pub(super) lines: Vec<ShownLine>,
    /// The query of the page with the lines before and behind these.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) text: String,
    pub(super) task: String,
    pub(super) levels: Vec<(&'static str, bool)>,
    pub(super) has_filter: bool,
}

pub(super) fn of(journal: &Journal, id: &ExecutionId, parameters: &QueryParameters) -> Result<LogView, ApiError> {
    let filter = LogFilter {
        min_level: parameters.level("level")?,
        task: parameters.one("task").map(str::to_owned),
        text: parameters.one("q").map(str::to_owned),
    };
    let number = |name: &str| parameters.read::<i64>(name, "1");
    let position = match (number("before")?, number("after")?) {
        (Some(number), _) => LogPosition::Before(number),
        (None, Some(number)) => LogPosition::After(number),
        (None, None) => LogPosition::End,
    };
    let lines = journal.log_window(id, &filter, position, WINDOW)?;
    let has_more = |position| Ok::<_, ApiError>(!journal.log_window(id, &filter, position, 1)?.is_empty());
    let (first, last) = (lines.first().map(|(number, _)| *number), lines.last().map(|(number, _)| *number));
    let moved = |at: Option<i64>, position: fn(i64) -> LogPosition, name: &str, other: &str| match at {
        Some(at) if has_more(position(at))? => Ok(Some(parameters.without(other).with(name, &at.to_string()))),
        _ => Ok::<_, ApiError>(None),
    };
    let names = ["DEBUG", "INFO", "WARN", "ERROR"];
    let least = filter.min_level.map_or("DEBUG", Level::as_str);
    Ok(LogView {
        before: moved(first, LogPosition::Before, "before", "after")?,
        after: moved(last, LogPosition::After, "after", "before")?,
        lines: lines.into_iter().map(shown).collect(),
        has_filter: filter.min_level.is_some() || filter.task.is_some() || filter.text.is_some(),
        text: filter.text.unwrap_or_default(),
        task: filter.task.unwrap_or_default(),
        levels: names.map(|name| (name, name == least)).to_vec(),
    })
}

fn shown((number, line): NumberedLine) -> ShownLine {
    let class = match line.level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info | Level::Debug => "",
    };
    ShownLine {
        number,
        time: Moment::of(line.time),
        level: line.level,
        class,
        task: line.source.as_str().to_owned(),
        message: line.message,
    }
}
