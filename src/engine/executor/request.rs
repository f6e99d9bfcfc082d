//! What an executor is asked for, and why it refuses.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;
use crate::flow::Flow;
use crate::journal::{TriggerFiring, Triggered};

/// A new execution of a flow.
#[derive(Clone, Debug)]
pub struct Request {
    /// The flow.
    pub flow: Arc<Flow>,
    /// Inputs as text, by name.
    pub inputs: Vec<(String, String)>,
    /// Labels beside the flow's own.
    pub labels: Map<String, Value>,
    /// The moment that it is for; now unless said otherwise.
    pub trigger_date: Option<DateTime<Utc>>,
    /// The trigger that asks for it.
    pub trigger: Option<Triggered>,
    /// What the trigger asks it for, which happens once.
    pub tick: Option<TriggerFiring>,
    /// Which of the flow's texts it is.
    pub revision: Option<u32>,
}

impl Request {
    /// A request for a flow with nothing said about it.
    pub fn new(flow: Arc<Flow>) -> Self {
        let (inputs, labels) = (Vec::new(), Map::new());
        Self { flow, inputs, labels, trigger_date: None, trigger: None, tick: None, revision: None }
    }
}

/// Why there is no execution.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The inputs do not fit.
    #[error("{}", first(.0))]
    Inputs(Vec<Diagnostic>),
    /// The flow is switched off.
    #[error("the flow is disabled")]
    Disabled,
    /// The trigger has started an execution for this already.
    #[error("trigger {} has started an execution for {} already", .0.of, .0.key)]
    AlreadyRan(Box<TriggerFiring>),
    /// The process stops.
    #[error("the server is stopping")]
    Stopping,
    /// The engine cannot do it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

fn first(findings: &[Diagnostic]) -> String {
    let texts: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    texts.join("; ")
}
