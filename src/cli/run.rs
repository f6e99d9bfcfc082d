//! `jitney run`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::Args;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::colour::Style;
use crate::cli::exit::{self, explain};
use crate::cli::format::{bytes, seconds};
use crate::cli::inputs::{self, InputArguments, parse_pair};
use crate::cli::layout;
use crate::cli::next_steps;
use crate::cli::out::{errln, out, outln};
use crate::cli::run_display::{RunDisplay, Words};
use crate::cli::signals::SignalGuard;
use crate::cli::table::Table;
use crate::cli::target::OnTargetChange;
use crate::cli::{ExitStatus, InvalidFlow, files, flows};
use crate::config::{ScriptRunner, Settings};
use crate::diagnostic::Diagnostic;
use crate::engine::backfill::may_read_date;
use crate::engine::executor::{Executor, ExecutorOptions, Prepared};
use crate::engine::{EngineError, ExecutionRequest, Runner};
use crate::flow::Flow;
use crate::flow::input;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, Journal, State};
use crate::postgres::resolve;
use crate::task::{Level, Outputs};
use crate::tasks;
use crate::text::{count, plain, thousands, visible_line};

#[derive(Args)]
#[command(
    after_help = "To see the inputs of a flow: jitney run FLOW --help. On a terminal, jitney asks for missing inputs."
)]
pub(super) struct Arguments {
    /// The flow's file
    flow: PathBuf,
    #[command(flatten)]
    inputs: InputArguments,
    /// A label for the execution; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    label: Vec<(String, String)>,
    /// The date that the flow reads as `trigger.date` [default: now]
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    trigger_date: Option<DateTime<Utc>>,
    /// Where scripts run, for all tasks of the flow [default: JITNEY_SCRIPT_RUNNER]
    #[arg(long, value_name = "RUNNER")]
    script_runner: Option<ScriptRunner>,
    /// Print the execution as JSON when it ends
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let (mut flow, warnings) = flows::read(&arguments.flow).map_err(exit::rejected_run)?;
    warnings.iter().for_each(|warning| errln!("{warning}"));
    if arguments.trigger_date.is_some() && !may_read_date(&flow) {
        let message = format!("`--trigger-date` has no effect: nothing in the flow `{}` reads `trigger.date`", flow.id);
        errln!("{}", Diagnostic::warning(message));
    }
    flow.labels.extend(arguments.label.into_iter().map(|(key, value)| (key, Value::from(value))));
    let settings = Arc::new(settings.with_script_runner(arguments.script_runner));
    let Some(inputs) = inputs::gather(&flow, arguments.inputs, &settings, arguments.json)? else {
        return Ok(ExitStatus::Cancelled);
    };
    let session = RunSession::open(&settings, arguments.json)?;
    let request = ExecutionRequest { inputs, trigger_date: arguments.trigger_date, ..ExecutionRequest::default() };
    let (id, state) = session.run(&Arc::new(flow), request).await?;
    Ok(session.report(&id, &state, arguments.json))
}

/// An executor with a display of its progress.
pub(super) struct RunSession {
    /// The executor that runs the executions.
    pub executor: Executor,
    display: Arc<RunDisplay>,
}

impl RunSession {
    /// Opens the journal and a display; a quiet display shows only warnings and errors.
    ///
    /// # Errors
    /// [`InvalidFlow`] when the address of `--postgres` cannot be read; else when the journal cannot be opened.
    pub(super) fn open(settings: &Arc<Settings>, quiet: bool) -> anyhow::Result<Self> {
        Self::open_with_words(settings, quiet, Words::OWN)
    }

    /// The same with a display that says what tasks say in other words.
    ///
    /// # Errors
    /// As [`RunSession::open`].
    pub(super) fn open_with_words(settings: &Arc<Settings>, quiet: bool, words: Words) -> anyhow::Result<Self> {
        if settings.postgres.is_some() {
            resolve(settings, None).map_err(|finding| InvalidFlow::from(*finding))?;
        }
        let display = RunDisplay::new(quiet, words);
        let journal = Arc::new(Journal::open(&settings.journal())?);
        let runner = Runner::new(settings.clone(), journal, display.observer());
        Ok(Self { executor: Executor::open(runner, ExecutorOptions::new(tasks::ALL))?, display })
    }

    /// Runs a flow as a new execution. See [`RunSession::follow`].
    ///
    /// # Errors
    /// When the execution is rejected, or the engine cannot continue; a failed task is not an error here.
    pub(super) async fn run(
        &self,
        flow: &Arc<Flow>,
        request: ExecutionRequest,
    ) -> anyhow::Result<(ExecutionId, State)> {
        let inputs = request.inputs.clone();
        let (id, prepared) = self.executor.create(flow, request).map_err(|refused| explain(refused.into()))?;
        self.follow(&id, &prepared, &inputs, || self.executor.start(&id, prepared.clone())).await
    }

    /// Continues an existing execution. See [`RunSession::follow`].
    ///
    /// # Errors
    /// When the engine cannot continue; a failed task is not an error here.
    pub(super) async fn start(&self, id: &ExecutionId, prepared: &Prepared) -> anyhow::Result<(ExecutionId, State)> {
        let inputs = prepared.inputs(&self.executor.runner().state(id).map_err(explain)?);
        self.follow(id, prepared, &inputs, || self.executor.start(id, prepared.clone())).await
    }

    /// Starts an execution and shows its progress until it ends, is paused or is stopped by the user. Executions that
    /// retry it are followed, too; the last one is returned.
    ///
    /// # Errors
    /// When the engine cannot continue; a failed task is not an error here.
    pub(super) async fn follow(
        &self,
        id: &ExecutionId,
        prepared: &Prepared,
        inputs: &Map<String, Value>,
        start: impl FnOnce() -> Result<(), EngineError>,
    ) -> anyhow::Result<(ExecutionId, State)> {
        let flow = &prepared.flow;
        let shown = inputs
            .iter()
            .filter(|(name, value)| !value.is_null() && !input::is_declared_secret(&flow.inputs, name))
            .map(|(name, value)| format!("{name}={}", input::to_argument(value)));
        let shown = self.settings().redactor.clean(&shown.collect::<Vec<_>>().join(" "));
        self.display.print(format!("{}  {}  {}", flow.id, id, visible_line(&shown)).trim_end());
        let cancel = CancellationToken::new();
        let (token, display) = (cancel.clone(), self.display.clone());
        let _watch = SignalGuard::new(move || {
            token.cancel();
            display.print("  stopping; press Ctrl-C again to exit immediately");
        });
        let _animation = self.display.animate();
        let ended = match start() {
            Ok(()) => self.executor.follow(id, prepared, &cancel).await,
            Err(error) => Err(error),
        };
        self.executor.wait_for_detached().await;
        self.executor.stop(Duration::ZERO).await;
        self.display.clear();
        ended.map_err(explain)
    }

    /// What an execution warned of, in the words of the display.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn warnings(&self, id: &ExecutionId) -> anyhow::Result<Vec<String>> {
        let lines = self.executor.runner().journal.logs(id)?;
        let warnings = lines.iter().filter(|line| line.level == Level::Warn);
        Ok(warnings.map(|line| self.display.in_words(&line.message)).collect())
    }

    fn settings(&self) -> &Settings {
        &self.executor.runner().settings
    }

    /// Checks that an execution continues with the target that it started with, or moves it to the present one with
    /// `--retarget`.
    ///
    /// # Errors
    /// When the present target is another one, without `--retarget`.
    pub(super) async fn check_target(
        &self,
        id: &ExecutionId,
        state: &State,
        on_change: OnTargetChange,
    ) -> Result<(), EngineError> {
        let runner = self.executor.runner();
        match runner.check_target(&format!("execution {id}"), state.target.as_ref()) {
            Err(EngineError::TargetMismatch { .. }) if on_change.retarget => runner.retarget(id).await,
            checked => checked,
        }
    }

    /// Prints how the execution ended: as text on stderr with a table of its loads on stdout, or as JSON.
    pub(super) fn report(&self, id: &ExecutionId, state: &State, as_json: bool) -> ExitStatus {
        if as_json {
            outln!("{}", to_json(id, state));
            return exit_status(state.status);
        }
        self.report_as_text(id, state, true)
    }

    /// Prints how the execution ended as text. A flow that was composed for it has no file to be run again.
    pub(super) fn report_as_text(&self, id: &ExecutionId, state: &State, has_file: bool) -> ExitStatus {
        let word = state.status.to_string();
        let took = format!(" in {}", seconds(state.worked()));
        match Style::of_state(&word) {
            Some(style) => self.display.print_led(style, &word, &took),
            None => self.display.print(&format!("{word}{took}")),
        }
        if let Some(table) = load_table(state) {
            out!("{table}");
        }
        for (name, value) in &state.outputs {
            self.display.print(&format!("  {name} = {}", plain(value)));
        }
        self.print_next_steps(id, state, has_file);
        exit_status(state.status)
    }
}

/// The exit status of a command by the state of its execution.
pub(super) fn exit_status(state: ExecutionState) -> ExitStatus {
    match state {
        ExecutionState::Success | ExecutionState::Warning => ExitStatus::Ok,
        ExecutionState::Paused => ExitStatus::Paused,
        ExecutionState::Killed => ExitStatus::Cancelled,
        _ => ExitStatus::Failed,
    }
}

impl RunSession {
    /// Prints what to do next.
    fn print_next_steps(&self, id: &ExecutionId, state: &State, has_file: bool) {
        let settings = self.settings();
        let resume = next_steps::resume_command(&format!("jitney resume {id}"), false, settings);
        match state.status {
            ExecutionState::Killed => {
                self.display.print(&format!(
                    "Stopped. Running loads were rolled back; changes made by scripts remain. Resume with: {resume}"
                ));
            }
            ExecutionState::Failed => self.display.print(&next_steps::after_failure(id, state, settings, has_file)),
            ExecutionState::Paused => {
                let runs: Vec<&str> = state.paused().map(|(run, _)| run.as_str()).collect();
                self.display.print(&format!("Paused at {}. Resume with: {resume}", runs.join(", ")));
            }
            ExecutionState::Success | ExecutionState::Warning => self.print_files(id),
            _ => {}
        }
    }

    /// Prints where the files of the execution are.
    fn print_files(&self, id: &ExecutionId) {
        // Files that cannot be listed do not change the outcome.
        let files = files::stored_files(self.settings(), id).unwrap_or_default();
        match files.as_slice() {
            [] => {}
            [file] => self.display.print(&format!("File: {}   Print it: jitney files {}", file.uri, file.uri)),
            several => {
                let many = count(several.len() as u64, "file");
                self.display.print(&format!("{many}   List them: jitney files {id}"));
            }
        }
    }
}

/// A table with one row for each load of an execution; none if it loaded nothing.
fn load_table(state: &State) -> Option<String> {
    let mut table =
        Table::new(["task", "table", "rows in file", "loaded", "rejected", "skipped", "time", "rows/s", "size"])
            .right_aligned()
            .breaking(&["task"])
            .spilling(&["table"]);
    for (id, task) in &state.tasks {
        let Some(number) = load_counts(&task.outputs) else { continue };
        let spent = task.outputs.get("seconds").and_then(Value::as_f64).unwrap_or_default();
        let table_name = task.outputs.get("table").and_then(Value::as_str).unwrap_or_default();
        table.add_row([
            id.to_string(),
            table_name.to_owned(),
            thousands(number("rows_read")),
            thousands(number("rows_loaded")),
            thousands(number("rows_rejected")),
            thousands(number("rows_skipped")),
            format!("{spent:.1} s"),
            per_second(&number, number("rows_read"), spent).map(thousands).unwrap_or_default(),
            bytes(number("bytes")),
        ]);
    }
    (!table.is_empty()).then(|| table.lines(layout::width(), false))
}

/// A function that returns a count of a load by name; none if the outputs are not those of a load.
pub(super) fn load_counts(outputs: &Outputs) -> Option<impl Fn(&str) -> u64> {
    outputs.get("rows_loaded")?;
    Some(|name: &str| outputs.get(name).and_then(Value::as_u64).unwrap_or_default())
}

/// The amount per second of a load; none if it moved nothing, which would say nothing about its speed.
pub(super) fn per_second(number: &impl Fn(&str) -> u64, amount: u64, seconds: f64) -> Option<u64> {
    let moved = number("rows_loaded") + number("rows_rejected");
    (moved > 0 && seconds > 0.0).then(|| (amount as f64 / seconds) as u64)
}

/// An execution as JSON.
pub(super) fn to_json(id: &ExecutionId, state: &State) -> Value {
    json!({
        "id": id,
        "flow": state.created.flow,
        "namespace": state.created.namespace,
        "state": state.status,
        "inputs": state.created.inputs,
        "labels": state.labels,
        "started": state.started,
        "ended": state.ended,
        "took": state.took().map(|took| took.as_secs_f64()),
        "parent": state.created.parent,
        "original": state.created.original,
        "outputs": state.outputs,
        "tasks": state.tasks,
        "interrupted": false,
    })
}

fn parse_date(text: &str) -> Result<DateTime<Utc>, String> {
    let day = text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    day.or_else(|_| text.parse::<DateTime<Utc>>())
        .map_err(|_| format!("`{text}` is neither a date (2019-01-01) nor a time (2019-01-01T06:00:00Z)"))
}
