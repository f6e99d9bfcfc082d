//! Which name of a field is the first, when a struct takes several.

use serde_json::Value;

use crate::task::FieldError;

/// The documented name of a field that is called otherwise here: that of the field which serde takes for the same.
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
        // Both names at once: serde says that the field is there twice if they mean the same.
        let both = serde_json::json!({ key: value, name: value });
        let error = check(&both).err()?;
        (error.message == format!("duplicate field `{name}`")).then(|| name.clone())
    })
}
