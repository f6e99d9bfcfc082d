//! What is wanted of a new execution, and why there is none.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::engine::error::EngineError;
use crate::file_access::FileAccess;
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Parent, TriggerFiring, Triggered};

/// What is wanted of a new execution.
#[derive(Clone, Debug, Default)]
pub struct ExecutionRequest {
    /// The validated inputs.
    pub inputs: Map<String, Value>,
    /// Labels in addition to the flow's own.
    pub labels: Map<String, Value>,
    /// The moment that the run is for; now when none is given.
    pub trigger_date: Option<DateTime<Utc>>,
    /// The trigger that asks for it.
    pub trigger: Option<Triggered>,
    /// What the trigger asks it for, which happens once.
    pub firing: Option<TriggerFiring>,
    /// Which of the flow's texts it is.
    pub revision: Option<u32>,
    /// What started it, when it is a sub-execution.
    pub parent: Option<Parent>,
    /// The execution that it repeats.
    pub original: Option<ExecutionId>,
    /// The one task that it runs; none if it runs all.
    pub only: Option<String>,
    /// How often the flow has been tried with this one; 0 counts as 1.
    pub attempt: u32,
    /// Its id, when that is settled already.
    pub id: Option<ExecutionId>,
    /// Whether its values are those of an execution that may not name every file of this machine.
    pub from_outside: bool,
    /// The files that its inputs may name, where another execution gives them.
    pub files: Option<FileAccess>,
}

/// Why there is no execution.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The inputs do not fit, or one of the flow's checks forbids the execution.
    #[error("{}", messages(.0))]
    Inputs(Vec<Diagnostic>),
    /// The flow is switched off.
    #[error("the flow is disabled")]
    Disabled(Box<Diagnostic>),
    /// The trigger has started an execution for this already.
    #[error("trigger {} has already started an execution for {}", .0.trigger, .0.key)]
    AlreadyFired(Box<TriggerFiring>),
    /// The process stops.
    #[error("the server is stopping")]
    Stopping,
    /// The engine cannot do it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl SubmitError {
    /// Refuses a flow that is switched off.
    pub(super) fn if_disabled(flow: &Flow) -> Result<(), Self> {
        if !flow.disabled {
            return Ok(());
        }
        let finding = Diagnostic::error(format!("the flow `{}` is disabled", flow.id));
        let finding = finding.help("remove `disabled: true` from it");
        Err(Self::Disabled(Box::new(flow.document.locate_key(&["disabled".to_owned()], finding))))
    }
}

impl From<SubmitError> for EngineError {
    fn from(refused: SubmitError) -> Self {
        match refused {
            SubmitError::Inputs(findings) => Self::Invalid(findings),
            SubmitError::Disabled(finding) => (*finding).into(),
            SubmitError::Engine(error) => error,
            SubmitError::AlreadyFired(_) | SubmitError::Stopping => Self::Stopping,
        }
    }
}

fn messages(findings: &[Diagnostic]) -> String {
    let texts: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    texts.join("; ")
}
