//! What a model must know to write a flow: the form of its answer, the language, and the task types that fit.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::flow::trigger::TriggerType;
use crate::flow::type_page::{task_page, trigger_page};
use crate::flow::type_search::find_types;
use crate::flow::{expression, schema, template};
use crate::task::TaskType;
use crate::task::documentation::{description, first_sentence, type_name};
use crate::text::shortened;

/// The most types that are described in full, the longest description, and the letters of all of them.
const MAX_PAGES: usize = 8;
const MAX_PAGE: usize = 5_000;
const MAX_PAGES_TOTAL: usize = 24_000;
/// The most examples, and the letters of all of them.
const MAX_EXAMPLES: usize = 2;
const MAX_EXAMPLES_TOTAL: usize = 6_000;

const ROLE: &str = "\
You write and correct flows for Jitney, a program that runs YAML flows which extract, load and transform data. The language is \
Kestra's; the task types are those listed below, and there are no others.

Rules:
- Answer with a short explanation in the language of the user, and after it, if a flow is asked for, the whole flow in exactly \
one block that begins with ```yaml and ends with ```.
- Use only fields that the documentation below names. Prefer the short type names.
- In a flow that exists, change only what is asked for. Keep every comment, the order of keys and the layout of all other lines.
- Never write a password or a key: use {{ secret('NAME') }}. Lines with *** have a password that you are not shown: keep them \
as they are.
- Loads must be safe to repeat: use a mode such as replace_partition or merge rather than append.
";

/// What the model is told about the language, and the names of the types that are described in full.
pub(super) fn instructions(
    tasks: &[TaskType],
    words: &str,
    used: &BTreeSet<String>,
) -> (String, BTreeSet<&'static str>) {
    let mut described = BTreeSet::new();
    let fitting = find_types(tasks, words).into_iter().map(|found| found.name);
    let used = tasks.iter().map(|task| task.name).filter(|name| used.contains(*name));
    let wanted: Vec<&'static str> = used.chain(fitting).collect();
    let mut text = ROLE.to_owned();
    text += &language(tasks);
    text += &types(tasks);
    text += "\n# Documentation of the types that probably fit\n";
    text += &pages(tasks, wanted, &mut described);
    text += &examples(words);
    (text, described)
}

/// The documentation of types that is not told yet, as far as there is room for it.
pub(super) fn pages(
    tasks: &[TaskType],
    wanted: impl IntoIterator<Item = &'static str>,
    described: &mut BTreeSet<&'static str>,
) -> String {
    let mut text = String::new();
    let mut left = MAX_PAGES;
    for name in wanted {
        if described.contains(name) || left == 0 {
            continue;
        }
        let task = tasks.iter().find(|task| task.name == name).map(task_page);
        let Some(page) = task.or_else(|| TriggerType::find(name).map(trigger_page)) else { continue };
        let page = shortened(&page, MAX_PAGE);
        if text.len() + page.len() > MAX_PAGES_TOTAL {
            break;
        }
        text += &format!("\n## {page}\n");
        described.insert(name);
        left -= 1;
    }
    text
}

/// The keys of a flow and of an input, the fields of every task, and the functions and filters of expressions.
fn language(tasks: &[TaskType]) -> String {
    let schema = schema(tasks);
    let definition = |name: &str| schema.pointer(&format!("/definitions/{name}")).cloned().unwrap_or_default();
    let mut text = "\n# The keys of a flow\n".to_owned();
    text += &properties(&schema, &schema);
    text += "\n# The fields of an input\n";
    text += &properties(&schema, &definition("input"));
    text += "\n# The fields of every task\n";
    let common = schemars::schema_for!(crate::flow::CommonFields).to_value();
    text += &properties(&common, &common);
    text += "\n# Expressions: {{ … }}, with | between a value and filters\nfunctions: ";
    text += &expression::functions().join(", ");
    text += "\nfilters: ";
    text += &expression::filters().join(", ");
    text + "\nnames: inputs, outputs.TASK.OUTPUT, vars, flow.id, execution.id, trigger.date, taskrun.value (in a loop)\n"
}

fn properties(root: &Value, schema: &Value) -> String {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let line = |(name, property): (&String, &Value)| {
        let about = first_sentence(&description(property));
        format!("- {name} ({}): {about}\n", shortened(&type_name(root, property), 60))
    };
    properties.map(line).collect()
}

/// All types, a line each.
fn types(tasks: &[TaskType]) -> String {
    let mut text = "\n# All task and trigger types\n".to_owned();
    for found in find_types(tasks, "") {
        let kind = if found.is_trigger { ", a trigger" } else { "" };
        text += &format!("- {}{kind}: {}\n", found.name, shortened(&found.about, 120));
    }
    text
}

/// Templates that have most words in common with what is wanted.
fn examples(words: &str) -> String {
    let words: BTreeSet<String> = words
        .to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| word.len() > 3)
        .map(str::to_owned)
        .collect();
    let score = |text: &str| words.iter().filter(|word| text.to_lowercase().contains(word.as_str())).count();
    let mut all: Vec<(usize, String)> =
        template::ALL.iter().map(|template| (score(&template.text()), template.text())).collect();
    all.sort_by_key(|(score, text)| (std::cmp::Reverse(*score), text.len()));
    let mut text = "\n# Flows that are valid, as examples\n".to_owned();
    let mut room = MAX_EXAMPLES_TOTAL;
    for (_, example) in all.into_iter().take(MAX_EXAMPLES) {
        if example.len() <= room {
            room -= example.len();
            text += &format!("\n```yaml\n{}\n```\n", example.trim_end());
        }
    }
    text
}
