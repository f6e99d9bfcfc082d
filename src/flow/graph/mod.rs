//! A flow as a graph: order, nesting, and data dependencies. The graph is plain data; `text.rs`, `mermaid.rs` and `svg.rs`
//! render it.

mod layout;
mod mermaid;
mod svg;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::duration::{DurationSpec, Timeout};
use crate::flow::expression::mentions;
use crate::flow::trigger::{Condition, TriggerKind};
use crate::flow::{Flow, Step, Trigger};
use crate::task::{Branch, Capability, is_template};
use crate::text::plain;

/// A flow's picture.
#[derive(Clone, Debug)]
pub struct FlowGraph {
    /// The flow's id.
    pub id: String,
    /// Its namespace.
    pub namespace: String,
    /// What it is for.
    pub description: Option<String>,
    /// What starts it.
    pub triggers: Vec<GraphNode>,
    /// What runs: the tasks, and those for errors and for the end.
    pub lanes: Vec<GraphLane>,
    /// Whose outputs go where, by ids.
    pub data: Vec<(String, String)>,
}

/// Tasks that belong together: those of a flow, or of a branch.
#[derive(Clone, Debug)]
pub struct GraphLane {
    /// What a reader calls it; empty for the tasks of a flow or of a loop.
    pub label: String,
    /// How its tasks follow one another.
    pub order: GraphOrder,
    /// The tasks.
    pub nodes: Vec<GraphNode>,
}

/// How tasks follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphOrder {
    /// One after another.
    Sequence,
    /// Side by side.
    Parallel,
    /// Each after those that it depends on.
    Dependencies,
}

/// A task, or a trigger.
#[derive(Clone, Debug)]
pub struct GraphNode {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Whether it runs the same for each of several values.
    pub is_loop: bool,
    /// What decides about it: a condition, the values of a loop, the times of a schedule.
    pub detail: String,
    /// What is special about it: retries, conditions.
    pub notes: Vec<String>,
    /// Tasks inside of it.
    pub lanes: Vec<GraphLane>,
    /// The tasks that must have ended before it, where its lane goes by dependencies.
    pub depends_on: Vec<String>,
}

/// What a picture within a page shows of a task.
#[derive(Clone, Debug)]
pub struct TaskMark {
    /// The class of the page's stylesheet.
    pub class: &'static str,
    /// The sign of its state; empty where no state is shown.
    pub sign: &'static str,
    /// The word for its state.
    pub word: &'static str,
    /// Where a click leads.
    pub link: String,
}

impl FlowGraph {
    /// The picture of a flow.
    pub fn of(flow: &Flow) -> Self {
        let mut graph = Self {
            id: flow.id.to_string(),
            namespace: flow.namespace.clone(),
            description: flow.description.clone(),
            triggers: flow.triggers.iter().map(trigger).collect(),
            lanes: Vec::new(),
            data: Vec::new(),
        };
        for (label, steps) in [("", &flow.steps), ("errors", &flow.errors), ("finally", &flow.finally)] {
            if !steps.is_empty() {
                graph.lanes.push(lane(label, GraphOrder::Sequence, steps));
            }
        }
        let mut known = BTreeSet::new();
        let all = [&flow.steps, &flow.errors, &flow.finally];
        all.iter().for_each(|steps| ids(steps, &mut known));
        all.iter().for_each(|steps| data_edges(steps, &known, &mut graph.data));
        graph
    }

    /// As text for a terminal.
    pub fn to_text(&self) -> String {
        text::write(self)
    }

    /// As a Mermaid flow chart.
    pub fn to_mermaid(&self) -> String {
        mermaid::write(self)
    }

    /// As an SVG image that needs nothing else.
    pub fn to_svg(&self) -> String {
        svg::write(self)
    }

    /// As SVG for a page, whose stylesheet has its colours: with a `<g>` for each task that has a mark.
    pub fn to_inline_svg(&self, marks: &BTreeMap<String, TaskMark>) -> String {
        svg::write_inline(self, marks)
    }

    /// Adds what a task has done to its box. What its box said of attempts is left out: it is known now.
    pub fn add_note(&mut self, task: &str, note: String) {
        let mut open: Vec<&mut GraphLane> = self.lanes.iter_mut().collect();
        while let Some(lane) = open.pop() {
            for node in &mut lane.nodes {
                if node.id == task {
                    node.notes.retain(|known| !known.ends_with(" attempts"));
                    node.notes.push(note);
                    return;
                }
                open.extend(node.lanes.iter_mut());
            }
        }
    }

    /// The tasks whose outputs a task uses.
    fn sources<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        self.data.iter().filter(move |(_, to)| to == id).map(|(from, _)| from.as_str())
    }
}

fn lane(label: &str, order: GraphOrder, steps: &[Step]) -> GraphLane {
    GraphLane { label: label.to_owned(), order, nodes: steps.iter().map(node).collect() }
}

fn node(step: &Step) -> GraphNode {
    let lanes = step.branches.iter().filter(|(_, steps)| !steps.is_empty()).map(|(name, steps)| {
        let label = match name.as_str() {
            "tasks" => "",
            name => name.split_once('.').map_or(name, |(_, case)| case),
        };
        lane(label, order(step, name), steps)
    });
    GraphNode {
        id: step.id.to_string(),
        kind: step.task.name.to_owned(),
        is_loop: step.task.has(Capability::Loops),
        detail: detail(step),
        notes: notes(step),
        lanes: lanes.collect(),
        depends_on: step.depends_on.iter().map(ToString::to_string).collect(),
    }
}

fn order(step: &Step, branch: &str) -> GraphOrder {
    let is_graph = step.task.branches.iter().any(|kind| matches!(kind, Branch::Graph(name) if *name == branch));
    match branch {
        _ if is_graph => GraphOrder::Dependencies,
        "tasks" if step.task.has(Capability::Parallel) => GraphOrder::Parallel,
        _ => GraphOrder::Sequence,
    }
}

/// What decides about a task with sub-tasks.
fn detail(step: &Step) -> String {
    let field = |name: &&str| step.fields.get(*name).filter(|value| !value.is_null()).map(one_line);
    let subject = ["condition", "value", "values", "items", "flowId"].iter().find_map(field);
    let subject = subject.filter(|_| step.task.is_flowable() || step.fields.get("flowId").is_some());
    let limit = ["concurrencyLimit", "concurrent", "concurrency_limit"].iter().find_map(|name| step.fields.get(*name));
    let limit = limit.and_then(Value::as_u64).map(|limit| match limit {
        0 => "all at a time".to_owned(),
        limit => format!("{limit} at a time"),
    });
    subject.into_iter().chain(limit).collect::<Vec<_>>().join(" · ")
}

/// A value on one line. A lone template loses its braces.
fn one_line(value: &Value) -> String {
    let text = match value {
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => plain(other),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let inner = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    clip(inner.filter(|text| !text.contains("{{")).unwrap_or(&text).trim(), 48)
}

fn clip(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(length - 1).collect();
    clipped.truncate(clipped.trim_end().len());
    clipped.push('…');
    clipped
}

fn notes(step: &Step) -> Vec<String> {
    let common = &step.common;
    let condition = common.run_if.as_ref().map(|condition| format!("if {}", one_line(condition)));
    let attempts = common.retry.as_ref().map(|retry| match retry.max_attempts {
        Some(attempts) => format!("{attempts} attempts"),
        None => "repeated".to_owned(),
    });
    let limit = common.timeout.as_ref().map(|timeout| match timeout {
        Timeout::Fixed(span) => format!("at most {}", duration_text(*span)),
        Timeout::Later(text) => format!("at most {text}"),
    });
    let may_fail = common.allow_failure.then(|| "may fail".to_owned());
    condition.into_iter().chain(attempts).chain(limit).chain(may_fail).collect()
}

/// `2h`, `90s`
fn duration_text(span: DurationSpec) -> String {
    match span.0.as_secs() {
        seconds if span.0.subsec_nanos() > 0 || seconds % 60 > 0 => format!("{}s", span.0.as_secs_f64()),
        seconds if seconds % 3600 > 0 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

/// A condition's name, in words that tell what it looks at.
fn condition_text(condition: &Condition) -> String {
    let inner = |word: &str| condition.inner.iter().map(condition_text).collect::<Vec<_>>().join(word);
    match condition.kind.name {
        "not" => format!("not ({})", inner(" or ")),
        "or" => inner(" or "),
        name => name.replace('_', " "),
    }
}

fn trigger(trigger: &Trigger) -> GraphNode {
    let (kind, detail) = match &trigger.on {
        TriggerKind::Schedule(schedule, _) => {
            let zone = schedule.timezone.as_ref().map(|zone| format!(" {zone}"));
            ("schedule", format!("{}{}", schedule.cron, zone.unwrap_or_default()))
        }
        // The key is a secret.
        TriggerKind::Webhook(_) => ("webhook", String::new()),
        TriggerKind::Flow(flow) => {
            let flow_ids = flow.preconditions.iter().flat_map(|all| &all.flows).filter_map(|flow| flow.flow_id.clone());
            ("flow", flow_ids.collect::<Vec<_>>().join(", "))
        }
        TriggerKind::File(file) => ("file", crate::secret::hide_passwords(&file.from)),
        TriggerKind::Http(poll) => ("http", crate::secret::hide_passwords(&poll.uri)),
    };
    let disabled = trigger.common.disabled.then(|| "disabled".to_owned());
    let conditions = trigger.conditions.iter().map(|condition| format!("if {}", condition_text(condition)));
    GraphNode {
        id: trigger.id.clone(),
        kind: kind.to_owned(),
        is_loop: false,
        detail: clip(&detail, 48),
        notes: disabled.into_iter().chain(conditions).collect(),
        lanes: Vec::new(),
        depends_on: Vec::new(),
    }
}

fn ids<'a>(steps: &'a [Step], into: &mut BTreeSet<&'a str>) {
    for step in steps {
        into.insert(step.id.as_str());
        step.branches.iter().for_each(|(_, steps)| ids(steps, into));
    }
}

fn data_edges(steps: &[Step], known: &BTreeSet<&str>, into: &mut Vec<(String, String)>) {
    for step in steps {
        let mut named = BTreeSet::new();
        outputs_in(&step.fields, &mut named);
        step.common.run_if.iter().for_each(|condition| outputs_in(condition, &mut named));
        into.extend(
            named.into_iter().filter(|name| known.contains(name.as_str())).map(|name| (name, step.id.to_string())),
        );
        step.branches.iter().for_each(|(_, steps)| data_edges(steps, known, into));
    }
}

/// The tasks whose outputs the templates of a value name.
fn outputs_in(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if is_template(text) => {
            let names = mentions(text).unwrap_or_default();
            into.extend(
                names.iter().filter_map(|name| name.strip_prefix("outputs.")?.split('.').next().map(str::to_owned)),
            );
        }
        Value::Array(items) => items.iter().for_each(|item| outputs_in(item, into)),
        Value::Object(map) => map.values().for_each(|item| outputs_in(item, into)),
        _ => {}
    }
}
