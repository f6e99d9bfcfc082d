//! Runs a flow's text with the real engine and a home of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::Utc;
use jitney::config::{Overrides, Settings};
use jitney::engine::{Before, Notice, Runner};
use jitney::flow::{input, parse};
use jitney::journal::{Journal, State};
use jitney::tasks;
use tokio_util::sync::CancellationToken;

/// What came of a flow.
pub struct Ran {
    pub state: State,
    /// The lines that its tasks logged, in order.
    pub lines: Vec<String>,
}

impl Ran {
    pub fn status(&self) -> &'static str {
        self.state.status.as_str()
    }
}

/// The tasks of a flow, below its head.
pub fn flow(tasks: &str) -> String {
    format!("id: f\nnamespace: n\n{tasks}")
}

/// Runs a flow to its end.
pub async fn run(text: &str) -> Ran {
    run_with(text, &[]).await
}

/// Runs a flow with inputs.
pub async fn run_with(text: &str, given: &[(&str, &str)]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let overrides = Overrides { home: Some(home.path().to_owned()), postgres: None };
    let settings = Settings::from_environment(overrides, BTreeMap::new()).unwrap();
    let parsed = parse("f.yaml", text, tasks::ALL);
    let problems: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    let flow = parsed.flow.unwrap_or_else(|| panic!("{}", problems.join("\n")));
    let given: Vec<(String, String)> =
        given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let inputs = input::resolve(&flow, &given, &Before::at(Utc::now())).unwrap();
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let log = lines.clone();
    let runner = Runner {
        journal: Arc::new(Journal::open(&settings.journal()).unwrap()),
        settings: Arc::new(settings),
        observer: Arc::new(move |notice| {
            if let Notice::Log { message, .. } = notice {
                log.lock().unwrap().push(message.to_owned());
            }
        }),
    };
    let id = runner.create(&flow, &inputs, None).unwrap();
    let state = runner.run(&id, &flow, &inputs, CancellationToken::new()).await.unwrap();
    assert_eq!(runner.journal.state(&id).unwrap().as_ref(), Some(&state), "the journal says the same as the run");
    let lines = lines.lock().unwrap().clone();
    Ran { state, lines }
}

/// Every finding of a flow's text.
pub fn findings(text: &str) -> Vec<String> {
    parse("f.yaml", text, tasks::ALL)
        .findings
        .iter()
        .map(|finding| format!("{}:{} {}", finding.line, finding.column, finding.message))
        .collect()
}
