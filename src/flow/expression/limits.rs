//! Limits on the cost of one template, so that evaluation always terminates. Work is counted roughly in bytes handled; the
//! clock is a second limit, because some operations cost more than their bytes.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::text::MAX_DEPTH;

/// How deep expressions, blocks, macros and calls of `render()` may nest.
pub(super) const MAX_NESTING: usize = 64;
/// How many steps into a value a dotted name may have.
pub(super) const MAX_PATH_LENGTH: usize = 64;
/// How long a rendered text may be, in bytes.
pub(super) const MAX_OUTPUT_BYTES: usize = 16 << 20;
/// Iterations of all loops together.
pub(super) const MAX_ITERATIONS: u64 = 1_000_000;
/// How large a value that an expression makes may be, in bytes and in units of [`NODE_BYTES`].
const MAX_VALUE_BYTES: usize = 64 << 20;
/// The cost of a value besides its text.
pub(super) const NODE_BYTES: usize = 32;
/// The total cost, roughly in bytes handled.
const MAX_COST: u64 = 2 << 30;
/// How long all jq programs of a template may run.
const JQ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the templates of a task's fields may take.
pub(super) const TASK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a condition may take, or a template for whose result somebody waits who called a webhook.
pub(super) const CONDITION_TIMEOUT: Duration = Duration::from_secs(5);
/// The clock is checked every so many steps, and before a large step.
const CLOCK_INTERVAL: u32 = 64;
const LARGE_STEP: usize = 1 << 16;

/// What is left for a text and for all that it renders.
#[derive(Debug)]
pub(super) struct Budget {
    cost: Cell<u64>,
    iterations: Cell<u64>,
    depth: Cell<usize>,
    time: Cell<Duration>,
    steps: Cell<u32>,
    end: Instant,
}

impl Budget {
    /// The whole of it, until a moment.
    pub(super) fn until(end: Instant) -> Self {
        let (cost, iterations, depth) = (Cell::default(), Cell::default(), Cell::default());
        Self { cost, iterations, depth, time: Cell::default(), steps: Cell::default(), end }
    }

    /// Counts work.
    pub(super) fn spend(&self, units: usize) -> Result<(), String> {
        self.steps.set(self.steps.get().wrapping_add(1));
        if (units >= LARGE_STEP || self.steps.get().is_multiple_of(CLOCK_INTERVAL)) && Instant::now() > self.end {
            return Err("the expression takes too long; use a script task".to_owned());
        }
        let spent = self.cost.get().saturating_add(units as u64).saturating_add(1);
        self.cost.set(spent);
        if spent > MAX_COST { Err("the expression takes too many steps; use a script task".to_owned()) } else { Ok(()) }
    }

    /// Counts the handling of a value, and refuses an oversized one.
    pub(super) fn charge(&self, value: &Value) -> Result<(), String> {
        self.spend(checked_size(value)?)
    }

    /// Counts the handling of a value that is looked at several times.
    pub(super) fn charge_times(&self, value: &Value, times: usize) -> Result<(), String> {
        self.spend(checked_size(value)?.saturating_mul(times))
    }

    /// Counts a turn of a loop.
    pub(super) fn iterate(&self) -> Result<(), String> {
        self.iterations.set(self.iterations.get() + 1);
        if self.iterations.get() > MAX_ITERATIONS {
            Err(format!("the loops have more than {MAX_ITERATIONS} iterations"))
        } else {
            Ok(())
        }
    }

    /// Goes one level deeper; [`Budget::leave`] comes back.
    pub(super) fn enter(&self) -> Result<(), String> {
        if self.depth.get() >= MAX_NESTING * 2 {
            return Err("this is nested too deeply; does a macro or a variable refer to itself?".to_owned());
        }
        self.depth.set(self.depth.get() + 1);
        Ok(())
    }

    /// Does work that is measured by the clock, in the time that is left.
    pub(super) fn timed<T>(&self, work: impl FnOnce(Duration) -> Result<T, String>) -> Result<T, String> {
        let remaining = JQ_TIMEOUT.saturating_sub(self.time.get());
        let started = Instant::now();
        let done = work(remaining);
        self.time.set(self.time.get() + started.elapsed());
        done
    }

    pub(super) fn leave(&self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }
}

/// The size of a value.
fn checked_size(value: &Value) -> Result<usize, String> {
    let size = size(value, MAX_DEPTH).ok_or("the value is nested too deeply")?;
    if size > MAX_VALUE_BYTES {
        Err(format!("the value is larger than {} MiB", MAX_VALUE_BYTES >> 20))
    } else {
        Ok(size)
    }
}

fn size(value: &Value, depth: usize) -> Option<usize> {
    let depth_left = depth.checked_sub(1)?;
    Some(
        NODE_BYTES
            + match value {
                Value::String(text) => text.len(),
                Value::Array(items) => items.iter().try_fold(0, |sum, item| Some(sum + size(item, depth_left)?))?,
                Value::Object(map) => {
                    map.iter().try_fold(0, |sum, (key, item)| Some(sum + key.len() + size(item, depth_left)?))?
                }
                _ => 0,
            },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::{NoHost, eval, filters, functions, parser};
    use super::*;

    const LARGE_TEXT: usize = 100_000;

    /// What a template spends, whether or not it has a value.
    fn spent(template: &str, large: &Value) -> u64 {
        let names = Map::from_iter([("large".to_owned(), large.clone())]);
        let budget = Budget::until(Instant::now() + TASK_TIMEOUT);
        let template = parser::parse(template).unwrap_or_else(|error| panic!("{template}: {error}"));
        let _ = eval::evaluate(&template, &names, &NoHost, &budget);
        budget.cost.get()
    }

    #[test]
    fn reading_a_value_costs_at_least_its_size() {
        let text = Value::from("x".repeat(LARGE_TEXT));
        let list = json!(vec!["x".repeat(LARGE_TEXT / 10); 10]);
        let spends = |templates: &[String]| {
            let most = templates.iter().flat_map(|template| [&text, &list].map(|large| spent(template, large))).max();
            assert!(most.is_some_and(|most| most >= LARGE_TEXT as u64), "{most:?} of {templates:?}");
        };
        let arguments = ["", "(1)", "('x')", "(1, 'DAYS')", "({'x': 'y'})", "(large)"];
        for filter in filters::names() {
            spends(&arguments.map(|arguments| format!("{{{{ large | {filter}{arguments} }}}}")));
        }
        for function in functions::names().filter(|name| !["now", "uuid", "id", "errorLogs"].contains(name)) {
            let calls = ["(large)", "(large, large)", "(large, 'x')", "()"];
            spends(&calls.map(|call| format!("{{{{ {function}{call} }}}}")));
        }
        for operator in ["==", "!=", "<", ">=", "contains", "in", "not in", "~", "+", "-", "and", "or", "..", "is not"]
        {
            let right = if operator == "is not" { "json" } else { "large" };
            spends(&[format!("{{{{ large {operator} {right} }}}}")]);
        }
        for other in [
            "{{ not large }}",
            "{{ large ? 1 : 2 }}",
            "{{ large is empty }}",
            "{% if large %}{% endif %}",
            "{% for x in large %}{% endfor %}",
            "{% set y = large %}",
            "{% macro m(x) %}{% endmacro %}{{ m(large) }}",
            "{{ [large, {'a': large}] }}",
        ] {
            spends(&[other.to_owned()]);
        }
    }

    #[test]
    fn unknown_names_cost_as_much_as_known_ones() {
        let map: Map<String, Value> = (0..10_000).map(|number| (format!("k{number}"), Value::Null)).collect();
        assert!(spent("{{ large.none ?? 1 }}", &map.into()) > 10_000);
    }

    #[test]
    fn a_template_ends_at_its_time() {
        let names = Map::new();
        let budget = Budget::until(Instant::now());
        let template = parser::parse("{% for i in range(1, 1000) %}{{ i }}{% endfor %}").unwrap();
        let failure = eval::evaluate(&template, &names, &NoHost, &budget).err().unwrap();
        let error = super::super::ExpressionError::from(failure);
        assert!(error.message.ends_with("the expression takes too long; use a script task"), "{error}");
    }
}
