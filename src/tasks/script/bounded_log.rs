//! What is kept of a script's output when it is more than an execution's log takes.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::task::{Level, TaskContext};
use crate::text::{count, thousands};

/// The last lines that are kept all the same,
const MAX_LAST_LINES: usize = 20;
/// and bytes of each.
const MAX_LAST_LINE_BYTES: usize = 1 << 10;

/// Logs lines as long as there is room for them. When this is dropped, it logs how much was left out, with the last lines.
pub(super) struct BoundedLog<'a> {
    context: &'a TaskContext,
    lines: u64,
    bytes: u64,
    last: VecDeque<(Level, String)>,
}

impl<'a> BoundedLog<'a> {
    /// Nothing left out yet.
    pub(super) fn new(context: &'a TaskContext) -> Self {
        Self { context, lines: 0, bytes: 0, last: VecDeque::new() }
    }

    /// The beginning of a text, of no more than so many bytes. Secrets go first: half of one would not be known again.
    pub(super) fn truncated<'t>(&self, text: &'t str, max_bytes: usize) -> Cow<'t, str> {
        if text.len() <= max_bytes {
            return Cow::Borrowed(text);
        }
        let clean = self.context.settings.redactor.clean(text);
        Cow::Owned(format!("{}…", &clean[..clean.floor_char_boundary(max_bytes)]))
    }

    /// Logs a line, or keeps it among the last ones.
    pub(super) fn log(&mut self, level: Level, text: &str) {
        if self.lines == 0 && self.context.services.quota.take(text.len()) {
            return self.context.log_line(level, text);
        }
        if self.lines == 0 {
            let limit = thousands(self.context.services.quota.limit());
            self.context.warn(format!(
                "output truncated: the log of an execution stores {limit} bytes of script output (JITNEY_LOG_LIMIT)"
            ));
        }
        self.lines += 1;
        self.bytes += text.len() as u64;
        // The room of the oldest line serves the new one.
        let mut buffer =
            if self.last.len() == MAX_LAST_LINES { self.last.pop_front().map(|(_, buffer)| buffer) } else { None };
        let mut line = buffer.take().unwrap_or_default();
        line.clear();
        line.push_str(&self.truncated(text, MAX_LAST_LINE_BYTES));
        self.last.push_back((level, line));
    }
}

impl Drop for BoundedLog<'_> {
    fn drop(&mut self) {
        let omitted = self.lines.saturating_sub(self.last.len() as u64);
        if omitted > 0 {
            let bytes = self.bytes - self.last.iter().map(|(_, text)| text.len() as u64).sum::<u64>().min(self.bytes);
            let (lines, bytes) = (count(omitted, "line"), count(bytes, "byte"));
            self.context.warn(format!("output truncated: {lines} ({bytes}) omitted; the last ones follow"));
        }
        for (level, text) in &self.last {
            self.context.log_line(*level, text);
        }
    }
}
