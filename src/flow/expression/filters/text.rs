//! Filters on text.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::super::builtin::{Builtin, BuiltinCall, BuiltinResult};
use super::super::value::to_text;
use crate::text::shell_quoted;

/// How many parts a text may be split into.
const MAX_PARTS: usize = 1_000_000;
/// The sizes of compiled regular expressions in bytes, and what a byte of text counts for one that is not larger.
const REGEXES: [(usize, usize); 4] = [(16 << 10, 64), (64 << 10, 256), (256 << 10, 1024), (1 << 20, 4096)];

pub(super) const FILTERS: &[Builtin] = &[
    Builtin::new("abbreviate", &["length"], 1, abbreviate),
    Builtin::new("capitalize", &[], 0, |call| map(call, initial)),
    Builtin::new("endsWith", &["value"], 1, |call| {
        Ok(Value::Bool(call.input_text()?.ends_with(call.required_text("value")?)))
    }),
    Builtin::new("indent", &["amount", "prefix"], 1, |call| indent(call, "")),
    Builtin::new("lower", &[], 0, |call| map(call, str::to_lowercase)),
    Builtin::new("nindent", &["amount", "prefix"], 1, |call| indent(call, "\n")),
    Builtin::new("replace", &["replace_pairs", "regexp"], 1, replace),
    Builtin::new("shellQuote", &[], 0, |call| Ok(Value::String(shell_quoted(&to_text(call.input))))),
    Builtin::new("slugify", &[], 0, |call| map(call, slug)),
    Builtin::new("split", &["delimiter", "limit"], 1, split),
    Builtin::new("startsWith", &["value"], 1, |call| {
        Ok(Value::Bool(call.input_text()?.starts_with(call.required_text("value")?)))
    }),
    Builtin::new("string", &[], 0, |call| Ok(Value::String(to_text(call.input)))),
    Builtin::new("substringAfter", &["separator"], 1, |call| {
        cut(call, |text, mark| text.split_once(mark), |cut| cut.1, "")
    }),
    Builtin::new("substringAfterLast", &["separator"], 1, |call| {
        cut(call, |text, mark| text.rsplit_once(mark), |cut| cut.1, "")
    }),
    Builtin::new("substringBefore", &["separator"], 1, |call| before(call, |text, mark| text.split_once(mark))),
    Builtin::new("substringBeforeLast", &["separator"], 1, |call| before(call, |text, mark| text.rsplit_once(mark))),
    Builtin::new("title", &[], 0, |call| map(call, title)),
    Builtin::new("trim", &[], 0, |call| map(call, |text| text.trim().to_owned())),
    Builtin::new("upper", &[], 0, |call| map(call, str::to_uppercase)),
];

fn map(call: &BuiltinCall, change: impl Fn(&str) -> String) -> BuiltinResult {
    Ok(Value::String(change(&call.input_text()?)))
}

fn initial(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn title(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(initial).collect()
}

/// Lower case, with one dash between words; letters, digits and underscores stay.
fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

fn abbreviate(call: &BuiltinCall) -> BuiltinResult {
    let (text, length) = (call.input_text()?, call.count("length")?);
    if text.chars().count() <= length {
        return Ok(Value::String(text));
    }
    let (kept, dots) = if length > 3 { (length - 3, "...") } else { (length, "") };
    Ok(Value::String(text.chars().take(kept).chain(dots.chars()).collect()))
}

fn cut(
    call: &BuiltinCall,
    split: impl for<'t> Fn(&'t str, &str) -> Option<(&'t str, &'t str)>,
    side: impl for<'t> Fn((&'t str, &'t str)) -> &'t str,
    otherwise: &str,
) -> BuiltinResult {
    let text = call.input_text()?;
    let found = split(&text, call.required_text("separator")?).map(side);
    Ok(Value::String(found.unwrap_or(otherwise).to_owned()))
}

/// Without the separator the whole text is before it.
fn before(call: &BuiltinCall, split: impl for<'t> Fn(&'t str, &str) -> Option<(&'t str, &'t str)>) -> BuiltinResult {
    let text = call.input_text()?;
    cut(call, split, |cut| cut.0, &text)
}

/// Indents the lines after the first; `begin` is put before the text.
fn indent(call: &BuiltinCall, begin: &str) -> BuiltinResult {
    let (text, amount) = (call.input_text()?, call.count("amount")?);
    let prefix = call.text("prefix")?.unwrap_or(" ");
    let lines = text.matches('\n').count() + 1;
    call.check_text_size(lines.saturating_mul(amount).saturating_mul(prefix.len()))?;
    if text.is_empty() {
        return Ok(Value::String(text));
    }
    Ok(Value::String(format!("{begin}{text}").replace('\n', &format!("\n{}", prefix.repeat(amount)))))
}

/// A regular expression, and what each byte counts that it looks at.
struct CostedRegex {
    regex: Regex,
    cost: usize,
}

impl CostedRegex {
    /// A regular expression, within bounds; those of Java that need look-around or back-references are refused. The larger
    /// it is when compiled, the longer each byte may take.
    fn new(call: &BuiltinCall, pattern: &str) -> Result<Self, String> {
        call.spend(100_000)?;
        let build = |(size, cost): &(usize, usize)| {
            RegexBuilder::new(pattern).size_limit(*size).build().map(|regex| Self { regex, cost: *cost })
        };
        let [small, larger @ ..] = REGEXES;
        let built = larger.iter().fold(build(&small), |built, next| match built {
            Err(regex::Error::CompiledTooBig(_)) => build(next),
            other => other,
        });
        built.map_err(|error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("`{pattern}` cannot be used as a regular expression: {last}")
        })
    }

    /// The expression, its look at this text counted.
    fn for_text(&self, call: &BuiltinCall, text: &str) -> Result<&Regex, String> {
        call.spend(text.len().saturating_mul(self.cost))?;
        Ok(&self.regex)
    }
}

/// Java's way: the separator is a regular expression, and empty parts at the end go unless there is a limit.
fn split(call: &BuiltinCall) -> BuiltinResult {
    let (text, pattern) = (call.input_text()?, call.required_text("delimiter")?);
    let limit = call.integer("limit")?.unwrap_or(0);
    let max_parts = usize::try_from(limit).ok().filter(|max_parts| *max_parts > 0).unwrap_or(MAX_PARTS + 1);
    let mut parts: Vec<&str> = if pattern.is_empty() {
        text.split("").filter(|part| !part.is_empty()).take(max_parts).collect()
    } else if regex::escape(pattern) == pattern {
        text.splitn(max_parts, pattern).collect()
    } else {
        CostedRegex::new(call, pattern)?.for_text(call, &text)?.splitn(&text, max_parts).collect()
    };
    if parts.len() > MAX_PARTS {
        return Err(format!("there are more than {MAX_PARTS} parts"));
    }
    while limit == 0 && parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

/// What is replaced, and by what.
enum Replacement<'c> {
    Text(&'c str, String),
    Regex(CostedRegex, String),
}

impl Replacement<'_> {
    fn apply(&self, call: &BuiltinCall, text: &str) -> Result<String, String> {
        let (found, new) = match self {
            Self::Text(old, new) => (text.matches(old).count(), new),
            Self::Regex(regex, new) => (regex.for_text(call, text)?.find_iter(text).count(), new),
        };
        // A `$0` repeats what was found, all together not more than the whole text.
        let repeated = text.len().saturating_mul(new.matches('$').count() + 1);
        call.check_text_size(found.saturating_mul(new.len()).saturating_add(repeated))?;
        Ok(match self {
            Self::Text(old, new) => text.replace(old, new),
            Self::Regex(regex, new) => regex.for_text(call, text)?.replace_all(text, new.as_str()).into_owned(),
        })
    }
}

fn replace(call: &BuiltinCall) -> BuiltinResult {
    let Some(Value::Object(pairs)) = call.argument("replace_pairs") else {
        return Err("it takes a map, such as `replace({'old': 'new'})`".to_owned());
    };
    let mut replacements = Vec::new();
    for (old, new) in pairs {
        replacements.push(match call.flag("regexp", false)? {
            true => Replacement::Regex(CostedRegex::new(call, old)?, java_groups(&to_text(new))),
            false => Replacement::Text(old, to_text(new)),
        });
    }
    replaced(call, call.input, &replacements)
}

fn replaced(call: &BuiltinCall, value: &Value, pairs: &[Replacement]) -> BuiltinResult {
    Ok(match value {
        Value::Array(items) => items.iter().map(|item| replaced(call, item, pairs)).collect::<Result<_, _>>()?,
        Value::Object(map) => {
            let entries = map.iter().map(|(key, item)| Ok((key.clone(), replaced(call, item, pairs)?)));
            Value::Object(entries.collect::<Result<Map<_, _>, String>>()?)
        }
        other => {
            let mut text = to_text(other);
            for pair in pairs {
                call.spend(text.len())?;
                text = pair.apply(call, &text)?;
                call.spend(text.len())?;
            }
            Value::String(text)
        }
    })
}

/// Java's `$1` as the `${1}` of the regex crate, which would read on through letters.
fn java_groups(new: &str) -> String {
    let mut out = String::new();
    let mut letters = new.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('$') => out.push_str("$$"),
                Some(escaped) => out.push(escaped),
                None => {}
            },
            '$' if letters.peek().is_some_and(char::is_ascii_digit) => {
                out.push_str("${");
                out.extend(letters.next_if(char::is_ascii_digit));
                out.push('}');
            }
            '$' if letters.peek() != Some(&'{') => out.push_str("$$"),
            other => out.push(other),
        }
    }
    out
}
