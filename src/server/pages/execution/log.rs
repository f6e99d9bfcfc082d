//! The log of an execution: a window of its lines, which the address names.

use super::super::format::ShownTime;
use crate::id::ExecutionId;
use crate::journal::{Journal, LogFilter, LogPosition, NumberedLine};
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::task::Level;

/// How many lines a page shows.
const WINDOW: u32 = 500;
/// How many lines a row of the timeline shows.
const ROW_LINES: u32 = 50;

/// A line of a log.
pub(super) struct ShownLine {
    pub(super) number: i64,
    pub(super) time: ShownTime,
    pub(super) level: Level,
    pub(super) class: &'static str,
    pub(super) task: String,
    pub(super) message: String,
    /// Whether the address names it.
    pub(super) is_chosen: bool,
}

/// A window of a log.
pub(super) struct LogView {
    pub(super) lines: Vec<ShownLine>,
    /// The query of the page with the lines before and after these.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) text: String,
    pub(super) task: String,
    /// The query without the task.
    pub(super) any_task: String,
    pub(super) levels: Vec<(&'static str, bool)>,
    pub(super) has_filter: bool,
    /// The query of the log as a file.
    pub(super) download: String,
}

pub(super) fn of(journal: &Journal, id: &ExecutionId, parameters: &QueryParameters) -> Result<LogView, ApiError> {
    let filter = LogFilter {
        min_level: parameters.level("level")?,
        task: parameters.one("task").map(str::to_owned),
        text: parameters.one("q").map(str::to_owned),
    };
    let number = |name: &str| parameters.read::<i64>(name, "1");
    let chosen = number("line")?;
    let window = |position, limit| journal.log_window(id, &filter, position, limit);
    let (lines, has_before, has_after) = match (chosen, number("before")?, number("after")?) {
        (Some(line), ..) => {
            let (mut before, behind) =
                (window(LogPosition::Before(line), WINDOW / 2)?, window(LogPosition::After(line - 1), WINDOW / 2)?);
            let full = |lines: &[NumberedLine]| lines.len() == (WINDOW / 2) as usize;
            let (has_before, has_after) = (full(&before), full(&behind));
            before.extend(behind);
            (before, has_before, has_after)
        }
        (None, Some(line), _) => {
            let (lines, has_before) = cut(window(LogPosition::Before(line), WINDOW + 1)?, true);
            (lines, has_before, true)
        }
        (None, None, Some(line)) => {
            let (lines, has_after) = cut(window(LogPosition::After(line), WINDOW + 1)?, false);
            (lines, line > 0, has_after)
        }
        (None, None, None) => {
            let (lines, has_before) = cut(window(LogPosition::End, WINDOW + 1)?, true);
            (lines, has_before, false)
        }
    };
    let moved = |has: bool, line: Option<&NumberedLine>, name: &str| {
        let place = ["before", "after", "line"].iter().fold(parameters.clone(), |query, name| query.without(name));
        line.filter(|_| has).map(|(number, _)| place.with(name, &number.to_string()))
    };
    let names = ["DEBUG", "INFO", "WARN", "ERROR"];
    let least = filter.min_level.map_or("DEBUG", Level::as_str);
    let download = QueryParameters::default()
        .adding("minLevel", least)
        .adding("taskId", filter.task.as_deref().unwrap_or_default());
    Ok(LogView {
        before: moved(has_before, lines.first(), "before"),
        after: moved(has_after, lines.last(), "after"),
        lines: lines.into_iter().map(|line| shown(line, chosen)).collect(),
        has_filter: filter.min_level.is_some() || filter.task.is_some() || filter.text.is_some(),
        text: filter.text.unwrap_or_default(),
        task: filter.task.unwrap_or_default(),
        any_task: parameters.without("task").text(),
        levels: names.map(|name| (name, name == least)).to_vec(),
        download: download.adding("q", parameters.one("q").unwrap_or_default()).text(),
    })
}

/// Lines without the one too many that tells whether there are more, which is the first or the last.
fn cut(mut lines: Vec<NumberedLine>, is_first: bool) -> (Vec<NumberedLine>, bool) {
    let has_more = lines.len() > WINDOW as usize;
    if has_more {
        lines.remove(if is_first { 0 } else { WINDOW as usize });
    }
    (lines, has_more)
}

/// The last lines of a task.
pub(super) fn last(journal: &Journal, id: &ExecutionId, task: &str) -> Result<Vec<ShownLine>, ApiError> {
    let filter = LogFilter { task: Some(task.to_owned()), ..LogFilter::default() };
    let lines = journal.log_window(id, &filter, LogPosition::End, ROW_LINES)?;
    Ok(lines.into_iter().map(|line| shown(line, None)).collect())
}

fn shown((number, line): NumberedLine, chosen: Option<i64>) -> ShownLine {
    let class = match line.level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "",
        Level::Debug => "debug",
    };
    ShownLine {
        number,
        time: ShownTime::of(line.time),
        level: line.level,
        class,
        task: line.source.as_str().to_owned(),
        message: line.message,
        is_chosen: chosen == Some(number),
    }
}
