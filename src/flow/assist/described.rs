//! What is at a position: the documentation of the task or trigger that it is in, and of the field.

use serde_json::Value;

use super::candidates::kind_of;
use super::place::{CursorContext, Segment, Slot, find, value_of};
use super::schema_walk::{properties, schemas_at};
use crate::flow::documentation::TypeDocumentation;
use crate::flow::trigger::TriggerType;
use crate::task::TaskType;
use crate::task::documentation::{FieldDoc, description};

/// What is shown for a position.
#[derive(Clone, Debug)]
pub struct DescribedPlace {
    /// The task or trigger that it is in.
    pub documentation: Option<TypeDocumentation>,
    /// Where it is in no task or trigger: the keys that may be there.
    pub keys: Vec<FieldDoc>,
    /// The key at the position, or the key of the task that it is in.
    pub field: Option<FieldDoc>,
}

/// Describes a line and a column (both from 1) of a text, by the schema of flows.
pub fn describe(text: &str, line: usize, column: usize, schema: &Value, tasks: &[TaskType]) -> DescribedPlace {
    let place = find(text, line, column);
    let key = key_at(text, line, &place);
    let documentation = documentation(&place, tasks);
    let here = keys(schema, &place);
    let own = key.and_then(|key| here.iter().find(|field| field.name == key).cloned());
    DescribedPlace { keys: if documentation.is_some() { Vec::new() } else { here }, documentation, field: own }
}

/// The key of the position's line.
fn key_at(text: &str, line: usize, place: &CursorContext) -> Option<String> {
    if let Slot::Value(key) = &place.slot {
        return Some(key.clone());
    }
    let row = text.lines().nth(line.checked_sub(1)?)?;
    let content = row.trim_start_matches([' ', '-']);
    content.split_once(':').map(|(key, _)| key.trim().to_owned()).filter(|key| !key.contains(['{', ' ']))
}

/// The innermost task or trigger around a position.
fn documentation(place: &CursorContext, tasks: &[TaskType]) -> Option<TypeDocumentation> {
    let is_trigger = place.path.first() == Some(&Segment::Key("triggers".to_owned()));
    if place.path.first() == Some(&Segment::Key("inputs".to_owned())) {
        return None;
    }
    place.maps.iter().rev().filter_map(|map| value_of(map, "type")).find_map(|name| match is_trigger {
        true => TriggerType::find(name).map(TypeDocumentation::of_trigger),
        false => tasks.iter().find(|task| task.is(name)).map(TypeDocumentation::of_task),
    })
}

fn keys(schema: &Value, place: &CursorContext) -> Vec<FieldDoc> {
    let field = |property: super::schema_walk::Property| FieldDoc {
        name: property.name.to_owned(),
        depth: 0,
        kind: kind_of(schema, property.schema),
        is_required: property.is_required,
        default: property.schema.get("default").filter(|default| !default.is_null()).map(Value::to_string),
        about: description(property.schema),
    };
    properties(&schemas_at(schema, place)).into_iter().map(field).collect()
}
