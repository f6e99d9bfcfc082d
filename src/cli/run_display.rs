//! The progress of a run on stderr: a live line on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::cli::colour::Style;
use crate::cli::format::{bytes, seconds};
use crate::cli::out::{errln, led_message};
use crate::cli::rate::RateMeter;
use crate::engine::{Notice, Observer};
use crate::id::RunId;
use crate::task::{Level, Outputs, Progress};
use crate::text::{count, thousands};

/// Time between two plain lines of the same task.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// Tasks for which plain lines are printed at a time.
const MAX_LINES: usize = 4;
const LIVE_INTERVAL: Duration = Duration::from_millis(100);

/// How what tasks say is put.
#[derive(Clone, Copy)]
pub(super) struct Words {
    /// A message.
    pub message: fn(&str) -> String,
    /// What to do about it.
    pub help: fn(&str) -> String,
}

impl Words {
    /// As tasks say it.
    pub(super) const OWN: Self = Self { message: str::to_owned, help: str::to_owned };
}

/// The display of one run.
pub(super) struct RunDisplay {
    bar: ProgressBar,
    live: bool,
    quiet: bool,
    words: Words,
    running: Mutex<BTreeMap<RunId, RunningTask>>,
}

struct RunningTask {
    task: String,
    started: Instant,
    progress: Arc<Progress>,
    rate: RateMeter,
}

impl RunDisplay {
    /// A display on stderr; a quiet one shows only warnings and errors.
    pub(super) fn new(quiet: bool, words: Words) -> Arc<Self> {
        let live = !quiet && std::io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg}") {
            bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        Arc::new(Self { bar, live, quiet, words, running: Mutex::default() })
    }

    /// The observer through which the engine reports to this display.
    pub(super) fn observer(self: &Arc<Self>) -> Observer {
        let display = self.clone();
        Arc::new(move |notice| display.on_notice(&notice))
    }

    /// Updates the line of the running task until the returned guard is dropped.
    pub(super) fn animate(self: &Arc<Self>) -> tokio_util::task::AbortOnDropHandle<()> {
        let display = self.clone();
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(if display.live { LIVE_INTERVAL } else { PLAIN_INTERVAL }).await;
                display.tick();
            }
        }))
    }

    /// What a task says, as this display puts it.
    pub(super) fn in_words(&self, text: &str) -> String {
        (self.words.message)(text)
    }

    /// Removes the live line when the run is over.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line above the live one, unless the display is quiet.
    pub(super) fn print(&self, text: &str) {
        if self.quiet {
            return;
        }
        self.print_always(text);
    }

    /// The same for a line whose first word is in colour.
    pub(super) fn print_led(&self, style: Style, word: &str, rest: &str) {
        if !self.quiet {
            self.print_led_always(style, word, rest);
        }
    }

    fn print_led_always(&self, style: Style, word: &str, rest: &str) {
        let print = || led_message(style, word, rest);
        if self.live { self.bar.suspend(print) } else { print() }
    }

    fn print_always(&self, text: &str) {
        if self.live { self.bar.suspend(|| errln!("{text}")) } else { errln!("{text}") }
    }

    fn tick(&self) {
        let lines: Vec<String> = self
            .running()
            .values_mut()
            .map(|RunningTask { task, started, progress, rate }| {
                format!("{task}  {}", progress_text(progress, started.elapsed(), rate))
            })
            .collect();
        let Some(first) = lines.first() else { return };
        if self.live {
            let more = if lines.len() > 1 { format!("   and {} more", lines.len() - 1) } else { String::new() };
            self.bar.set_message(format!("{first}{more}"));
            self.bar.tick();
        } else {
            lines.iter().take(MAX_LINES).for_each(|line| self.print(&format!("  … {line}")));
        }
    }

    fn on_notice(&self, notice: &Notice) {
        match notice {
            Notice::TaskStarted { run, attempt, progress, .. } => {
                let task = if *attempt > 1 { format!("{run} (attempt {attempt})") } else { run.to_string() };
                let current = RunningTask {
                    task,
                    started: Instant::now(),
                    progress: progress.clone(),
                    rate: RateMeter::default(),
                };
                self.running().insert((*run).clone(), current);
            }
            Notice::TaskSucceeded { run, outputs, took, .. } => {
                self.end(run);
                self.print_led(Style::Good, "  ✓", &format!(" {run:<16} {}", result_text(outputs, *took)));
            }
            Notice::TaskFailed { run, error, retry_at, .. } => {
                self.end(run);
                let help = error
                    .help
                    .as_ref()
                    .map(|help| format!("\n      help: {}", indent(&(self.words.help)(help))))
                    .unwrap_or_default();
                let (style, mark) =
                    if retry_at.is_some() { (Style::Attention, "  ↻") } else { (Style::Bad, "  ✗") };
                self.print_led_always(style, mark, &format!(" {run:<16} {}{help}", self.indented(&error.message)));
                if let Some(at) = retry_at {
                    self.print_always(&format!(
                        "      retrying at {}",
                        at.with_timezone(&chrono::Local).format("%H:%M:%S")
                    ));
                }
            }
            Notice::TaskSkipped(step) => self.print(&format!("  - {:<16} skipped", step.id)),
            Notice::Log { level: Level::Debug, .. } => {}
            Notice::Log { level: Level::Info, message, .. } => self.print(&format!("    {}", self.indented(message))),
            Notice::Log { level, message, .. } => {
                let style = if *level == Level::Error { Style::Bad } else { Style::Attention };
                let word = format!("    {}", format!("{level:?}").to_lowercase());
                self.print_led_always(style, &word, &format!(" {}", self.indented(message)));
            }
        }
    }

    /// What a task says, with all lines indented but the first.
    fn indented(&self, text: &str) -> String {
        indent(&self.in_words(text))
    }

    fn end(&self, run: &RunId) {
        self.running().remove(run);
        if self.live {
            self.bar.set_message("");
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<RunId, RunningTask>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Indents all lines of a message but the first.
fn indent(text: &str) -> String {
    text.replace('\n', "\n      ")
}

/// The result of a finished task: `48,326 rows loaded, 0.9 s`.
fn result_text(outputs: &Outputs, took: Duration) -> String {
    let number = |name: &str| outputs.get(name).and_then(Value::as_u64);
    let mut parts = Vec::new();
    if let Some(rows) = number("rows_loaded") {
        parts.push(format!("{} loaded", count(rows, "row")));
        parts.extend(
            number("rows_rejected").filter(|rows| *rows > 0).map(|rows| format!("{} rejected", thousands(rows))),
        );
        let [left_out, kept_out] = ["rows_left_out", "rows_kept_out"].map(|name| number(name).unwrap_or_default());
        let there = number("rows_skipped").unwrap_or_default().saturating_sub(left_out + kept_out);
        let others = [
            (left_out, "left out by `transform`"),
            (kept_out, "kept out by the table's triggers"),
            (there, "already there"),
        ];
        let others = others.into_iter().filter(|(rows, _)| *rows > 0);
        parts.extend(others.map(|(rows, why)| format!("{} {why}", thousands(rows))));
    } else if let Some(length) = number("length").or(number("bytes")) {
        parts.push(bytes(length));
    }
    parts.push(seconds(took));
    parts.join(", ")
}

/// The progress of a task: rows, bytes, the current rate and the time left; or what it waits for.
fn progress_text(progress: &Progress, elapsed: Duration, rate: &mut RateMeter) -> String {
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (done, total, rows) = (read(&progress.bytes), read(&progress.total_bytes), read(&progress.rows));
    let [row_rate, byte_rate] = rate.rates(elapsed, [rows, done]);
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
        let show = |after: u64, rate: &mut RateMeter| progress_text(&progress, Duration::from_secs(after), rate);
        assert_eq!(show(2, &mut RateMeter::default()), "2.0 s");
        progress.set_total_bytes(4_000_000);
        progress.add_bytes(1_000_000);
        assert_eq!(show(2, &mut RateMeter::default()), "1.0 MB of 4.0 MB, 500.0 kB/s, about 6.0 s left");
        progress.add_rows(10_000);
        let mut rate = RateMeter::default();
        assert_eq!(show(2, &mut rate), "10,000 rows, 5,000 rows/s, 1.0 MB of 4.0 MB, about 6.0 s left");
        assert_eq!(show(20, &mut rate), "10,000 rows, 0 rows/s, 1.0 MB of 4.0 MB");
        progress.set_waiting(Some("waiting for a lock held by process 7".to_owned()));
        assert!(show(30, &mut rate).ends_with("1.0 MB of 4.0 MB, 30.0 s, waiting for a lock held by process 7"));
    }
}
