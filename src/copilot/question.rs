//! What is asked of a model, without passwords, secrets, rows and files.

use std::collections::BTreeSet;

use super::context;
use super::preserve::ShownText;
use crate::ai::{ChatMessage, ChatRequest};
use crate::engine::{FailureReport, without_passwords};
use crate::flow::Document;
use crate::secret::{Redactor, hide_literals};
use crate::task::TaskType;
use crate::text::shortened;

/// The longest wish and the longest flow, in letters.
const MAX_WISH: usize = 4_000;
const MAX_FLOW: usize = 60_000;

/// What is wanted.
pub enum QuestionSubject<'a> {
    /// A new flow, described in words.
    NewFlow(&'a str),
    /// A change of a flow.
    ChangedFlow {
        /// The change, in words.
        wish: &'a str,
        /// The flow's text.
        text: &'a str,
    },
    /// Why an execution failed, and a correction of the flow if that helps.
    Failure {
        /// The execution in a line: its id, its flow, its state.
        what: String,
        /// What the journal and the log say.
        report: &'a FailureReport,
        /// The flow's text as it is now; none if it is not known.
        text: Option<&'a str>,
        /// Whether lines of the log are sent, which may quote data.
        with_log: bool,
    },
}

/// A question, ready to be sent.
pub struct CopilotQuestion {
    pub(super) request: ChatRequest,
    pub(super) original: Option<ShownText>,
    pub(super) needs_flow: bool,
    pub(super) described: BTreeSet<&'static str>,
    pub(super) tasks: &'static [TaskType],
}

impl CopilotQuestion {
    /// A question about flows of these task types. `redactor` knows the secrets of the process.
    ///
    /// # Errors
    /// When the wish or the flow is too long.
    pub fn new(subject: &QuestionSubject<'_>, tasks: &'static [TaskType], redactor: &Redactor) -> Result<Self, String> {
        let (wish, text) = match subject {
            QuestionSubject::NewFlow(wish) => (*wish, None),
            QuestionSubject::ChangedFlow { wish, text } => (*wish, Some(*text)),
            QuestionSubject::Failure { text, .. } => ("", *text),
        };
        if wish.chars().count() > MAX_WISH {
            return Err(format!("what is wanted is longer than {MAX_WISH} letters"));
        }
        let original = text.map(|text| shown(text, redactor));
        if original.as_ref().is_some_and(|text| text.shown.len() > MAX_FLOW) {
            return Err(format!("the flow is longer than {MAX_FLOW} letters, which is too much for a model"));
        }
        let flow = original.as_ref().map(|text| text.shown.as_str()).unwrap_or_default();
        let (words, message) = match subject {
            QuestionSubject::NewFlow(wish) => ((*wish).to_owned(), format!("Write a new flow: {wish}")),
            QuestionSubject::ChangedFlow { wish, .. } => {
                ((*wish).to_owned(), format!("Change this flow: {wish}\n\n```yaml\n{flow}\n```"))
            }
            QuestionSubject::Failure { what, report, with_log, .. } => failure(what, report, flow, *with_log),
        };
        let used = types_in(flow, tasks);
        let (system, described) = context::instructions(tasks, &words, &used);
        let request = ChatRequest {
            system: Some(redactor.clean(&system)),
            messages: vec![ChatMessage::user(redactor.clean(&message))],
            ..ChatRequest::default()
        };
        let needs_flow = !matches!(subject, QuestionSubject::Failure { .. });
        Ok(Self { request, original, needs_flow, described, tasks })
    }

    /// What is sent, as text.
    pub fn text(&self) -> String {
        let mut text = format!("--- system\n{}", self.request.system.as_deref().unwrap_or_default());
        for message in &self.request.messages {
            if let ChatMessage::User(parts) = message {
                for part in parts {
                    if let crate::ai::MessagePart::Text(words) = part {
                        text += &format!("\n--- user\n{words}\n");
                    }
                }
            }
        }
        text
    }
}

/// The flow as a model may see it.
fn shown(text: &str, redactor: &Redactor) -> ShownText {
    let hidden = match Document::parse("flow.yaml", text) {
        Ok(document) => without_passwords(&document),
        Err(_) => hide_literals(text),
    };
    ShownText { original: text.to_owned(), shown: redactor.clean(&hidden) }
}

/// The short names of the task types that a text names.
pub(super) fn types_in(text: &str, tasks: &[TaskType]) -> BTreeSet<String> {
    let words: BTreeSet<&str> =
        text.split(|letter: char| letter.is_whitespace() || ",{}'\"".contains(letter)).collect();
    let is_named =
        |task: &&TaskType| words.contains(task.name) || task.aliases.iter().any(|alias| words.contains(alias));
    tasks.iter().filter(is_named).map(|task| task.name.to_owned()).collect()
}

/// The words to choose documentation by, and the message.
fn failure(what: &str, report: &FailureReport, flow: &str, with_log: bool) -> (String, String) {
    let mut words = String::new();
    let mut message = format!(
        "{what} Explain in a few sentences why, and what to do. If a change of the flow corrects it, give the whole corrected \
         flow; if not, give no flow.\n"
    );
    let mut log: Vec<&String> = report.log.iter().collect();
    for failure in &report.failures {
        let kind = failure.kind.unwrap_or("unknown type");
        words += &format!("{kind} ");
        message += &format!("\nTask `{}` ({kind}), attempt {}: {}\n", failure.task, failure.attempts, failure.message);
        if let Some(help) = &failure.help {
            message += &format!("It says: {help}\n");
        }
        log.extend(&failure.log);
    }
    if report.more > 0 {
        message += &format!("\n{} more tasks failed.\n", report.more);
    }
    if with_log && !log.is_empty() {
        message += "\nThe end of the log:\n";
        log.iter().for_each(|line| message += &format!("{}\n", shortened(line, 400)));
    }
    if !flow.is_empty() {
        message += &format!("\nThe flow:\n```yaml\n{flow}\n```\n");
    }
    (words, message)
}
