//! The log of an execution: a window of its lines, which the address names.

use chrono::{DateTime, Utc};

use super::super::format::ShownTime;
use crate::id::ExecutionId;
use crate::journal::{Journal, LogFilter, LogPosition, LogWindow, NumberedLine};
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
    pub(super) before: Option<MoreLines>,
    pub(super) after: Option<MoreLines>,
    pub(super) text: String,
    pub(super) task: String,
    /// The query without the task.
    pub(super) any_task: String,
    pub(super) levels: Vec<(&'static str, bool)>,
    pub(super) has_filter: bool,
    /// The query of the log as a file.
    pub(super) download: String,
}

/// The lines before or after a window.
pub(super) struct MoreLines {
    /// The query of the page that shows them.
    pub(super) query: String,
    /// How far the log was searched, where a search is not at its end.
    pub(super) searched: Option<ShownTime>,
}

/// Some lines, and the number of the line where those before and after them are found.
#[derive(Default)]
struct Window {
    lines: Vec<NumberedLine>,
    before: Option<i64>,
    after: Option<i64>,
    searched_back: Option<DateTime<Utc>>,
    searched_on: Option<DateTime<Utc>>,
}

impl Window {
    /// At most so many lines before or after a place.
    fn of(
        journal: &Journal,
        id: &ExecutionId,
        filter: &LogFilter,
        position: LogPosition,
        size: u32,
    ) -> Result<Self, ApiError> {
        // One more tells whether there are more.
        let LogWindow { mut lines, stopped } = journal.log_window(id, filter, position, size + 1)?;
        let (has_more, is_after) = (lines.len() > size as usize, matches!(position, LogPosition::After(_)));
        if has_more {
            lines.remove(if is_after { size as usize } else { 0 });
        }
        let end = if is_after { lines.last() } else { lines.first() };
        let more = stopped.map(|(number, _)| number).or(end.map(|(number, _)| *number).filter(|_| has_more));
        let searched = stopped.map(|(_, time)| time);
        Ok(match position {
            LogPosition::After(number) => Self {
                before: Some(lines.first().map_or(number.saturating_add(1), |(first, _)| *first))
                    .filter(|_| number > 0),
                after: more,
                searched_on: searched,
                searched_back: None,
                lines,
            },
            LogPosition::Before(number) => Self {
                after: Some(lines.last().map_or(number.saturating_sub(1), |(last, _)| *last)),
                before: more,
                searched_back: searched,
                searched_on: None,
                lines,
            },
            LogPosition::End => Self { before: more, searched_back: searched, lines, ..Self::default() },
        })
    }

    /// The lines around one.
    fn around(journal: &Journal, id: &ExecutionId, filter: &LogFilter, line: i64) -> Result<Self, ApiError> {
        let half = |position| Self::of(journal, id, filter, position, WINDOW / 2);
        let (mut earlier, later) =
            (half(LogPosition::Before(line))?, half(LogPosition::After(line.saturating_sub(1)))?);
        earlier.lines.extend(later.lines);
        Ok(Self { after: later.after, searched_on: later.searched_on, ..earlier })
    }
}

pub(super) fn of(journal: &Journal, id: &ExecutionId, parameters: &QueryParameters) -> Result<LogView, ApiError> {
    let filter = LogFilter {
        min_level: parameters.level("level")?,
        task: parameters.one("task").map(str::to_owned),
        text: parameters.one("q").map(str::to_owned),
    };
    let number = |name: &str| parameters.read::<i64>(name, "1");
    let chosen = number("line")?;
    let window = |position| Window::of(journal, id, &filter, position, WINDOW);
    let found = match (chosen, number("before")?, number("after")?) {
        (Some(line), ..) => Window::around(journal, id, &filter, line)?,
        (None, Some(line), _) => window(LogPosition::Before(line))?,
        (None, None, Some(line)) => window(LogPosition::After(line))?,
        (None, None, None) => window(LogPosition::End)?,
    };
    let more = |name: &str, line: Option<i64>, searched: Option<DateTime<Utc>>| {
        let place = ["before", "after", "line"].iter().fold(parameters.clone(), |query, name| query.without(name));
        line.map(|line| MoreLines { query: place.with(name, &line.to_string()), searched: searched.map(ShownTime::of) })
    };
    let names = ["DEBUG", "INFO", "WARN", "ERROR"];
    let least = filter.min_level.map_or("DEBUG", Level::as_str);
    let download = QueryParameters::default()
        .adding("minLevel", least)
        .adding("taskId", filter.task.as_deref().unwrap_or_default());
    Ok(LogView {
        before: more("before", found.before, found.searched_back),
        after: more("after", found.after, found.searched_on),
        lines: found.lines.into_iter().map(|line| shown(line, chosen)).collect(),
        has_filter: filter.min_level.is_some() || filter.task.is_some() || filter.text.is_some(),
        text: filter.text.unwrap_or_default(),
        task: filter.task.unwrap_or_default(),
        any_task: parameters.without("task").text(),
        levels: names.map(|name| (name, name == least)).to_vec(),
        download: download.adding("q", parameters.one("q").unwrap_or_default()).text(),
    })
}

/// The last lines of a task.
pub(super) fn last(journal: &Journal, id: &ExecutionId, task: &str) -> Result<Vec<ShownLine>, ApiError> {
    let filter = LogFilter { task: Some(task.to_owned()), ..LogFilter::default() };
    let lines = journal.log_window(id, &filter, LogPosition::End, ROW_LINES)?.lines;
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
