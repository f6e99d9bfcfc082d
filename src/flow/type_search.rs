//! Which task and trigger types fit some words: for agents and models, which cannot read the documentation of all.

use serde_json::Value;

use crate::flow::trigger::{TRIGGERS, TriggerType};
use crate::task::TaskType;
use crate::task::documentation::{description, first_sentence};

/// A type that fits.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundType {
    /// Its short name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: String,
    /// Whether it is a trigger.
    pub is_trigger: bool,
    /// How well it fits.
    score: f64,
}

/// The texts of a type, in lower case.
struct TypeTexts {
    name: &'static str,
    aliases: String,
    about: String,
    documentation: String,
    fields: String,
    is_trigger: bool,
}

impl TypeTexts {
    fn new(name: &'static str, aliases: &[&str], schema: &Value, is_trigger: bool) -> Self {
        let documentation = description(schema);
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields: Vec<&str> = properties.into_iter().flatten().map(|(field, _)| field.as_str()).collect();
        Self {
            name,
            aliases: aliases.join(" ").to_lowercase(),
            about: first_sentence(&documentation),
            documentation: documentation.to_lowercase(),
            fields: fields.join(" ").to_lowercase(),
            is_trigger,
        }
    }

    fn of_task(task: &TaskType) -> Self {
        Self::new(task.name, task.aliases, &(task.schema)().to_value(), false)
    }

    fn of_trigger(trigger: &TriggerType) -> Self {
        Self::new(trigger.name, trigger.aliases, &(trigger.schema)().to_value(), true)
    }

    /// How much one word says for the type.
    fn score(&self, word: &str) -> f64 {
        let places = [
            (self.name, 8.0),
            (self.aliases.as_str(), 5.0),
            (self.documentation.as_str(), 2.0),
            (self.fields.as_str(), 1.0),
        ];
        places.iter().filter(|(text, _)| text.contains(word)).map(|(_, worth)| worth).sum()
    }
}

/// The types that fit some words, the best first; all of them for no words.
pub fn find_types(tasks: &[TaskType], words: &str) -> Vec<FoundType> {
    let all = tasks.iter().map(TypeTexts::of_task).chain(TRIGGERS.iter().map(TypeTexts::of_trigger));
    let all: Vec<TypeTexts> = all.collect();
    let words = stems(words);
    // A word that is everywhere says little.
    let weight = |word: &String| {
        let having = all.iter().filter(|texts| texts.score(word) > 0.0).count();
        (1.0 + all.len() as f64 / having.max(1) as f64).ln()
    };
    let weights: Vec<(String, f64)> = words.into_iter().map(|word| (word.clone(), weight(&word))).collect();
    let found = all.iter().map(|texts| FoundType {
        name: texts.name,
        about: texts.about.clone(),
        is_trigger: texts.is_trigger,
        score: weights.iter().map(|(word, weight)| texts.score(word) * weight).sum(),
    });
    let mut found: Vec<FoundType> = found.filter(|found| weights.is_empty() || found.score > 0.0).collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

/// The words of a text in lower case, without the endings that tell one from many.
fn stems(text: &str) -> Vec<String> {
    let is_part = |letter: char| letter.is_alphanumeric() || "._".contains(letter);
    let words = text.to_lowercase();
    let words = words.split(|letter| !is_part(letter)).map(|word| word.trim_matches('.'));
    let stem = |word: &str| match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem.to_owned(),
        _ => word.to_owned(),
    };
    let mut found: Vec<String> = words.filter(|word| word.chars().count() > 2).map(stem).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_what_tells_one_from_many() {
        assert_eq!(stems("Load CSV files, into postgres.load!"), ["csv", "file", "into", "load", "postgres.load"]);
        assert_eq!(stems("a to of"), Vec::<String>::new());
    }

    #[test]
    fn triggers_are_found_by_what_they_do() {
        let found = find_types(&[], "webhook");
        assert_eq!(found.first().map(|found| (found.name, found.is_trigger)), Some(("webhook", true)));
        assert_eq!(find_types(&[], "").len(), TRIGGERS.len());
    }
}
