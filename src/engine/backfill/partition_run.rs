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

/// The date of a partition, unless its inputs tell it, and these inputs.
pub(super) type IdentityKey<'a> = (Option<DateTime<Utc>>, Vec<(&'a String, String)>);

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
        dates::check_given(self.schedule, self.given)?;
        keys.iter().map(|key| self.run(runner, key)).collect()
    }

    /// Whether the inputs alone tell the partitions apart, so that an execution by hand counts for its partition.
    pub fn is_told_by_inputs(&self, runner: &Runner, key: &PartitionKey) -> bool {
        let Some(date) = self.schedule.times().next(key.date) else { return false };
        let other = self.run(runner, &PartitionKey { date, label: String::new() });
        self.run(runner, key)
            .is_ok_and(|run| other.is_ok_and(|other| self.identity(&run.shown) != self.identity(&other.shown)))
    }

    /// The inputs that make a partition: not where its files come from.
    fn identity<'v>(&self, inputs: &'v Map<String, Value>) -> Vec<(&'v String, String)> {
        let counts = |name: &str| {
            let declared = self.flow.inputs.iter().find(|input| input.id == name);
            declared.is_some_and(|input| !matches!(input.kind, InputType::Uri | InputType::File | InputType::Secret))
        };
        inputs.iter().filter(|(name, _)| counts(name)).map(|(name, value)| (name, plain(value))).collect()
    }

    /// What the executions of a partition have in common.
    pub fn key_of_run<'v>(&self, run: &'v PartitionRun, told_by_inputs: bool) -> IdentityKey<'v> {
        (Some(run.key.date).filter(|_| !told_by_inputs), self.identity(&run.shown))
    }

    /// The same of an execution.
    pub fn key_of_execution<'v>(&self, summary: &'v Summary, told_by_inputs: bool) -> IdentityKey<'v> {
        (summary.trigger_date.filter(|_| !told_by_inputs), self.identity(&summary.inputs))
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
