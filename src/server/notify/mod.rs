//! Tells people what happened: through a chat's webhook, by mail, or by a command of their own.
//!
//! A flow that fails again and again is told once, and once more each `repeat`; then the message says how often it was
//! left out. What has been told is kept in the journal, so that a restart tells nothing twice.

mod channel;
mod message;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::config::Settings;
use crate::duration::DurationSpec;
use crate::fingerprint::{Fingerprint, FingerprintBuilder};
use crate::flow::expression::Host;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, Journal, JournalError, NotificationKey, State};
use crate::task::TaskType;

pub use channel::{Channel, MailChannel, MailTls};
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

/// What there is to tell.
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
    /// Whether this rule tells about this.
    fn concerns(&self, occasion: NotificationEvent, news: &Notification) -> bool {
        let name = format!("{}.{}", news.namespace, news.flow);
        self.on.contains(&occasion)
            && self.flows.iter().any(|pattern| matches(pattern, &name))
            && self.labels.iter().all(|(key, value)| news.labels.get(key).is_some_and(|found| plain(found) == *value))
    }

    /// Whether it reaches nobody.
    pub fn is_silent(&self) -> bool {
        Channel::of(self).is_empty()
    }

    /// What tells rules apart in the journal: the rule itself, so that another order of the rules changes nothing.
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

fn plain(value: &Value) -> String {
    crate::text::plain(value)
}

/// Whether a pattern in which `*` stands for anything fits a whole text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(tail, &rest[at..]))
        }),
    }
}

/// Sends what the rules want told.
pub struct Notifier {
    rules: Vec<NotificationRule>,
    journal: Arc<Journal>,
    settings: Arc<Settings>,
    host: Arc<dyn Host + Send + Sync>,
    /// The task types of the flows that are told of.
    tasks: &'static [TaskType],
    client: reqwest::Client,
    /// When each rule was told of each trouble of the server. A journal that cannot be written cannot keep it.
    told: Mutex<HashMap<(String, String), Instant>>,
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
        Ok(Self { rules, journal, settings, host, tasks, client, told: Mutex::default() })
    }

    /// Takes over what earlier versions of the program wrote down about these rules, so that nothing is sent twice.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn adopt_rule_names(&self) -> Result<(), JournalError> {
        self.rules
            .iter()
            .map(NotificationRule::fingerprint)
            .try_for_each(|print| self.journal.rename_rule(&print.former, &print.sha256))
    }

    /// Tells about an execution that has ended; what could not be sent comes back in plain words.
    pub async fn ended(&self, id: &ExecutionId, state: &State, now: DateTime<Utc>) -> Vec<String> {
        let news = Notification::of(id, state, self.tasks);
        match state.status {
            ExecutionState::Failed => self.tell(NotificationEvent::Failure, news, now).await,
            ExecutionState::Success | ExecutionState::Warning => {
                let mut problems = self.tell(NotificationEvent::Recovery, news.clone(), now).await;
                problems.extend(self.tell(NotificationEvent::Success, news, now).await);
                problems
            }
            _ => Vec::new(),
        }
    }

    /// Tells about one thing, each rule for itself; what could not be sent comes back in plain words.
    pub async fn tell(&self, occasion: NotificationEvent, news: Notification, now: DateTime<Utc>) -> Vec<String> {
        let mut problems = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.concerns(occasion, &news)) {
            let key = NotificationKey { rule: rule.name(), namespace: news.namespace.clone(), flow: news.flow.clone() };
            match self.is_due(rule, occasion, &key, now) {
                Ok(Some(repeated)) => {
                    let told = Notification { repeated, ..news.clone() };
                    if let Err(problem) = self.send(rule, occasion, &told).await {
                        // Untold: the next failure tells it.
                        let forgotten = self.journal.forget_notification(&key, occasion.as_str());
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

    /// Tells what keeps the server from its work; what could not be sent comes back in plain words.
    pub async fn unhealthy(&self, problem: &str) -> Vec<String> {
        let is_due = |rule: &NotificationRule| {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (rule.name(), problem.to_owned());
            let is_due = told.get(&key).is_none_or(|last| last.elapsed() >= rule.repeat.0);
            if is_due {
                told.insert(key, Instant::now());
            }
            is_due
        };
        self.tell_of_server(NotificationEvent::Unhealthy, problem, is_due).await
    }

    /// Tells that this is over, whoever was told of it.
    pub async fn healthy(&self, problem: &str) -> Vec<String> {
        let was_told = |rule: &NotificationRule| {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.remove(&(rule.name(), problem.to_owned())).is_some() && rule.on.contains(&NotificationEvent::Recovery)
        };
        self.tell_of_server(NotificationEvent::Recovery, problem, was_told).await
    }

    async fn tell_of_server(
        &self,
        occasion: NotificationEvent,
        problem: &str,
        is_due: impl Fn(&NotificationRule) -> bool + Send + Sync,
    ) -> Vec<String> {
        let news = Notification { error: Some((String::new(), problem.to_owned())), ..Notification::default() };
        let mut problems = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.on.contains(&NotificationEvent::Unhealthy) && is_due(rule)) {
            if let Err(problem) = self.send(rule, occasion, &news).await {
                problems.push(self.settings.redactor.clean(&problem));
            }
        }
        problems
    }

    /// How many times the same was left out before, when it is to be told now.
    fn is_due(
        &self,
        rule: &NotificationRule,
        occasion: NotificationEvent,
        key: &NotificationKey,
        now: DateTime<Utc>,
    ) -> Result<Option<u32>, JournalError> {
        match occasion {
            NotificationEvent::Success => Ok(Some(0)),
            NotificationEvent::Recovery => self.journal.forget_notification(key, NotificationEvent::Failure.as_str()),
            _ => self.journal.record_notification(key, occasion.as_str(), now, rule.repeat.0),
        }
    }

    async fn send(
        &self,
        rule: &NotificationRule,
        occasion: NotificationEvent,
        news: &Notification,
    ) -> Result<(), String> {
        let names = news.names(occasion);
        let message = message::text(news.template(rule.message.as_deref()), &names, self.host.as_ref())?;
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
        assert!(matches("*", "zoomcamp.taxi"));
        assert!(matches("zoomcamp.*", "zoomcamp.taxi"));
        assert!(matches("*.taxi*", "zoomcamp.taxi_scheduled"));
        assert!(!matches("zoomcamp.*", "other.taxi"));
        assert!(!matches("zoomcamp", "zoomcamp.taxi"));
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
