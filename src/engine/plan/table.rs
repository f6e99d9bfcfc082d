//! `plan` as a table: a flow, what has happened, and the actions that follow. The cases are in `cases.txt`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

use std::sync::Arc;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;
use crate::config::{CliOverrides, Settings};
use crate::engine::host::ExecutionHost;
use crate::file_access::FileAccess;
use crate::flow::parse;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionSpec, Journal, TaskFailure};
use crate::task::{Branch, ErrorClass, LogQuota, Outputs, Task, TaskContext, TaskError, TaskType};

/// A task that does its own work.
#[derive(Deserialize, JsonSchema)]
struct Leaf {
    #[serde(default, rename = "text")]
    _text: Value,
}

impl Task for Leaf {
    const NAME: &'static str = "work";
    const EXAMPLE: &'static str = "";
    type Outputs = Outputs;

    async fn run(&self, _: &TaskContext) -> Result<Outputs, TaskError> {
        Ok(Outputs::new())
    }
}

/// A task around others, which may have work of its own after them.
#[derive(Deserialize, JsonSchema)]
struct Group<const CONCLUDES: bool> {
    #[serde(default, rename = "text")]
    _text: Value,
    #[serde(default, rename = "condition")]
    _condition: Value,
    #[serde(default, rename = "outputs")]
    _outputs: Value,
    #[serde(default, rename = "tasks")]
    _tasks: Value,
    #[serde(default, rename = "graph")]
    _graph: Value,
    #[serde(default, rename = "errors")]
    _errors: Value,
    #[serde(default, rename = "finally")]
    _finally: Value,
}

impl<const CONCLUDES: bool> Task for Group<CONCLUDES> {
    const NAME: &'static str = if CONCLUDES { "gather" } else { "group" };
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks"), Branch::Graph("graph")];
    const DEFERRED: &'static [&'static str] = &["condition", "outputs"];
    const HAS_EPILOGUE: bool = CONCLUDES;
    const EXAMPLE: &'static str = "";
    type Outputs = Outputs;

    async fn run(&self, _: &TaskContext) -> Result<Outputs, TaskError> {
        Ok(Outputs::new())
    }
}

static TASKS: &[TaskType] = &[TaskType::of::<Leaf>(), TaskType::of::<Group<false>>(), TaskType::of::<Group<true>>()];

/// What all cases share. Times are seconds since `begin`.
struct TestEnv {
    _home: tempfile::TempDir,
    settings: Arc<Settings>,
    journal: Arc<Journal>,
    begin: DateTime<Utc>,
}

impl TestEnv {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let overrides = CliOverrides { home: Some(home.path().to_owned()), ..CliOverrides::default() };
        let variables = [("SECRET_PASSWORD", "aHVudGVyMjI="), ("ENV_REGION", "eu")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Arc::new(Settings::from_environment(overrides, variables.into()).unwrap());
        let journal = Arc::new(Journal::open(&home.path().join("journal.db")).unwrap());
        Self { _home: home, settings, journal, begin: "2026-01-01T00:00:00Z".parse().unwrap() }
    }

    fn at(&self, seconds: i64) -> DateTime<Utc> {
        self.begin + TimeDelta::seconds(seconds)
    }

    /// The context of an execution of a flow without secret inputs.
    fn context(&self, flow: &Flow) -> ExecutionContext {
        let id = ExecutionId::new("e");
        let files = FileAccess::unrestricted(self.settings.home.clone());
        let host = ExecutionHost::new(&self.settings, &self.journal, &id, flow, &[], files);
        ExecutionContext {
            id,
            secrets: Map::new(),
            restricted: false,
            said: Arc::default(),
            quota: Arc::new(LogQuota::new(1 << 20, 0)),
            host: Arc::new(host),
        }
    }

    /// The actions of a case, one a line.
    fn actions(&self, flow: &str, happened: &str) -> Vec<String> {
        let text = format!("id: f\nnamespace: n\n{flow}");
        let parsed = parse("f.yaml", &text, TASKS);
        let flow = parsed.flow.unwrap_or_else(|| panic!("{text}\n{:?}", parsed.findings));
        let spec = ExecutionSpec { flow: "f".into(), namespace: "n".into(), attempt: 1, ..ExecutionSpec::default() };
        let (mut state, mut now) = (State::new(spec), 0);
        for line in happened.lines().filter(|line| !line.is_empty()) {
            match line.strip_prefix("at ") {
                Some(seconds) => now = seconds.parse().unwrap(),
                None if line.starts_with("alone ") => {
                    state.created.only = line.strip_prefix("alone ").map(str::to_owned)
                }
                None => state.apply(self.at(now), &self.event(line, &state)).unwrap(),
            }
        }
        let context = self.context(&flow);
        let planned = plan(&state, &flow, &context, self.at(now));
        let again = plan(&state, &flow, &context, self.at(now));
        assert_eq!(format!("{:?}", planned.actions), format!("{:?}", again.actions), "{text}");
        planned.actions.iter().map(|action| self.shown(action)).collect()
    }

    /// An event in short, such as `a ok {"rows": 1}`.
    fn event(&self, line: &str, state: &State) -> Event {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let rest = words.get(2).copied().unwrap_or_default();
        let run = RunId::new(words[0]);
        let attempts = state.tasks.get(&run).map_or(0, |task| task.attempts);
        let outputs = || if rest.is_empty() { Map::new() } else { serde_json::from_str(rest).unwrap() };
        let failed = |class| {
            let error = TaskFailure { class, message: "it broke".to_owned(), help: None, code: None };
            let retry_at = rest.strip_prefix('@').map(|at| self.at(at.parse().unwrap()));
            Event::TaskFailed { run: run.clone(), error, retry_at }
        };
        let succeeded =
            |warning| Event::TaskSucceeded { run: run.clone(), outputs: outputs(), labels: Map::new(), warning };
        match (words[0], words.get(1).copied().unwrap_or_default()) {
            ("started", _) => Event::Started,
            ("paused", _) => Event::Paused,
            ("failed", _) => Event::Ended { state: ExecutionState::Failed, outputs: Map::new() },
            ("restarted", _) => Event::Restarted { reset: Vec::new() },
            ("retrying", at) => Event::Retrying { at: self.at(at.parse().unwrap()), successor: None },
            ("violated", sla) => Event::Violated { sla: sla.to_owned(), labels: Map::new() },
            (_, "starts") => Event::TaskStarted { run, attempt: attempts + 1 },
            (_, "ok") => succeeded(false),
            (_, "warns") => succeeded(true),
            (_, "fails") => failed(ErrorClass::Permanent),
            (_, "falters") => failed(ErrorClass::Transient),
            (_, "skipped") => Event::TaskSkipped { run },
            (_, "expands") => {
                let mut expansion = json!({"branch": "tasks", "concurrent": 1});
                expansion.as_object_mut().unwrap().extend(outputs());
                Event::TaskExpanded { run, expansion: serde_json::from_value(expansion).unwrap() }
            }
            (_, "pauses") => {
                let (until, behavior) = rest.split_once(' ').unwrap_or((rest, "RESUME"));
                let until = until.strip_prefix('@').map(|at| self.at(at.parse().unwrap()));
                Event::TaskPaused { run, until, behavior: serde_json::from_value(json!(behavior)).unwrap() }
            }
            (_, "iteration") => {
                let mut words = rest.split(' ');
                let index = words.next().unwrap().parse().unwrap();
                let outcome = serde_json::from_value(json!(words.next().unwrap())).unwrap();
                Event::IterationEnded { run, index, outcome, outputs: None, condition_met: words.next() == Some("met") }
            }
            _ => panic!("{line}"),
        }
    }

    fn shown(&self, action: &Action) -> String {
        let json = |values: &Map<String, Value>| match values.is_empty() {
            true => String::new(),
            false => format!(" {}", Value::Object(values.clone())),
        };
        let started = |start: &Start| {
            let attempt = if start.attempt > 1 { format!(" attempt {}", start.attempt) } else { String::new() };
            let timeout = start.timeout.map(|timeout| format!(" within {timeout}")).unwrap_or_default();
            let folder = start.folder.as_ref().map(|folder| format!(" in {folder}")).unwrap_or_default();
            let text = start.fields.get("text").map(|text| format!(": {}", plain(text))).unwrap_or_default();
            format!("{}{attempt}{timeout}{folder}{text}", start.run)
        };
        match action {
            Action::Start(start) => format!("start {}", started(start)),
            Action::RunEpilogue(start) => format!("run epilogue of {}", started(start)),
            Action::Skip(run, _) => format!("skip {run}"),
            Action::FailToStart(run, _, error) => format!("fail to start {run}: {}", error.message),
            Action::Fail(run, _, error) => format!("fail {run}: {}", error.message),
            Action::Iteration { run, index, outcome, outputs, condition_met } => {
                let met = if *condition_met { " met" } else { "" };
                let outputs = outputs.as_ref().map(json).unwrap_or_default();
                format!("end {run}[{index}] {outcome:?}{outputs}{met}")
            }
            Action::Finish(run, _, outcome, why) => {
                format!("finish {run} {outcome:?}{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())
            }
            Action::Resume(run, _, behavior) => format!("resume {run} {behavior:?}"),
            Action::Pause => "pause".to_owned(),
            Action::ViolateSla(sla, why) => format!("violate {}: {why}", sla.id),
            Action::Retry(retry) => format!("retry {:?}", retry.behavior),
            Action::Wait(at) => format!("wait until {}", (*at - self.begin).num_seconds()),
            Action::End(ending) => {
                let problem = ending.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
                format!("end {}{}{problem}", ending.state, json(&ending.outputs))
            }
        }
    }
}

#[test]
fn plan_says_what_to_do_next() {
    let env = TestEnv::new();
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/plan/cases.txt");
    let cases = std::fs::read_to_string(cases).unwrap();
    let (mut differences, mut count) = (String::new(), 0);
    for case in cases.split("\n# ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let parts: Vec<&str> = rest.split("---\n").collect();
        let [flow, happened, expected] = parts[..] else { panic!("the case `{name}` has not three parts") };
        let actions = env.actions(flow, happened).join("\n");
        if actions != expected.trim_end() {
            differences += &format!("# {name}\n{flow}---\n{happened}---\n{actions}\n");
        }
        count += 1;
    }
    assert!(count >= 60, "only {count} cases");
    assert!(differences.is_empty(), "these cases have other actions:\n{differences}");
}

#[test]
fn secrets_that_come_to_light_are_given_back_and_change_nothing_before() {
    let env = TestEnv::new();
    let text = "id: f\nnamespace: n\ntasks: [{id: a, type: work, text: \"{{ secret('PASSWORD') }}\"}]";
    let flow = parse("f.yaml", text, TASKS).flow.unwrap();
    let mut state = State::new(ExecutionSpec::default());
    state.apply(env.at(0), &Event::Started).unwrap();
    let context = env.context(&flow);
    let planned = plan(&state, &flow, &context, env.at(0));
    assert_eq!(planned.actions.iter().map(|action| env.shown(action)).collect::<Vec<_>>(), ["start a: hunter22"]);
    let redactor = &env.settings.redactor;
    assert_eq!(redactor.line("it is hunter22"), "it is hunter22");
    context.host.register(&planned.secrets);
    assert_eq!(redactor.line("it is hunter22"), "it is ***");
}
