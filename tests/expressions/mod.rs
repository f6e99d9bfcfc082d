//! Templates and what they become: tables of expressions with their values, and of mistakes with their messages.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod bounds;
mod codecs;
mod dates;
mod errors;
mod functions;
mod lists;
mod operators;
mod tags;
mod texts;
mod world;

use self::world::{World, names};
use jitney::flow::expression::{check, render};
use serde_json::{Value, json};

/// A template, and its value as JSON.
type Row = (&'static str, &'static str);

fn rendered(template: &str) -> Value {
    render(&json!(template), &names(), &World::default()).unwrap_or_else(|error| json!({"error": error.message}))
}

/// Renders each row, and says of all that differ what came out.
fn assert_table(rows: &[Row]) {
    let mut wrong = Vec::new();
    for (template, expected) in rows {
        let expected: Value = serde_json::from_str(expected).unwrap_or_else(|error| panic!("{expected}: {error}"));
        let found = rendered(template);
        if found != expected {
            wrong.push(format!("{template}\n  expected {expected}\n  found    {found}"));
        }
        if let Err(errors) = check(template) {
            wrong.push(format!("{template}\n  is refused before it runs: {}", errors[0].message));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows differ:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}
