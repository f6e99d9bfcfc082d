//! What jaq makes of a program.
//!
//! Only what is pure is offered: no files, clock, environment or exit. Regular expressions are left to the filters
//! `replace` and `split`.

use std::borrow::Cow;

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::native::{Filter, bome, run as native, v};
use jaq_core::{Compiler, Ctx, Error, RunPtr, Vars};
use jaq_json::{Val, read};
use jaq_std::ValT;
use serde_json::Value;

use super::JqResult;
use crate::text::shortened;

/// Definitions of jq's library that stand on what is not offered.
const LEFT_OUT: &[&str] = &[
    "stderr",
    "debug",
    "halt",
    "halt_error",
    "logb",
    "significand",
    "pow10",
    "drem",
    "nexttoward",
    "scalb",
    "gamma",
    "capture_of_match",
    "test",
    "scan_",
    "scan",
    "match",
    "capture",
    "splits",
    "sub",
    "gsub",
    "todate",
    "fromdate",
    "@sh",
    "@html",
    "@htmld",
    "@uri",
    "@urid",
    "@base64",
    "@base64d",
];

/// The start of a program or value, as a message shows it.
const MAX_SHOWN: usize = 60;

/// Every result of a program for a JSON text.
pub(super) fn results(program: &str, json: &str) -> JqResult {
    let input =
        read::parse_single(json.as_bytes()).map_err(|error| format!("`{}` is not JSON: {error}", short(json)))?;
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let is_left_out = |name: &str, arguments: usize| LEFT_OUT.contains(&name) || (name == "split" && arguments == 2);
    let definitions = definitions.filter(|definition| !is_left_out(definition.name, definition.args.len()));
    let functions = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs()).chain(rounding());
    let arena = Arena::default();
    let loaded = Loader::new(definitions).load(&arena, File { code: program, path: () });
    let loaded = loaded.map_err(|_| format!("`{}` is not a jq program", short(program)))?;
    let compiled = Compiler::default().with_funs(functions).compile(loaded).map_err(|errors| {
        let names: Vec<&str> = errors.iter().flat_map(|(_, errors)| errors.iter().map(|(name, _)| *name)).collect();
        format!("the jq program uses `{}`, which is not supported", names.join("`, `"))
    })?;
    let context = Ctx::<JustLut<Val>>::new(&compiled.lut, Vars::new([]));
    compiled.id.run((context, input)).map(|result| to_value(result.map_err(|error| error.get_err().ok()))).collect()
}

fn short(text: &str) -> Cow<'_, str> {
    shortened(text, MAX_SHOWN)
}

fn to_value(result: Result<Val, Option<Error<Val>>>) -> Result<Value, String> {
    let value =
        result.map_err(|error| error.map_or_else(|| "the jq program panicked".to_owned(), |error| plain(&error)))?;
    serde_json::from_str(&value.to_string()).map_err(|error| match error.to_string().starts_with("recursion limit") {
        true => "the result is nested too deeply".to_owned(),
        false => format!("the result `{}` is not JSON", short(&value.to_string())),
    })
}

/// The words of an error; those that a program gives itself come as JSON.
fn plain(error: &Error<Val>) -> String {
    let shown = error.to_string();
    serde_json::from_str(&shown).unwrap_or(shown)
}

/// `floor`, `ceil` and `round`, of jq's mathematics the ones that flows use.
fn rounding() -> impl Iterator<Item = jaq_core::native::Fun<JustLut<Val>>> {
    fn rounded(value: &Val, round: fn(f64) -> f64) -> Result<Val, Error<Val>> {
        let number = value.as_f64().ok_or_else(|| Error::str("only a number can be rounded"))?;
        let rounded = round(number);
        let whole = rounded.abs() < 9e15;
        Ok(if whole { Val::from(rounded as isize) } else { Val::from(rounded) })
    }
    let filters: [Filter<RunPtr<JustLut<Val>>>; 3] = [
        ("floor", v(0), |cv| bome(rounded(&cv.1, f64::floor))),
        ("ceil", v(0), |cv| bome(rounded(&cv.1, f64::ceil))),
        ("round", v(0), |cv| bome(rounded(&cv.1, f64::round))),
    ];
    filters.into_iter().map(native::<JustLut<Val>>)
}
