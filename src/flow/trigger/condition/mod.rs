//! Conditions of triggers: each a pure function of a moment, an execution and the names that expressions may use.

mod dates;
mod executions;
mod holiday;

use chrono::{DateTime, FixedOffset};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::flow::expression::{Host, Names, evaluate_condition, render_interactive};
use crate::flow::trigger::UpstreamExecution;
use crate::task::{FieldError, read};

pub use holiday::is_holiday;

/// What a condition looks at.
pub struct ConditionContext<'a> {
    /// The moment that the trigger starts its flow for, in the trigger's time zone.
    pub date: DateTime<FixedOffset>,
    /// The execution that has ended, where the trigger waits for one.
    pub upstream: Option<&'a UpstreamExecution>,
    /// What expressions may name.
    pub names: &'a Names,
    /// What expressions may ask.
    pub host: &'a dyn Host,
}

impl ConditionContext<'_> {
    /// A field's text, rendered.
    fn text(&self, template: &str) -> Result<String, String> {
        let value = render_interactive(&Value::from(template), self.names, self.host).map_err(|error| error.message)?;
        Ok(crate::text::plain(&value))
    }

    /// The moment that a condition's `date` names; the trigger's own when there is none.
    fn date(&self, date: Option<&str>) -> Result<DateTime<FixedOffset>, String> {
        date.map_or(Ok(self.date), |template| dates::moment(&self.text(template)?, *self.date.offset()))
    }

    fn upstream(&self) -> Result<&UpstreamExecution, String> {
        self.upstream.ok_or_else(|| "the trigger has no other execution".to_owned())
    }
}

/// A condition that has been read.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Its type.
    pub kind: &'static ConditionType,
    test: ConditionTest,
    /// The conditions that `not` and `or` look at.
    pub inner: Vec<Self>,
}

#[derive(Clone, Debug)]
enum ConditionTest {
    DateTimeBetween(dates::DateTimeBetween),
    DayWeek(dates::DayWeek),
    DayWeekInMonth(dates::DayWeekInMonth),
    TimeBetween(dates::TimeBetween),
    Weekend(dates::Weekend),
    PublicHoliday(holiday::PublicHoliday),
    Not,
    Or,
    Expression(Expression),
    ExecutionFlow(executions::ExecutionFlow),
    ExecutionNamespace(executions::ExecutionNamespace),
    ExecutionLabels(executions::ExecutionLabels),
    ExecutionStatus(executions::ExecutionStatus),
}

/// Holds if none of its conditions holds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Not {
    /// The conditions.
    #[expect(dead_code, reason = "they are read apart; the field is here for its documentation and its check")]
    conditions: Vec<Value>,
}

/// Holds if at least one of its conditions holds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Or {
    /// The conditions.
    #[expect(dead_code, reason = "they are read apart; the field is here for its documentation and its check")]
    conditions: Vec<Value>,
}

/// Holds if an expression is true.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expression {
    /// The expression. It does not hold if its value is `false`, `0`, empty, or the text of one of these.
    expression: Value,
}

/// A type of condition.
pub struct ConditionType {
    /// The short name.
    pub name: &'static str,
    /// The last part of Kestra's name for the same.
    pub kestra: &'static str,
    /// The JSON Schema of its fields.
    pub schema: fn() -> Schema,
    /// Whether it looks at another flow's execution.
    pub needs_execution: bool,
    /// Whether it looks at other conditions.
    pub is_compound: bool,
    read: fn(&Value) -> Result<ConditionTest, FieldError>,
}

impl std::fmt::Debug for ConditionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn kind<T: DeserializeOwned + JsonSchema>(
    name: &'static str,
    kestra: &'static str,
    read: fn(&Value) -> Result<ConditionTest, FieldError>,
) -> ConditionType {
    let schema = || schemars::schema_for!(T);
    ConditionType { name, kestra, schema, needs_execution: false, is_compound: false, read }
}

const fn on_execution(kind: ConditionType) -> ConditionType {
    ConditionType { needs_execution: true, ..kind }
}

const fn compound(kind: ConditionType) -> ConditionType {
    ConditionType { is_compound: true, ..kind }
}

/// Every type of condition.
pub static CONDITIONS: &[ConditionType] = &[
    kind::<dates::DateTimeBetween>("date_time_between", "DateTimeBetween", |v| {
        Ok(ConditionTest::DateTimeBetween(read(v)?))
    }),
    kind::<dates::DayWeek>("day_week", "DayWeek", |v| Ok(ConditionTest::DayWeek(read(v)?))),
    kind::<dates::DayWeekInMonth>("day_week_in_month", "DayWeekInMonth", |v| {
        Ok(ConditionTest::DayWeekInMonth(read(v)?))
    }),
    kind::<dates::TimeBetween>("time_between", "TimeBetween", |v| Ok(ConditionTest::TimeBetween(read(v)?))),
    kind::<dates::Weekend>("weekend", "Weekend", |v| Ok(ConditionTest::Weekend(read(v)?))),
    kind::<holiday::PublicHoliday>("public_holiday", "PublicHoliday", |v| Ok(ConditionTest::PublicHoliday(read(v)?))),
    compound(kind::<Not>("not", "Not", |v| read::<Not>(v).map(|_| ConditionTest::Not))),
    compound(kind::<Or>("or", "Or", |v| read::<Or>(v).map(|_| ConditionTest::Or))),
    kind::<Expression>("expression", "Expression", |v| Ok(ConditionTest::Expression(read(v)?))),
    on_execution(kind::<executions::ExecutionFlow>("execution_flow", "ExecutionFlow", |v| {
        Ok(ConditionTest::ExecutionFlow(read(v)?))
    })),
    on_execution(kind::<executions::ExecutionNamespace>("execution_namespace", "ExecutionNamespace", |v| {
        Ok(ConditionTest::ExecutionNamespace(read(v)?))
    })),
    on_execution(kind::<executions::ExecutionLabels>("execution_labels", "ExecutionLabels", |v| {
        Ok(ConditionTest::ExecutionLabels(read(v)?))
    })),
    on_execution(kind::<executions::ExecutionStatus>("execution_status", "ExecutionStatus", |v| {
        Ok(ConditionTest::ExecutionStatus(read(v)?))
    })),
];

/// The packages that Kestra's conditions have lived in.
const PACKAGES: [&str; 2] = ["io.kestra.plugin.core.condition.", "io.kestra.core.models.conditions.types."];

impl ConditionType {
    /// The type of this name, short or Kestra's, old or new.
    pub fn find(name: &str) -> Option<&'static Self> {
        let kestra = PACKAGES.iter().find_map(|package| name.strip_prefix(package));
        CONDITIONS.iter().find(|kind| match kestra {
            Some(last) => last.strip_suffix("Condition").unwrap_or(last) == kind.kestra,
            None => name == kind.name,
        })
    }

    /// Whether these fields make a condition.
    ///
    /// # Errors
    /// When a field does not fit.
    pub(super) fn check(&self, fields: &Value) -> Result<(), FieldError> {
        let test = (self.read)(fields)?;
        let checked = match &test {
            ConditionTest::DateTimeBetween(test) => test.check(),
            ConditionTest::TimeBetween(test) => test.check(),
            ConditionTest::PublicHoliday(test) => test.check(),
            _ => Ok(()),
        };
        checked.map_err(|(field, message)| FieldError { path: vec![field.to_owned()], message })
    }
}

impl Condition {
    /// Reads a condition from its fields, without its type.
    pub(super) fn read(kind: &'static ConditionType, fields: &Value, inner: Vec<Self>) -> Option<Self> {
        Some(Self { kind, test: (kind.read)(fields).ok()?, inner })
    }

    /// The condition that an expression holds.
    pub(super) fn expression(expression: &Value) -> Option<Self> {
        let kind = ConditionType::find("expression")?;
        Some(Self {
            kind,
            test: ConditionTest::Expression(Expression { expression: expression.clone() }),
            inner: Vec::new(),
        })
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// In plain words: an expression has no value, or none that is wanted.
    pub fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        match &self.test {
            ConditionTest::DateTimeBetween(test) => test.is_met(context),
            ConditionTest::DayWeek(test) => test.is_met(context),
            ConditionTest::DayWeekInMonth(test) => test.is_met(context),
            ConditionTest::TimeBetween(test) => test.is_met(context),
            ConditionTest::Weekend(test) => test.is_met(context),
            ConditionTest::PublicHoliday(test) => test.is_met(context),
            ConditionTest::Not => Ok(!any_met(&self.inner, context)?),
            ConditionTest::Or => any_met(&self.inner, context),
            ConditionTest::Expression(test) => {
                evaluate_condition(&test.expression, context.names, context.host).map_err(|error| error.message)
            }
            ConditionTest::ExecutionFlow(test) => test.is_met(context),
            ConditionTest::ExecutionNamespace(test) => test.is_met(context),
            ConditionTest::ExecutionLabels(test) => test.is_met(context),
            ConditionTest::ExecutionStatus(test) => test.is_met(context),
        }
    }
}

fn any_met(conditions: &[Condition], context: &ConditionContext) -> Result<bool, String> {
    for condition in conditions {
        if condition.is_met(context)? {
            return Ok(true);
        }
    }
    Ok(false)
}
