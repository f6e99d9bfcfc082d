//! The documentation of task and trigger types: the doc comments of their structs, taken from the schemas.

use crate::flow::CommonFields;
use crate::flow::trigger::{TriggerCommon, TriggerType};
use crate::task::TaskType;
use crate::task::documentation::{FieldDoc, description, fields};

/// A type as its reader sees it.
#[derive(Clone, Debug)]
pub struct TypeDocumentation {
    /// The short name.
    pub name: &'static str,
    /// Its other names.
    pub aliases: &'static [&'static str],
    /// What it does.
    pub description: String,
    /// Its own fields.
    pub fields: Vec<FieldDoc>,
    /// The fields that all of its kind have.
    pub common: Vec<FieldDoc>,
    /// What later tasks may refer to; a trigger has none.
    pub outputs: Vec<FieldDoc>,
    /// YAML that shows the usual fields.
    pub example: &'static str,
}

impl TypeDocumentation {
    /// The documentation of a task type.
    pub fn of_task(task: &TaskType) -> Self {
        let schema = (task.schema)().to_value();
        Self {
            name: task.name,
            aliases: task.aliases,
            description: description(&schema),
            fields: fields(&schema),
            common: fields(&schemars::schema_for!(CommonFields).to_value()),
            outputs: fields(&(task.outputs)().to_value()),
            example: task.example,
        }
    }

    /// The documentation of a trigger type.
    pub fn of_trigger(trigger: &TriggerType) -> Self {
        let schema = (trigger.schema)().to_value();
        Self {
            name: trigger.name,
            aliases: trigger.aliases,
            description: description(&schema),
            fields: fields(&schema),
            common: fields(&schemars::schema_for!(TriggerCommon).to_value()),
            outputs: Vec::new(),
            example: trigger.example,
        }
    }
}

/// A text with each paragraph on a line of its own; the items of a list stay lines.
pub fn flowing(text: &str) -> String {
    let mut flowing = String::with_capacity(text.len());
    for line in text.lines() {
        let is_new = line.is_empty() || line.trim_start().starts_with("- ");
        let joins = !is_new && !flowing.is_empty() && !flowing.ends_with('\n');
        flowing.push_str(if joins {
            " "
        } else if flowing.is_empty() {
            ""
        } else if is_new {
            "\n"
        } else {
            ""
        });
        flowing.push_str(if joins { line.trim_start() } else { line });
        if line.is_empty() {
            flowing.push('\n');
        }
    }
    flowing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_paragraph_flow_and_lists_stay() {
        assert_eq!(flowing("a\nb\n\nc:\n- d\n  e\n- f"), "a b\n\nc:\n- d e\n- f");
        assert_eq!(flowing(""), "");
    }
}
