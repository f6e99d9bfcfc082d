//! Parses `triggers`, with every problem at once.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, nearest, offer};
use crate::flow::Input;
use crate::flow::expression::{check as check_calls, references};
use crate::flow::findings;
use crate::flow::members;
use crate::flow::parse::{FlowParser, below, is_name};
use crate::flow::trigger::condition::{CONDITIONS, ConditionType};
use crate::flow::trigger::{
    Condition, TRIGGER_FIELDS, TRIGGERS, Trigger, TriggerCommon, TriggerKind, TriggerType, cron,
};
use crate::task::{is_template, read};

const ROOTS: &[&str] = &["trigger", "response", "flow", "labels", "vars"];

const MAX_DEPTH: usize = 20;

impl FlowParser<'_> {
    /// The flow's triggers. `inputs` are what an execution may be given.
    pub(in crate::flow) fn triggers(&mut self, value: Option<&Value>, inputs: &[Input]) -> Vec<Trigger> {
        let items = self.list(value, "triggers");
        let mut ids = BTreeSet::new();
        let mut triggers = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = vec!["triggers".to_owned(), index.to_string()];
            let Value::Object(map) = item else {
                self.report(
                    &path,
                    Diagnostic::error("a trigger is a map with `id` and `type`")
                        .help("write `- {id: daily, type: schedule, cron: \"@daily\"}`"),
                );
                continue;
            };
            triggers.extend(self.trigger(map, path, &mut ids, inputs));
        }
        triggers
    }

    fn trigger(
        &mut self,
        map: &Map<String, Value>,
        path: Vec<String>,
        ids: &mut BTreeSet<String>,
        inputs: &[Input],
    ) -> Option<Trigger> {
        let (common, own): (Map<_, _>, Map<_, _>) =
            map.clone().into_iter().partition(|(key, _)| TRIGGER_FIELDS.contains(&key.as_str()));
        let common = Value::Object(common);
        let found = findings::all(self.document, &path, &common, |value| read::<TriggerCommon>(value).map(drop));
        self.findings.extend(found);
        self.trigger_id(&common, &path, ids);
        self.warn_ineffective(map, &path);
        let kind = self.trigger_type(&common, &path)?;
        let own = Value::Object(own.into_iter().filter(|(key, _)| key != "workerGroup").collect());
        self.findings.extend(findings::all_with_common_fields(self.document, &path, &own, TRIGGER_FIELDS, kind.check));
        self.templates(&own, &path);
        let conditions = self.all_conditions(&common, kind, &path);
        let on = self.trigger_kind(kind, &own, &path);
        let common: TriggerCommon = read(&common).ok()?;
        self.trigger_inputs(&common, &path, inputs);
        let labels = self.labels_at(Some(&common.labels), &below(&path, "labels"));
        let trigger = Trigger { id: common.id.clone(), on: on?, labels, common, conditions, path };
        self.warn_unfiltered(&trigger);
        Some(trigger)
    }

    fn report(&mut self, path: &[String], finding: Diagnostic) {
        let located = self.document.locate(path, finding);
        self.findings.push(located);
    }

    fn trigger_id(&mut self, common: &Value, path: &[String], ids: &mut BTreeSet<String>) {
        let Some(id) = common.get("id").and_then(Value::as_str) else { return };
        let path = below(path, "id");
        if !is_name(id) {
            self.report(
                &path,
                Diagnostic::error(format!("`{id}` is not a trigger id")).help("use letters, digits, `-` and `_`"),
            );
        } else if !ids.insert(id.to_owned()) {
            let finding = Diagnostic::error(format!("there are two triggers called `{id}`"));
            self.report(&path, finding.help("rename one of them: the state of a trigger is stored under its id"));
        }
    }

    /// Keys that are accepted without effect, for older flows.
    fn warn_ineffective(&mut self, map: &Map<String, Value>, path: &[String]) {
        for key in ["workerGroup", "logLevel"].iter().filter(|key| map.contains_key(**key)) {
            let finding = Diagnostic::warning(format!("`{key}` has no effect here")).help("remove it");
            self.findings.push(self.document.locate_key(&below(path, key), finding));
        }
    }

    fn trigger_type(&mut self, common: &Value, path: &[String]) -> Option<&'static TriggerType> {
        let name = common.get("type").and_then(Value::as_str)?;
        let found = TriggerType::find(name);
        if found.is_none() {
            let short: Vec<&str> = TRIGGERS.iter().map(|kind| kind.name).collect();
            let known = TRIGGERS.iter().flat_map(|kind| std::iter::once(&kind.name).chain(kind.aliases)).copied();
            // A long name resembles those of every package, so it only suggests other long names.
            let near = nearest(name, known).filter(|near| near.contains('.') == name.contains('.'));
            let near = near.filter(|near| near.rsplit('.').next() != Some("Trigger") || name.contains(".http."));
            let is_object_store =
                ["s3", "fs", "azure", "minio"].iter().any(|store| name.split('.').any(|part| part == *store));
            let help = match near {
                None if is_object_store => {
                    "the nearest is `file`, whose `from` is a folder or `gs://bucket/folder`".to_owned()
                }
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is `{}`", short.join("`, `")),
            };
            self.report(&below(path, "type"), Diagnostic::error(format!("unknown trigger type `{name}`")).help(help));
        }
        found
    }

    fn trigger_kind(&mut self, kind: &TriggerType, own: &Value, path: &[String]) -> Option<TriggerKind> {
        match kind.name {
            "schedule" => self.schedule(own, path),
            "webhook" => {
                let webhook: super::Webhook = read(own).ok()?;
                let finding = if webhook.key.is_empty() {
                    Some(Diagnostic::error("the key is empty: anyone could start the flow"))
                } else if webhook.key.contains(['/', '?', '#']) || webhook.key.contains(char::is_whitespace) {
                    Some(Diagnostic::error("this key cannot be part of a URL"))
                } else if webhook.is_easily_guessed() {
                    Some(Diagnostic::warning(
                        "this key is easy to guess, and anyone who knows it can start the flow: a server that other machines can \
                         reach rejects it",
                    ))
                } else {
                    None
                };
                if let Some(finding) = finding {
                    self.report(&below(path, "key"), finding.help("use about twenty letters and digits"));
                }
                Some(TriggerKind::Webhook(webhook))
            }
            "flow" => {
                let flow: super::FlowEnd = read(own).ok()?;
                if let Some(missing) = flow.preconditions.as_ref().and_then(|all| all.time_window.missing()) {
                    let path = below(&below(path, "preconditions"), "timeWindow");
                    let finding = Diagnostic::error(format!("`{missing}` is missing"));
                    self.report(&path, finding.help(format!("add `{missing}: \"09:00:00\"`")));
                }
                self.preconditions(&flow, &below(path, "preconditions"));
                Some(TriggerKind::Flow(flow))
            }
            "file" => {
                let arrival: super::FileArrival = read(own).ok()?;
                if let Err(problem) = arrival.expression()
                    && !holds_template(&Value::from(arrival.reg_exp.as_deref()))
                {
                    let key = if own.get("regExp").is_some() { "regExp" } else { "reg_exp" };
                    let help = "it must match the whole address, as in `.*2020-0[1-6]\\.csv\\.gz`";
                    self.report(&below(path, key), Diagnostic::error(problem).help(help));
                }
                Some(TriggerKind::File(arrival))
            }
            _ => read(own).ok().map(TriggerKind::Http),
        }
    }

    fn schedule(&mut self, own: &Value, path: &[String]) -> Option<TriggerKind> {
        let schedule: super::Schedule = read(own).ok()?;
        let zone = match schedule.timezone.as_deref().map_or(Ok(chrono_tz::Tz::UTC), cron::zone) {
            Ok(zone) => zone,
            Err((message, help)) => {
                self.report(&below(path, "timezone"), Diagnostic::error(message).help(help));
                chrono_tz::Tz::UTC
            }
        };
        match cron::CronTimes::parse_expression(&schedule.cron, schedule.with_seconds, zone) {
            Ok(times) => Some(TriggerKind::Schedule(schedule, Box::new(times))),
            Err(error) => {
                let finding = Diagnostic::error(error.message).help(error.help);
                let located = self.document.locate_text(&below(path, "cron"), &error.culprit, finding);
                self.findings.push(located);
                None
            }
        }
    }

    /// `conditions`, and `when`.
    fn all_conditions(&mut self, common: &Value, kind: &TriggerType, path: &[String]) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for key in ["conditions", "scheduleConditions"] {
            if let Some(value) = common.get(key).filter(|value| !value.is_null()) {
                conditions.extend(self.conditions(value, &below(path, key), 0));
            }
        }
        match common.get("when") {
            Some(list @ Value::Array(_)) => conditions.extend(self.conditions(list, &below(path, "when"), 0)),
            Some(expression) => {
                self.templates(expression, &below(path, "when"));
                conditions.extend(Condition::expression(expression));
            }
            None => {}
        }
        if kind.name != "flow"
            && let Some(condition) = conditions.iter().find_map(needs_execution)
        {
            let finding = Diagnostic::error(format!(
                "`{}` checks an execution of another flow, which a `{}` trigger does not have",
                condition.name, kind.name
            ));
            self.report(&below(path, "conditions"), finding.help("use it in a trigger of type `flow`"));
        }
        conditions
    }

    fn conditions(&mut self, value: &Value, path: &[String], depth: usize) -> Vec<Condition> {
        let Value::Array(items) = value else {
            self.report(path, Diagnostic::error("this is not a list of conditions").help("write `- type: weekend`"));
            return Vec::new();
        };
        if depth > MAX_DEPTH {
            self.report(path, Diagnostic::error(format!("conditions are nested more than {MAX_DEPTH} levels deep")));
            return Vec::new();
        }
        let conditions = items.iter().enumerate();
        conditions.filter_map(|(index, item)| self.condition(item, below(path, &index.to_string()), depth)).collect()
    }

    fn condition(&mut self, item: &Value, path: Vec<String>, depth: usize) -> Option<Condition> {
        let Some((name, map)) = item.as_object().and_then(|map| Some((map.get("type")?.as_str()?, map))) else {
            self.report(&path, Diagnostic::error("a condition is a map with a `type`").help("write `- type: weekend`"));
            return None;
        };
        let Some(kind) = ConditionType::find(name) else {
            self.report(&below(&path, "type"), unknown_condition(name));
            return None;
        };
        let mut own = map.clone();
        own.shift_remove("type");
        let mut inner = Vec::new();
        if kind.is_compound
            && let Some(list) = own.get_mut("conditions")
        {
            inner = self.conditions(list, &below(&path, "conditions"), depth + 1);
            if list.is_array() {
                *list = Value::Array(Vec::new());
            }
        }
        if kind.name.ends_with("_between") && !own.contains_key("after") && !own.contains_key("before") {
            let finding = Diagnostic::error("`after` and `before` are missing");
            self.report(&path, finding.help("add one or both of them"));
        }
        let own = Value::Object(own);
        self.findings.extend(findings::all(self.document, &path, &own, |value| kind.check(value)));
        self.templates(&own, &path);
        Condition::read(kind, &own, inner)
    }

    fn templates(&mut self, value: &Value, path: &[String]) {
        match value {
            Value::String(text) if is_template(text) => {
                for error in check_calls(text).err().unwrap_or_default() {
                    let finding = Diagnostic::error(error.message);
                    self.findings.push(self.document.locate_after(path, &error.before, &error.culprit, finding));
                }
                for name in references(text).unwrap_or_default() {
                    let root = name.split('.').next().unwrap_or_default();
                    if !ROOTS.contains(&root) {
                        let finding = Diagnostic::error(format!("`{root}` is not defined in a trigger"));
                        let help = offer(root, ROOTS);
                        self.findings.push(self.document.locate_text(path, &name, finding.help(help)));
                    } else if let Some(unknown) = members::unknown(&name) {
                        let finding = Diagnostic::error(format!("`{}` is not defined", unknown.name));
                        self.findings.push(self.document.locate_text(path, &unknown.name, finding.help(unknown.help)));
                    }
                }
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| self.templates(item, &below(path, &index.to_string())));
            }
            Value::Object(map) => map.iter().for_each(|(key, item)| self.templates(item, &below(path, key))),
            _ => {}
        }
    }

    fn trigger_inputs(&mut self, common: &TriggerCommon, path: &[String], inputs: &[Input]) {
        let path = below(path, "inputs");
        for (name, value) in &common.inputs {
            let place = below(&path, name);
            self.templates(value, &place);
            // Dotted ids nest, so that `a` may hold the value of `a.b`.
            let known = inputs.iter().find(|input| {
                input.id == *name || input.id.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
            });
            let Some(known) = known else {
                if self.invalid.inputs.contains(name) {
                    continue;
                }
                let ids: Vec<&str> = inputs.iter().map(|input| input.id.as_str()).collect();
                let help = if ids.is_empty() { "the flow has no inputs".to_owned() } else { offer(name, &ids) };
                let finding = Diagnostic::error(format!("the flow has no input `{name}`")).help(help);
                self.findings.push(self.document.locate_key(&place, finding));
                continue;
            };
            let is_literal = !holds_template(value) && (value.is_string() || value.is_number() || value.is_boolean());
            if is_literal
                && known.id == *name
                && let Err(message) = known.accept(value, &known.values)
            {
                self.report(&place, Diagnostic::error(format!("input `{name}`: {message}")));
            }
        }
    }

    /// Preconditions without flows, and filters that cannot match.
    fn preconditions(&mut self, flow: &super::FlowEnd, path: &[String]) {
        let Some(all) = &flow.preconditions else { return };
        if all.flows.is_empty() && all.filters.is_empty() {
            self.report(path, Diagnostic::error("`flows` is missing").help("add `flows: …`, or `where: …`"));
        }
        for (index, filters) in all.filters.iter().enumerate() {
            if let Some((filter, problem)) = filters.problem() {
                let place = ["where", &index.to_string(), "filters", &filter.to_string()].map(str::to_owned);
                self.report(&[path, &place].concat(), Diagnostic::error(problem));
            }
        }
    }

    /// Warns about a trigger that matches every execution of every flow, its own included.
    fn warn_unfiltered(&mut self, trigger: &Trigger) {
        if let TriggerKind::Flow(flow) = &trigger.on
            && flow.preconditions.is_none()
            && trigger.conditions.is_empty()
        {
            let finding = Diagnostic::warning("this trigger starts the flow after every execution of every flow");
            self.report(
                &trigger.path,
                finding.help("name the flow: `conditions: [{type: execution_flow, namespace: …, flowId: …}]`"),
            );
        }
    }
}

fn holds_template(value: &Value) -> bool {
    value.as_str().is_some_and(is_template)
}

fn needs_execution(condition: &Condition) -> Option<&'static ConditionType> {
    if condition.kind.needs_execution {
        return Some(condition.kind);
    }
    condition.inner.iter().find_map(needs_execution)
}

fn unknown_condition(name: &str) -> Diagnostic {
    let known: Vec<&str> = CONDITIONS.iter().map(|kind| kind.name).collect();
    let class = name.rsplit('.').next().unwrap_or(name);
    let near_class = nearest(class, CONDITIONS.iter().map(|kind| kind.kestra))
        .and_then(|kestra| CONDITIONS.iter().find(|kind| kind.kestra == kestra).map(|kind| kind.name));
    let help = match nearest(name, known.iter().copied()).or(near_class) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there is `{}`", known.join("`, `")),
    };
    Diagnostic::error(format!("unknown condition `{name}`")).help(help)
}
