//! The process's own log on stderr, as plain lines or as JSON. All parts of the program write it with `tracing`; it is
//! printed only here, with secrets redacted.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic;

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::cli::out::errln;
use crate::clock;
use crate::config::Settings;
use crate::secret::Redactor;
use crate::text::indented;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// Plain lines
    Plain,
    /// A JSON object for each line
    Json,
}

/// Starts the log with lines of `default_level` and above, unless the settings have a filter. Panics are logged, too.
///
/// # Errors
/// When it was started before.
pub(super) fn start(settings: &Settings, format: LogFormat, default_level: LevelFilter) -> anyhow::Result<()> {
    let log = ProcessLog { format, redactor: settings.redactor.clone() };
    let log = log.with_filter(settings.log_filter.targets(default_level));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log))?;
    panic::set_hook(Box::new(|panic| tracing::error!(target: "jitney::panic", "{panic}")));
    Ok(())
}

/// Writes each event as a line.
struct ProcessLog {
    format: LogFormat,
    redactor: Redactor,
}

impl<S: Subscriber> Layer<S> for ProcessLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        let (level, target) = (about.level().as_str(), about.target());
        let mut line = LogRecord { level, target, ..LogRecord::default() };
        event.record(&mut line);
        self.write(line);
    }
}

impl ProcessLog {
    fn write(&self, mut line: LogRecord) {
        line.texts().for_each(|text| *text = self.redactor.line(text));
        let time = line.at.and_then(DateTime::<Utc>::from_timestamp_millis).unwrap_or_else(clock::now);
        match self.format {
            LogFormat::Plain => {
                line.time = time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string();
                errln!("{}", line.plain());
            }
            LogFormat::Json => {
                line.time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
                errln!("{}", serde_json::json!(line));
            }
        }
    }
}

/// One line: its subject, if it has one, and the message.
#[derive(Debug, Default, Serialize)]
struct LogRecord {
    time: String,
    level: &'static str,
    target: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    message: String,
    /// Other fields, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<&'static str, String>,
    /// The time of the event in milliseconds, if it is not the present time.
    #[serde(skip)]
    at: Option<i64>,
}

impl LogRecord {
    fn set(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            "namespace" => self.namespace = Some(text),
            "flow" => self.flow = Some(text),
            "execution" => self.execution = Some(text),
            "task" => self.task = Some(text),
            other => drop(self.fields.insert(other, text)),
        }
    }

    /// All texts, which may contain secrets.
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let about = [&mut self.namespace, &mut self.flow, &mut self.execution, &mut self.task];
        about.into_iter().flatten().chain([&mut self.message]).chain(self.fields.values_mut())
    }

    fn plain(&self) -> String {
        let flow =
            self.namespace.as_ref().zip(self.flow.as_ref()).map(|(namespace, flow)| format!("{namespace}.{flow}"));
        let parts = [flow.as_deref(), self.execution.as_deref(), self.task.as_deref(), Some(self.message.as_str())];
        let mut text = parts.into_iter().flatten().collect::<Vec<_>>().join("  ");
        // Messages of this program are complete; those of other crates need their fields.
        if !self.target.starts_with("jitney::") {
            text = format!("{}  {text}", self.target);
            self.fields.iter().for_each(|(name, value)| text += &format!(" {name}={value}"));
        }
        // A line of a message must not look like a line of the log.
        indented(&format!("{}  {:<5}  {text}", self.time, self.level), 4)
    }
}

impl Visit for LogRecord {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        match field.name() {
            "at" => self.at = Some(value),
            _ => self.set(field, value.to_string()),
        }
    }
}
