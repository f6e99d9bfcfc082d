//! The text of a notification, from a template.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::flow::expression::{Host, Names, render};
use crate::flow::{Flow, Step, parse};
use crate::id::{ExecutionId, RunId};
use crate::journal::{State, TaskState};
use crate::server::notify::NotificationEvent;
use crate::task::{Capability, TaskType};

const DEFAULT_TEMPLATE: &str = "{{ flow.namespace }}.{{ flow.id }} {% if event == 'failure' %}failed\
{% elseif event == 'recovery' %}runs again\
{% elseif event == 'late' %}is late\
{% else %}ended well{% endif %}\
{% if trigger.date %} for {{ trigger.date | date('yyyy-MM-dd') }}{% endif %}\
{% if error %}\nTask {{ error.task }}: {{ error.message }}{% endif %}\
{% if rows > 0 %}\n{{ rows }} rows loaded{% endif %}\
{% if repeated > 0 and event == 'recovery' %}\nIt had failed {{ repeated + 1 }} times\
{% elseif repeated > 0 %}\nThe same happened {{ repeated }} times since the last message{% endif %}\
\nExecution {{ execution.id }}{% if link %}: {{ link }}{% endif %}";

/// The text about the server itself.
const SERVER_TEMPLATE: &str = "{% if event == 'unhealthy' %}The server cannot do all of its work: {{ error.message }}\
{% else %}The server is healthy again; this is over: {{ error.message }}{% endif %}";

/// What a template may use.
#[derive(Clone, Debug, Default)]
pub struct Notification {
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// The execution; none for a late one that has not begun.
    pub execution: Option<ExecutionId>,
    /// Its state, in capitals.
    pub state: String,
    /// The date that it is for.
    pub date: Option<DateTime<Utc>>,
    /// When it started.
    pub started: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
    /// How many seconds processes have worked on it.
    pub seconds: Option<f64>,
    /// Its inputs, without secret ones.
    pub inputs: Map<String, Value>,
    /// Its labels.
    pub labels: Map<String, Value>,
    /// The task that failed, and why.
    pub error: Option<(String, String)>,
    /// Rows that it loaded.
    pub rows: u64,
    /// How many notifications of the same kind were suppressed since the last one.
    pub repeated: u32,
    /// Where to find more.
    pub link: Option<String>,
}

impl Notification {
    /// The notification about an execution.
    pub(super) fn of(id: &ExecutionId, state: &State, tasks: &'static [TaskType]) -> Self {
        let flow = parse(&state.created.file, &state.created.text, tasks).flow;
        let steps = flow.as_ref().map(Flow::all_steps).unwrap_or_default();
        let failed = state.tasks.iter().filter(|(_, task)| task.state == TaskState::Failed);
        // The innermost, since those around it only repeat that something in them failed. Tasks of `errors` come second.
        let error = failed
            .filter(|(run, _)| !may_fail(run, &steps))
            .filter_map(|(run, task)| Some((run, task.error.as_ref()?.message.clone())))
            .max_by_key(|(run, _)| rank(run, &steps))
            .map(|(run, message)| (run.to_string(), message));
        Self {
            namespace: state.created.namespace.clone(),
            flow: state.created.flow.clone(),
            execution: Some(id.clone()),
            state: state.status.as_str().to_owned(),
            date: Some(state.created.trigger_date),
            started: state.started,
            ended: state.ended,
            seconds: state.took().map(|took| took.as_secs_f64()),
            inputs: state.created.inputs.clone(),
            labels: state.labels.clone(),
            error,
            rows: state.rows,
            repeated: 0,
            link: None,
        }
    }

    /// The rule's own template, else the default one.
    pub(super) fn template<'a>(&self, own: Option<&'a str>) -> &'a str {
        own.unwrap_or(if self.flow.is_empty() { SERVER_TEMPLATE } else { DEFAULT_TEMPLATE })
    }

    /// The names that a message may use.
    pub(super) fn names(&self, event: NotificationEvent) -> Names {
        let stamp = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let names = json!({
            "event": event.as_str(),
            "flow": {"id": self.flow, "namespace": self.namespace},
            "execution": {
                "id": self.execution,
                "state": self.state,
                "startDate": self.started.map(stamp),
                "endDate": self.ended.map(stamp),
                "seconds": self.seconds,
            },
            "trigger": {"date": self.date.map(stamp)},
            "inputs": self.inputs,
            "labels": self.labels,
            "error": self.error.as_ref().map(|(task, message)| json!({"task": task, "message": message})),
            "rows": self.rows,
            "repeated": self.repeated,
            "link": self.link,
        });
        match names {
            Value::Object(names) => names,
            _ => Names::new(),
        }
    }
}

/// Whether the flow continues after a failure of this task, as it or a task around it says.
fn may_fail(run: &RunId, steps: &[&Step]) -> bool {
    let Some(own) = steps.iter().find(|step| step.id.as_str() == run.task()) else { return false };
    let mut around = steps.iter().filter(|step| own.path.starts_with(&step.path));
    around.any(|step| step.common.allow_failure || step.task.has(Capability::AllowsFailure))
}

/// Whether a task is outside `errors`, and how deeply it is nested.
fn rank(run: &RunId, steps: &[&Step]) -> (bool, usize) {
    let own = steps.iter().find(|step| step.id.as_str() == run.task());
    own.map_or((false, 0), |step| (!step.path.iter().any(|part| part == "errors"), step.path.len()))
}

/// The text of a message.
pub(super) fn text(template: &str, names: &Names, host: &dyn Host) -> Result<String, String> {
    let rendered = render(&Value::from(template), names, host);
    rendered.map(|value| crate::text::plain(&value)).map_err(|error| format!("the message cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::expression::NoHost;

    #[test]
    fn the_default_message_says_what_failed_where_and_why() {
        let failure = Notification {
            namespace: "zoomcamp".to_owned(),
            flow: "postgres_taxi".to_owned(),
            execution: Some(ExecutionId::new("01ABC")),
            date: Some("2020-04-01T00:00:00Z".parse().unwrap()),
            error: Some(("extract".to_owned(), "404 Not Found".to_owned())),
            repeated: 3,
            ..Notification::default()
        };
        let message = text(failure.template(None), &failure.names(NotificationEvent::Failure), &NoHost).unwrap();
        assert_eq!(
            message,
            "zoomcamp.postgres_taxi failed for 2020-04-01\nTask extract: 404 Not Found\n\
             The same happened 3 times since the last message\nExecution 01ABC"
        );
        let server =
            Notification { error: Some((String::new(), "the disk is full".to_owned())), ..Notification::default() };
        let message = |event| text(server.template(None), &server.names(event), &NoHost).unwrap();
        assert_eq!(message(NotificationEvent::Unhealthy), "The server cannot do all of its work: the disk is full");
        assert_eq!(message(NotificationEvent::Recovery), "The server is healthy again; this is over: the disk is full");
        let quiet = Notification { error: None, repeated: 0, rows: 35_612, ..failure };
        let message = text(quiet.template(None), &quiet.names(NotificationEvent::Recovery), &NoHost).unwrap();
        assert_eq!(message, "zoomcamp.postgres_taxi runs again for 2020-04-01\n35612 rows loaded\nExecution 01ABC");
    }
}
