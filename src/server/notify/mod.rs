//! Notifies people through a chat's webhook, by mail, or with a command of their own.
//!
//! A flow that keeps failing is reported once, and once more every `repeat`, with the number of failures that were suppressed.
//! What was sent is kept in the journal, so that a restart sends nothing twice.

mod channel;
mod message;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Settings;
use crate::duration::DurationSpec;
use crate::fingerprint::{Fingerprint, FingerprintBuilder};
use crate::flow::expression::Host;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, Journal, JournalError, NotificationKey, State};
use crate::task::TaskType;
use crate::text::plain;

use channel::Channel;
pub use channel::MailChannel;
pub use message::Notification;

/// Who is notified of what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct NotificationRule {
    /// What to report; failures, recoveries and an unhealthy server by default.
    #[serde(default = "usual")]
    pub on: Vec<NotificationEvent>,
    /// Which flows, as `namespace.flow`, where `*` stands for anything; all by default.
    #[serde(default = "everything")]
    pub flows: Vec<String>,
    /// Only executions that have these labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The text, a template over `event`, `flow`, `execution`, `trigger`, `inputs`, `labels`, `error`, `rows`,
    /// `repeated` and `link`.
    pub message: Option<String>,
    /// How long a flow that keeps failing is not reported again; 24 h by default.
    #[serde(default = "a_day")]
    pub repeat: DurationSpec,
    /// The address of an incoming webhook, as Slack, Mattermost, Discord (with `/slack`) and others have them: it is
    /// sent `{"text": …}`.
    pub webhook: Option<String>,
    /// A mail.
    pub mail: Option<MailChannel>,
    /// A command with its arguments, each a template; the text is on its standard input too.
    pub command: Option<Vec<String>>,
}

/// What there is to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationEvent {
    /// An execution failed.
    Failure,
    /// A flow that had failed ended well again.
    Recovery,
    /// A scheduled execution did not start in time, or takes longer than it may.
    Late,
    /// An execution ended well.
    Success,
    /// The server cannot do all of its work: its disk is full, its journal cannot be written. Reported whatever `flows` and
    /// `labels` say; when it is over, it is reported as a recovery.
    Unhealthy,
}

impl NotificationEvent {
    /// The word for it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::Late => "late",
            Self::Success => "success",
            Self::Unhealthy => "unhealthy",
        }
    }
}

fn usual() -> Vec<NotificationEvent> {
    vec![NotificationEvent::Failure, NotificationEvent::Recovery, NotificationEvent::Unhealthy]
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

fn a_day() -> DurationSpec {
    DurationSpec(std::time::Duration::from_secs(86_400))
}

impl NotificationRule {
    fn matches(&self, event: NotificationEvent, notification: &Notification) -> bool {
        let name = format!("{}.{}", notification.namespace, notification.flow);
        let labels = &notification.labels;
        self.on.contains(&event)
            && self.flows.iter().any(|pattern| glob_matches(pattern, &name))
            && self.labels.iter().all(|(key, value)| labels.get(key).is_some_and(|label| plain(label) == *value))
    }

    /// Whether it reaches nobody.
    pub(super) fn is_silent(&self) -> bool {
        Channel::of(self).is_empty()
    }

    /// Identifies a rule in the journal: by its content, so that another order of the rules changes nothing.
    fn fingerprint(&self) -> Fingerprint {
        let mail = self.mail.as_ref().map(|mail| &mail.to);
        let former = format!("{:?}", (&self.webhook, mail, &self.command, &self.flows, &self.labels));
        FingerprintBuilder::default()
            .with_some("webhook", self.webhook.as_ref())
            .with_some("mail", mail)
            .with_some("command", self.command.as_ref())
            .with("flows", &self.flows, &everything())
            .with("labels", &self.labels, &BTreeMap::new())
            .fingerprint(&former)
    }

    fn name(&self) -> String {
        self.fingerprint().sha256
    }
}

/// Whether a pattern in which `*` stands for anything matches a whole text.
fn glob_matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| glob_matches(tail, &rest[at..]))
        }),
    }
}

/// Sends notifications as the rules say.
pub struct Notifier {
    rules: Vec<NotificationRule>,
    journal: Arc<Journal>,
    settings: Arc<Settings>,
    host: Arc<dyn Host + Send + Sync>,
    /// The task types of the flows that are reported.
    tasks: &'static [TaskType],
    client: reqwest::Client,
    /// When each rule reported each problem of the server. In memory: the problem may be a journal that cannot be written.
    reported: Mutex<HashMap<(String, String), Instant>>,
}

impl Notifier {
    /// A notifier; `host` answers `secret()` in the rules.
    ///
    /// # Errors
    /// When the system's root certificates cannot be read.
    pub fn new(
        rules: Vec<NotificationRule>,
        journal: Arc<Journal>,
        settings: Arc<Settings>,
        host: Arc<dyn Host + Send + Sync>,
        tasks: &'static [TaskType],
    ) -> reqwest::Result<Self> {
        let client = crate::web::client::client(std::time::Duration::from_secs(30))?;
        Ok(Self { rules, journal, settings, host, tasks, client, reported: Mutex::default() })
    }

    /// Renames what earlier versions of the program recorded under their names of these rules, so that nothing is sent twice.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn adopt_rule_names(&self) -> Result<(), JournalError> {
        self.rules
            .iter()
            .map(NotificationRule::fingerprint)
            .try_for_each(|print| self.journal.rename_rule(&print.former, &print.sha256))
    }

    /// Notifies of the end of an execution; gives what could not be sent, in plain words.
    pub async fn ended(&self, id: &ExecutionId, state: &State, now: DateTime<Utc>) -> Vec<String> {
        let notification = Notification::of(id, state, self.tasks);
        match state.status {
            ExecutionState::Failed => self.notify(NotificationEvent::Failure, notification, now).await,
            ExecutionState::Success | ExecutionState::Warning => {
                let mut problems = self.notify(NotificationEvent::Recovery, notification.clone(), now).await;
                problems.extend(self.notify(NotificationEvent::Success, notification, now).await);
                problems
            }
            _ => Vec::new(),
        }
    }

    /// Sends a notification by every rule that matches; gives what could not be sent, in plain words.
    pub async fn notify(
        &self,
        event: NotificationEvent,
        notification: Notification,
        now: DateTime<Utc>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.matches(event, &notification)) {
            let Notification { namespace, flow, .. } = notification.clone();
            let key = NotificationKey { rule: rule.name(), namespace, flow };
            match self.is_due(rule, event, &key, now) {
                Ok(Some(repeated)) => {
                    let notification = Notification { repeated, ..notification.clone() };
                    if let Err(problem) = self.send(rule, event, &notification).await {
                        // The next failure is then not suppressed.
                        let forgotten = self.journal.forget_notification(&key, event.as_str());
                        problems.extend(forgotten.err().map(|error| error.to_string()));
                        problems.push(self.settings.redactor.line(&problem));
                    }
                }
                Ok(None) => {}
                Err(error) => problems.push(format!("a notification was not sent: {error}")),
            }
        }
        problems
    }

    /// Notifies of a problem that keeps the server from its work; gives what could not be sent, in plain words.
    pub async fn unhealthy(&self, problem: &str) -> Vec<String> {
        let is_due = |rule: &NotificationRule| {
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (rule.name(), problem.to_owned());
            let is_due = reported.get(&key).is_none_or(|last| last.elapsed() >= rule.repeat.0);
            if is_due {
                reported.insert(key, Instant::now());
            }
            is_due
        };
        self.notify_of_server(NotificationEvent::Unhealthy, problem, is_due).await
    }

    /// Notifies that the problem is over, by the rules that have reported it.
    pub async fn healthy(&self, problem: &str) -> Vec<String> {
        let was_reported = |rule: &NotificationRule| {
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            reported.remove(&(rule.name(), problem.to_owned())).is_some()
                && rule.on.contains(&NotificationEvent::Recovery)
        };
        self.notify_of_server(NotificationEvent::Recovery, problem, was_reported).await
    }

    async fn notify_of_server(
        &self,
        event: NotificationEvent,
        problem: &str,
        is_due: impl Fn(&NotificationRule) -> bool + Send + Sync,
    ) -> Vec<String> {
        let error = Some((String::new(), problem.to_owned()));
        let notification = Notification { error, ..Notification::default() };
        let mut problems = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.on.contains(&NotificationEvent::Unhealthy) && is_due(rule)) {
            if let Err(problem) = self.send(rule, event, &notification).await {
                problems.push(self.settings.redactor.clean(&problem));
            }
        }
        problems
    }

    /// Whether to send now, and how many notifications of the same kind were suppressed before.
    fn is_due(
        &self,
        rule: &NotificationRule,
        event: NotificationEvent,
        key: &NotificationKey,
        now: DateTime<Utc>,
    ) -> Result<Option<u32>, JournalError> {
        match event {
            NotificationEvent::Success => Ok(Some(0)),
            NotificationEvent::Recovery => self.journal.forget_notification(key, NotificationEvent::Failure.as_str()),
            _ => self.journal.record_notification(key, event.as_str(), now, rule.repeat.0),
        }
    }

    async fn send(
        &self,
        rule: &NotificationRule,
        event: NotificationEvent,
        notification: &Notification,
    ) -> Result<(), String> {
        let names = notification.names(event);
        let message = message::text(notification.template(rule.message.as_deref()), &names, self.host.as_ref())?;
        let message = self.settings.redactor.line(&message);
        for channel in Channel::of(rule) {
            let channel = channel.rendered(&names, &message, self.host.as_ref())?;
            channel.send(&self.settings, &self.client, &message).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(glob_matches("*", "zoomcamp.taxi"));
        assert!(glob_matches("zoomcamp.*", "zoomcamp.taxi"));
        assert!(glob_matches("*.taxi*", "zoomcamp.taxi_scheduled"));
        assert!(!glob_matches("zoomcamp.*", "other.taxi"));
        assert!(!glob_matches("zoomcamp", "zoomcamp.taxi"));
    }

    /// Journals hold these: another value here means that what was sent is sent again.
    #[test]
    fn rules_have_the_names_that_journals_hold() {
        let name = |settings: serde_json::Value| {
            serde_json::from_value::<NotificationRule>(settings).unwrap().fingerprint().known().map(str::to_owned)
        };
        let plain = serde_json::json!({"webhook": "https://example.com/a"});
        let all = serde_json::json!({
            "command": ["say", "x"], "flows": ["zoomcamp.*"], "labels": {"team": "taxi"},
            "mail": {"host": "h", "from": "a@example.com", "to": ["b@example.com"]},
        });
        assert_eq!(
            [plain, all].map(name),
            [
                [
                    "84bc9f85684c29b090036bf722e22af219db5c55a541fa16b9fc7dcfba268a04",
                    "1249d0a365f73b0ab770cf4a6f1b3e2a87893c716cde9b8f4ef0c681bdedc196"
                ],
                [
                    "f51e2a8d0edd5a74a55498e99e7f0f66cbc0e520c597c68b58fa5d6c44c4818a",
                    "84e4f6ba1da32b8c9747178323327cb632a77338c5a5b082e65a75f2f4d48462"
                ],
            ]
        );
    }
}
