//! What the execution of a partition is given.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::calendar::{PartitionKey, PartitionSchedule};
use super::dates;
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::schedule::{self, ClockHost};
use crate::engine::{HypotheticalRun, InputHost, Runner};
use crate::flow::Flow;
use crate::flow::expression::{Names, render};
use crate::flow::input::{self, InputType};
use crate::journal::{Summary, Triggered};
use crate::text::plain;

/// What marks executions that a backfill started, in place of a trigger.
const KIND: &str = "backfill";

/// The execution of a partition, as it would be.
#[derive(Clone, Debug)]
pub struct PartitionRun {
    /// The partition.
    pub key: PartitionKey,
    /// Values for inputs as texts, rendered.
    pub given: Vec<(String, String)>,
    /// The values of all inputs that may be shown.
    pub shown: Map<String, Value>,
    /// The same run as the engine foresees it.
    pub hypothetical: HypotheticalRun,
}

/// A flow whose partitions are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Partitioned<'a> {
    /// The flow.
    pub flow: &'a Flow,
    /// What its partitions go by.
    pub schedule: &'a PartitionSchedule<'a>,
    /// Values for inputs, whose expressions may name `trigger` and `vars`; they win over those of the trigger that do not
    /// depend on the date.
    pub given: &'a [(String, String)],
}

impl Partitioned<'_> {
    /// The execution of one partition.
    ///
    /// # Errors
    /// Everything that is wrong with its inputs.
    pub fn run(&self, runner: &Runner, key: &PartitionKey) -> Result<PartitionRun, Vec<Diagnostic>> {
        let facts = schedule::facts(Some(self.schedule.times()), key.date);
        let given = self.rendered(&facts, key.date).map_err(|finding| vec![finding])?;
        let inputs = input::resolve(self.flow, &given, &InputHost::at(clock::now()))?;
        let (shown, _) = runner.split_secrets(self.flow, &inputs, false);
        let hypothetical = HypotheticalRun { inputs, date: key.date, trigger: Some(self.triggered(facts)) };
        Ok(PartitionRun { key: key.clone(), given, shown, hypothetical })
    }

    /// The executions of many partitions.
    ///
    /// # Errors
    /// When a given input would hide the date from all of them; else everything that is wrong with the inputs of the
    /// first one that has something wrong.
    pub fn runs(&self, runner: &Runner, keys: &[PartitionKey]) -> Result<Vec<PartitionRun>, Vec<Diagnostic>> {
        self.check_given()?;
        keys.iter().map(|key| self.run(runner, key)).collect()
    }

    /// Refuses given inputs that would hide the date from all partitions.
    ///
    /// # Errors
    /// One finding for each such input.
    pub(super) fn check_given(&self) -> Result<(), Vec<Diagnostic>> {
        dates::check_given(self.schedule, self.given)
    }

    /// Whether the inputs alone tell the partitions apart, so that an execution by hand counts for its partition.
    pub fn is_told_by_inputs(&self, runner: &Runner, key: &PartitionKey) -> bool {
        let Some(date) = self.schedule.times().next(key.date) else { return false };
        let other = self.run(runner, &PartitionKey { date, label: String::new() });
        self.run(runner, key)
            .is_ok_and(|run| other.is_ok_and(|other| self.identity(&run.shown) != self.identity(&other.shown)))
    }

    /// The inputs that make a partition: not where its files come from.
    fn identity(&self, inputs: &Map<String, Value>) -> String {
        let counts = |name: &str| {
            let declared = self.flow.inputs.iter().find(|input| input.id == name);
            declared.is_some_and(|input| !matches!(input.kind, InputType::Uri | InputType::File | InputType::Secret))
        };
        let own = inputs.iter().filter(|(name, _)| counts(name));
        // No text holds a zero byte before another begins.
        own.map(|(name, value)| format!("{name}\0{}\0", plain(value))).collect()
    }

    /// What the executions of a partition have in common.
    pub fn key_of_run(&self, run: &PartitionRun, told_by_inputs: bool) -> String {
        self.identity_key(Some(run.key.date), told_by_inputs, &run.shown)
    }

    /// The same of an execution.
    pub fn key_of_execution(&self, summary: &Summary, told_by_inputs: bool) -> String {
        self.identity_key(summary.trigger_date, told_by_inputs, &summary.inputs)
    }

    /// The date of a partition, unless its inputs tell it, and these inputs.
    fn identity_key(&self, date: Option<DateTime<Utc>>, told_by_inputs: bool, inputs: &Map<String, Value>) -> String {
        let date = date.filter(|_| !told_by_inputs).map(|date| date.timestamp_micros());
        format!("{}\0{}", date.unwrap_or(i64::MIN), self.identity(inputs))
    }

    fn triggered(&self, facts: Value) -> Triggered {
        let mut facts = facts.as_object().cloned().unwrap_or_default();
        let id = self.schedule.trigger().map_or(KIND, |trigger| trigger.id.as_str());
        facts.insert("id".to_owned(), Value::from(id));
        Triggered { id: KIND.to_owned(), kind: KIND.to_owned(), facts }
    }

    /// The trigger's inputs, and over them those that were given.
    fn rendered(&self, facts: &Value, date: DateTime<Utc>) -> Result<Vec<(String, String)>, Diagnostic> {
        let names = json!({
            "trigger": facts,
            "vars": self.flow.variables,
            "flow": {"id": self.flow.id, "namespace": self.flow.namespace},
        });
        let names: Names = names.as_object().cloned().unwrap_or_default();
        let own = self.schedule.trigger().into_iter().flat_map(|trigger| trigger.common.inputs.clone());
        let given = self.given.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        let render = |(name, value): (String, Value)| {
            let value = render(&value, &names, &ClockHost(date));
            let value = value.map_err(|error| Diagnostic::error(format!("input `{name}`: {}", error.message)))?;
            Ok((name, plain(&value)))
        };
        own.chain(given).map(render).collect()
    }
}
