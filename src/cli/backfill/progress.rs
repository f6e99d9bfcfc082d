//! What a backfill shows while it goes on: a calendar on a terminal, a line for each partition elsewhere.

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
    told: Vec<PartitionState>,
    wish: DesiredState,
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
        Self { bar, live, quiet, zone, granularity, began: Instant::now(), told: Vec::new(), wish: DesiredState::Run }
    }

    /// Shows how the partitions stand now.
    pub(super) fn show(&mut self, cells: &[PartitionState], wish: DesiredState) {
        if self.quiet {
            return;
        }
        for (place, cell) in cells.iter().enumerate() {
            let is_new = self.told.get(place).is_some_and(|told| told.status != cell.status);
            if is_new && let Some(line) = self.line(cell) {
                self.say(&line);
            }
        }
        if wish != self.wish {
            self.wish = wish;
            self.say(match wish {
                DesiredState::Run => "  resumed",
                DesiredState::Pause => "  paused: running executions come to their end, nothing more begins",
                DesiredState::Cancel => "  cancelled",
            });
        }
        self.told = cells.to_vec();
        if self.live {
            let marks = cells.iter().map(|cell| CalendarMark::of(&cell.status));
            let grid = picture(cells, self.zone, self.granularity);
            self.bar.set_message(format!("{grid}  {}   {}", legend(marks), seconds(self.began.elapsed())));
        }
    }

    /// Takes the calendar away: the backfill is over.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line above the calendar.
    pub(super) fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        if self.live { self.bar.suspend(|| errln!("{text}")) } else { errln!("{text}") }
    }

    /// What there is to say when a partition changes; on a terminal the calendar says the rest.
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
pub(super) fn picture(cells: &[PartitionState], zone: Tz, granularity: Granularity) -> String {
    let marks: Vec<_> = cells.iter().map(|cell| (cell.date, CalendarMark::of(&cell.status))).collect();
    calendar(&marks, zone, granularity)
}
