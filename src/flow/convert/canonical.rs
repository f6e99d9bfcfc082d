//! Finds the documented name of a field that has aliases.

use serde_json::Value;

use crate::task::FieldError;

pub(super) fn canonical_name(
    fields: &Value,
    key: &str,
    schema: &Value,
    check: impl Fn(&Value) -> Result<(), FieldError>,
) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    if properties.contains_key(key) {
        return None;
    }
    let provided = fields.as_object()?;
    let value = provided.get(key)?;
    properties.keys().filter(|name| !provided.contains_key(*name)).find_map(|name| {
        // Provided together, two names of one field are a duplicate for serde.
        let both = serde_json::json!({ key: value, name: value });
        let error = check(&both).err()?;
        (error.message == format!("duplicate field `{name}`")).then(|| name.clone())
    })
}
