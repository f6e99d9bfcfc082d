//! Constraints on a value beyond its type: choices, pattern, bounds, file extension.

use regex::Regex;
use serde_json::Value;

use super::{Input, InputType};
use crate::diagnostic::nearest;
use crate::duration::DurationSpec;
use crate::text::plain;

impl Input {
    pub(super) fn check_limits(&self, value: &Value, choices: &[String]) -> Result<(), String> {
        let items = if self.kind.is_list() { value.as_array().map(Vec::as_slice) } else { None };
        for item in items.unwrap_or(std::slice::from_ref(value)) {
            self.check_choice(item, choices)?;
            self.check_pattern(item)?;
        }
        self.check_bounds(value)?;
        self.check_time(value)?;
        self.check_extension(value)
    }

    fn check_choice(&self, value: &Value, choices: &[String]) -> Result<(), String> {
        let text = plain(value);
        if !self.kind.has_choices() || self.allow_custom_value || choices.contains(&text) {
            return Ok(());
        }
        let near = nearest(&text, choices.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        Err(format!("`{text}` is not one of `{}`{}", choices.join("`, `"), near.unwrap_or_default()))
    }

    fn check_pattern(&self, value: &Value) -> Result<(), String> {
        let Some(pattern) = &self.validator else { return Ok(()) };
        let text = plain(value);
        if pattern_of(pattern).is_ok_and(|regex| regex.is_match(&text)) {
            return Ok(());
        }
        let what = if self.kind == InputType::Secret { "the value".to_owned() } else { format!("`{text}`") };
        Err(format!("{what} does not match `{pattern}`"))
    }

    fn check_bounds(&self, value: &Value) -> Result<(), String> {
        let Some(size) = self.size(value) else { return Ok(()) };
        let value_text = plain(value);
        for (bound, is_outside, word) in [
            (&self.min, (|size, bound| size < bound) as fn(f64, f64) -> bool, "less"),
            (&self.max, |size, bound| size > bound, "more"),
        ] {
            if let Some(bound) = bound
                && self.size(bound).is_some_and(|limit| is_outside(size, limit))
            {
                return Err(format!("{value_text} is {word} than {}", plain(bound)));
            }
        }
        Ok(())
    }

    /// What `min` and `max` compare: a number, or the seconds of a duration.
    pub(super) fn size(&self, value: &Value) -> Option<f64> {
        match self.kind {
            InputType::Int | InputType::Float => value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()),
            InputType::Duration => value.as_str()?.parse::<DurationSpec>().ok().map(|span| span.0.as_secs_f64()),
            _ => None,
        }
    }

    fn check_time(&self, value: &Value) -> Result<(), String> {
        let Some(text) = value.as_str() else { return Ok(()) };
        let instant = |text: &str| self.kind.as_instant(text);
        let bound = |bound: &Option<String>| bound.as_ref().and_then(|bound| Some((instant(bound)?, bound.clone())));
        if let Some((_, after)) = bound(&self.after).filter(|(limit, _)| instant(text).is_some_and(|at| at < *limit)) {
            return Err(format!("{text} is before {after}"));
        }
        if let Some((_, before)) = bound(&self.before).filter(|(limit, _)| instant(text).is_some_and(|at| at > *limit))
        {
            return Err(format!("{text} is after {before}"));
        }
        Ok(())
    }

    fn check_extension(&self, value: &Value) -> Result<(), String> {
        let name = plain(value).to_lowercase();
        let has_extension = |end: &String| name.ends_with(&format!(".{}", end.trim_start_matches('.').to_lowercase()));
        if self.allowed_file_extensions.is_empty() || self.allowed_file_extensions.iter().any(has_extension) {
            return Ok(());
        }
        Err(format!("`{}` does not end in `{}`", plain(value), self.allowed_file_extensions.join("`, `")))
    }
}

/// The regular expression that a text must match as a whole.
pub(super) fn pattern_of(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}
