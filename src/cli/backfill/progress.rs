//! The progress of a backfill on stderr: a live calendar on a terminal, a line for each partition that changes elsewhere.
//!
//! Lines are printed with the calendar suspended, so that they scroll by above it.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::calendar::{CalendarMark, calendar, legend};
use crate::cli::format::seconds;
use crate::cli::out::errln;
use crate::engine::backfill::{Granularity, PartitionState, PartitionStatus};
use crate::journal::DesiredState;

/// The display of one backfill, on stderr.
pub(super) struct BackfillProgress {
    bar: ProgressBar,
    live: bool,
    quiet: bool,
    zone: Tz,
    granularity: Granularity,
    began: Instant,
    last: Vec<PartitionState>,
    desired: DesiredState,
}

impl BackfillProgress {
    /// A display; a quiet one shows nothing.
    pub(super) fn new(quiet: bool, zone: Tz, granularity: Granularity) -> Self {
        let live = !quiet && std::io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        if live {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Self {
            bar,
            live,
            quiet,
            zone,
            granularity,
            began: Instant::now(),
            last: Vec::new(),
            desired: DesiredState::Run,
        }
    }

    /// Shows the present state of the partitions.
    pub(super) fn show(&mut self, cells: &[PartitionState], desired: DesiredState) {
        if self.quiet {
            return;
        }
        for (index, cell) in cells.iter().enumerate() {
            let has_changed = self.last.get(index).is_some_and(|last| last.status != cell.status);
            if has_changed && let Some(line) = self.line(cell) {
                self.print(&line);
            }
        }
        if desired != self.desired {
            self.desired = desired;
            self.print(match desired {
                DesiredState::Run => "  resumed",
                DesiredState::Pause => "  paused: running executions continue to their end, and no more are started",
                DesiredState::Cancel => "  cancelled",
            });
        }
        self.last = cells.to_vec();
        if self.live {
            let marks = cells.iter().map(|cell| CalendarMark::of(&cell.status));
            let grid = calendar_of(cells, self.zone, self.granularity);
            self.bar.set_message(format!("{grid}  {}   {}", legend(marks), seconds(self.began.elapsed())));
        }
    }

    /// Removes the calendar when the backfill is over.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line above the calendar.
    pub(super) fn print(&self, text: &str) {
        if self.quiet {
            return;
        }
        if self.live { self.bar.suspend(|| errln!("{text}")) } else { errln!("{text}") }
    }

    /// The line about a partition that has changed; on a terminal the calendar shows most changes.
    fn line(&self, cell: &PartitionState) -> Option<String> {
        let (sign, name) = (CalendarMark::of(&cell.status).sign(), &cell.partition);
        match &cell.status {
            PartitionStatus::Failed { reason, message } => {
                let first = message.lines().next().unwrap_or_default();
                Some(format!("  {sign} {name:<12} failed: {reason}  ({first})"))
            }
            PartitionStatus::Loaded { .. } | PartitionStatus::Stopped if !self.live => {
                Some(format!("  {sign} {name:<12} {}", cell.status))
            }
            _ => None,
        }
    }
}

/// The calendar of partitions.
pub(super) fn calendar_of(cells: &[PartitionState], zone: Tz, granularity: Granularity) -> String {
    let marks: Vec<_> = cells.iter().map(|cell| (cell.date, CalendarMark::of(&cell.status))).collect();
    calendar(&marks, zone, granularity)
}
