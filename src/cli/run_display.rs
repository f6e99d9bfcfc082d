//! The progress of a run on stderr: a live line on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::cli::format::{bytes, seconds};
use crate::cli::out::errln;
use crate::cli::rate::RateMeter;
use crate::engine::{Notice, Observer};
use crate::id::RunId;
use crate::task::{Level, Outputs, Progress};
use crate::text::{count, thousands};

/// Between two plain lines of the same task.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// Tasks that get a plain line at a time.
const MAX_LINES: usize = 4;
const LIVE_INTERVAL: Duration = Duration::from_millis(100);

/// The display of one run.
pub(super) struct RunDisplay {
    bar: ProgressBar,
    live: bool,
    quiet: bool,
    current: Mutex<BTreeMap<RunId, RunningTask>>,
}

struct RunningTask {
    task: String,
    began: Instant,
    progress: Arc<Progress>,
    pace: RateMeter,
}

impl RunDisplay {
    /// A display on stderr; a quiet one shows warnings and errors alone.
    pub(super) fn new(quiet: bool) -> Arc<Self> {
        let live = !quiet && std::io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg}") {
            bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        Arc::new(Self { bar, live, quiet, current: Mutex::default() })
    }

    /// The engine's way to this display.
    pub(super) fn observer(self: &Arc<Self>) -> Observer {
        let screen = self.clone();
        Arc::new(move |notice| screen.show(&notice))
    }

    /// Keeps the line of the running task up to date until the returned guard is dropped.
    pub(super) fn animate(self: &Arc<Self>) -> tokio_util::task::AbortOnDropHandle<()> {
        let screen = self.clone();
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(if screen.live { LIVE_INTERVAL } else { PLAIN_INTERVAL }).await;
                screen.tick();
            }
        }))
    }

    /// Takes the live line away: the run is over.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line above the live one.
    pub(super) fn line(&self, text: &str) {
        if self.quiet {
            return;
        }
        self.always(text);
    }

    fn always(&self, text: &str) {
        if self.live { self.bar.suspend(|| errln!("{text}")) } else { errln!("{text}") }
    }

    fn tick(&self) {
        let lines: Vec<String> = self
            .running()
            .values_mut()
            .map(|RunningTask { task, began, progress, pace }| {
                format!("{task}  {}", describe(progress, began.elapsed(), pace))
            })
            .collect();
        let Some(first) = lines.first() else { return };
        if self.live {
            let more = if lines.len() > 1 { format!("   and {} more", lines.len() - 1) } else { String::new() };
            self.bar.set_message(format!("{first}{more}"));
            self.bar.tick();
        } else {
            lines.iter().take(MAX_LINES).for_each(|line| self.line(&format!("  … {line}")));
        }
    }

    fn show(&self, notice: &Notice) {
        match notice {
            Notice::TaskStarted { run, attempt, progress, .. } => {
                let task = if *attempt > 1 { format!("{run} (attempt {attempt})") } else { run.to_string() };
                let current =
                    RunningTask { task, began: Instant::now(), progress: progress.clone(), pace: RateMeter::default() };
                self.running().insert((*run).clone(), current);
            }
            Notice::TaskSucceeded { run, outputs, took, .. } => {
                self.end(run);
                self.line(&format!("  ✓ {run:<16} {}", result(outputs, *took)));
            }
            Notice::TaskFailed { run, error, retry_at, .. } => {
                self.end(run);
                let help =
                    error.help.as_ref().map(|help| format!("\n      help: {}", indent(help))).unwrap_or_default();
                let mark = if retry_at.is_some() { "↻" } else { "✗" };
                self.always(&format!("  {mark} {run:<16} {}{help}", indent(&error.message)));
                if let Some(at) = retry_at {
                    self.always(&format!("      retrying at {}", at.with_timezone(&chrono::Local).format("%H:%M:%S")));
                }
            }
            Notice::TaskSkipped(step) => self.line(&format!("  - {:<16} skipped", step.id)),
            Notice::Log { level: Level::Debug, .. } => {}
            Notice::Log { level: Level::Info, message, .. } => self.line(&format!("    {}", indent(message))),
            Notice::Log { level, message, .. } => {
                self.always(&format!("    {} {}", format!("{level:?}").to_lowercase(), indent(message)));
            }
        }
    }

    fn end(&self, run: &RunId) {
        self.running().remove(run);
        if self.live {
            self.bar.set_message("");
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<RunId, RunningTask>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Further lines of a message stand under its first.
fn indent(text: &str) -> String {
    text.replace('\n', "\n      ")
}

/// What a finished task has to show: `48,326 rows loaded, 0.9 s`.
fn result(outputs: &Outputs, took: Duration) -> String {
    let number = |name: &str| outputs.get(name).and_then(Value::as_u64);
    let mut parts = Vec::new();
    if let Some(rows) = number("rows_loaded") {
        parts.push(format!("{} loaded", count(rows, "row")));
        parts.extend(
            number("rows_rejected").filter(|rows| *rows > 0).map(|rows| format!("{} rejected", thousands(rows))),
        );
        parts.extend(
            number("rows_skipped").filter(|rows| *rows > 0).map(|rows| format!("{} already there", thousands(rows))),
        );
    } else if let Some(length) = number("length").or(number("bytes")) {
        parts.push(bytes(length));
    }
    parts.push(seconds(took));
    parts.join(", ")
}

/// How far a task has come: rows, bytes, the present rate and the time left; or what it waits for.
fn describe(progress: &Progress, elapsed: Duration, pace: &mut RateMeter) -> String {
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (done, total, rows) = (read(&progress.bytes), read(&progress.total_bytes), read(&progress.rows));
    let [row_rate, byte_rate] = pace.rates(elapsed, [rows, done]);
    let mut parts = Vec::new();
    if rows > 0 {
        parts.push(format!("{}, {} rows/s", count(rows, "row"), thousands(row_rate)));
    }
    if total > 0 {
        parts.push(format!("{} of {}", bytes(done), bytes(total)));
    } else if done > 0 {
        parts.push(bytes(done));
    }
    if rows == 0 && done > 0 {
        parts.push(format!("{}/s", bytes(byte_rate)));
    }
    if let Some(waiting) = progress.waiting() {
        parts.extend([seconds(elapsed), waiting]);
    } else if done > 0 && done < total && row_rate + byte_rate > 0 {
        let left = elapsed.as_secs_f64() * (total - done) as f64 / done as f64;
        parts.push(format!("about {} left", seconds(Duration::from_secs_f64(left))));
    }
    if parts.is_empty() { seconds(elapsed) } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_rows_bytes_rate_and_time_left() {
        let progress = Progress::default();
        let show = |after: u64, pace: &mut RateMeter| describe(&progress, Duration::from_secs(after), pace);
        assert_eq!(show(2, &mut RateMeter::default()), "2.0 s");
        progress.set_total_bytes(4_000_000);
        progress.add_bytes(1_000_000);
        assert_eq!(show(2, &mut RateMeter::default()), "1.0 MB of 4.0 MB, 500.0 kB/s, about 6.0 s left");
        progress.add_rows(10_000);
        let mut pace = RateMeter::default();
        assert_eq!(show(2, &mut pace), "10,000 rows, 5,000 rows/s, 1.0 MB of 4.0 MB, about 6.0 s left");
        assert_eq!(show(20, &mut pace), "10,000 rows, 0 rows/s, 1.0 MB of 4.0 MB");
        progress.set_waiting(Some("waiting for a lock held by process 7".to_owned()));
        assert!(show(30, &mut pace).ends_with("1.0 MB of 4.0 MB, 30.0 s, waiting for a lock held by process 7"));
    }
}
