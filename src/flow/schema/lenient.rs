//! Relaxes a struct's derived schema to what the reader accepts: templates for any value, texts for numbers, and every
//! `serde(alias)`.

use serde_json::{Map, Value, json};

use super::probe::{self, FieldProbe, FieldWrapper};

/// What a template looks like.
const TEMPLATE: &str = r"\{\{|\{%";

/// The schema of a text with a template in it.
pub(super) fn template() -> Value {
    json!({"description": "A template: `{{ … }}`.", "type": "string", "pattern": TEMPLATE})
}

/// Rewrites the schema of one struct.
pub(super) struct SchemaRewriter<'a> {
    /// The prefix of its definitions' names.
    name: &'a str,
    schema: &'a Value,
    check: FieldProbe<'a>,
    definitions: Map<String, Value>,
}

impl<'a> SchemaRewriter<'a> {
    pub(super) fn new(name: &'a str, schema: &'a Value, check: FieldProbe<'a>) -> Self {
        Self { name, schema, check, definitions: Map::new() }
    }

    /// The struct itself; a template cannot replace it.
    pub(super) fn root(&mut self) -> Value {
        let schema = self.schema;
        self.rewrite(schema, &|value| value)
    }

    /// The structs and words that it refers to.
    pub(super) fn into_definitions(self) -> Map<String, Value> {
        self.definitions
    }

    /// A value's schema, with room for a template.
    fn value(&mut self, schema: &Value, wrap: FieldWrapper) -> Value {
        allow_template(self.rewrite(schema, wrap))
    }

    fn rewrite(&mut self, schema: &Value, wrap: FieldWrapper) -> Value {
        let Value::Object(schema) = schema else { return schema.clone() };
        let mut new = Map::new();
        for (key, part) in schema {
            match (key.as_str(), part) {
                ("$schema" | "$defs" | "format" | "title", _) => {}
                ("$ref", Value::String(target)) if target.starts_with("#/$defs/") => {
                    let target = self.definition(target.trim_start_matches("#/$defs/"), wrap);
                    // Draft 7 ignores everything next to a `$ref`.
                    new.insert("allOf".to_owned(), json!([{"$ref": target}]));
                }
                ("properties", Value::Object(properties)) => {
                    let property = |(name, property): (&String, &Value)| {
                        let wrap = |value: Value| wrap(json!({name.as_str(): value}));
                        (name.clone(), self.value(property, &wrap))
                    };
                    new.insert(key.clone(), Value::Object(properties.iter().map(property).collect()));
                }
                ("items", items) => {
                    let items = self.value(items, &|value| wrap(json!([value])));
                    new.insert(key.clone(), items);
                }
                ("additionalProperties", Value::Object(_)) => {
                    let values = self.value(part, &|value| wrap(json!({"x": value})));
                    new.insert(key.clone(), values);
                }
                // Templates and other spellings may match several options.
                ("oneOf" | "anyOf", Value::Array(options)) => {
                    let options = options.iter().map(|option| self.rewrite(option, wrap)).collect();
                    new.insert("anyOf".to_owned(), options);
                }
                _ => drop(new.insert(key.clone(), part.clone())),
            }
        }
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            new.entry("properties").or_insert_with(|| json!({}));
        }
        self.add_variant_spellings(&mut new, wrap);
        self.add_field_spellings(&mut new, wrap);
        Value::Object(new)
    }

    /// Rewrites a definition at its first use.
    fn definition(&mut self, name: &str, wrap: FieldWrapper) -> String {
        let full = format!("{}.{name}", self.name);
        if !self.definitions.contains_key(&full) {
            self.definitions.insert(full.clone(), Value::Bool(true));
            let schema = self.schema;
            let rewritten = schema.pointer(&format!("/$defs/{name}")).map(|found| self.rewrite(found, wrap));
            self.definitions.insert(full.clone(), rewritten.unwrap_or(Value::Bool(true)));
        }
        format!("#/definitions/{full}")
    }

    /// Other spellings of the words of a list.
    fn add_variant_spellings(&self, schema: &mut Map<String, Value>, wrap: FieldWrapper) {
        let mut known: Vec<Value> = Vec::new();
        match (schema.get("enum"), schema.get("anyOf")) {
            (Some(Value::Array(words)), _) => known.extend(words.iter().cloned()),
            (_, Some(Value::Array(options))) => options.iter().for_each(|option| {
                known.extend(option.get("const").cloned());
                known.extend(option.get("enum").and_then(Value::as_array).cloned().unwrap_or_default());
                let keys = option.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
                known.extend(keys.map(|key| Value::from(key.as_str())));
            }),
            _ => return,
        }
        let more: Vec<Value> = probe::variants(self.check, wrap).into_iter().map(Value::from).collect();
        let is_bare = |word: &Value| probe::accepts_bare_variant(self.check, wrap, word) && is_object_key(schema, word);
        let more: Vec<Value> = more.into_iter().filter(|word| !known.contains(word) || is_bare(word)).collect();
        if known.is_empty() || more.is_empty() {
            return;
        }
        if let Some(Value::Array(words)) = schema.get_mut("enum") {
            words.extend(more);
        } else if let Some(Value::Array(options)) = schema.get_mut("anyOf") {
            options.push(json!({"type": "string", "enum": more}));
        }
    }

    /// Other spellings of the fields of a struct.
    fn add_field_spellings(&self, schema: &mut Map<String, Value>, wrap: FieldWrapper) {
        if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            return;
        }
        let spellings = probe::fields(self.check, wrap);
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
        let names: Vec<String> = properties.keys().cloned().collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let aliases = probe::canonical_names(&spellings, &names, self.check, wrap);
        for (spelling, name) in &aliases {
            let mut same = properties.get(*name).cloned().unwrap_or_default();
            if let Value::Object(same) = &mut same {
                same.insert("description".to_owned(), json!(format!("The same as `{name}`.")));
            }
            properties.insert((*spelling).to_owned(), same);
        }
        require_any(schema, &aliases);
    }
}

/// Whether a word is also a key with a value: `{reject: …}`.
fn is_object_key(schema: &Map<String, Value>, word: &Value) -> bool {
    let options = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let mut keys = options.filter_map(|option| option.get("properties")?.as_object()).flat_map(Map::keys);
    word.as_str().is_some_and(|word| keys.any(|key| key == word))
}

/// Accepts a required field under any of its spellings.
fn require_any(schema: &mut Map<String, Value>, aliases: &[(&str, &str)]) {
    let Some(Value::Array(required)) = schema.get_mut("required") else { return };
    let mut rules = Vec::new();
    required.retain(|name| {
        let spellings: Vec<&str> =
            aliases.iter().filter(|(_, owner)| name == *owner).map(|(spelling, _)| *spelling).collect();
        let one_of = name.as_str().into_iter().chain(spellings.iter().copied());
        let one_of: Vec<Value> = one_of.map(|spelling| json!({"required": [spelling]})).collect();
        if !spellings.is_empty() {
            rules.push(json!({"anyOf": one_of}));
        }
        spellings.is_empty()
    });
    if !rules.is_empty() {
        schema.insert("allOf".to_owned(), Value::Array(rules));
    }
}

/// Accepts a template for a value, and numbers and flags as texts and vice versa.
fn allow_template(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else { return schema };
    let kinds: Vec<String> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.clone()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &str| kinds.iter().any(|other| other == kind);
    let is_limited = ["enum", "const", "pattern", "minLength", "maxLength"].iter().any(|key| schema.contains_key(*key));
    if is("string") && !is_limited {
        let more = ["number", "boolean"].iter().map(|kind| (*kind).to_owned());
        schema.insert("type".to_owned(), kinds.iter().cloned().chain(more).collect());
        return Value::Object(schema);
    }
    let text = if is("integer") || is("number") {
        json!({"type": "string", "pattern": r"\{\{|\{%|^\s*[-+0-9.eE]+\s*$"})
    } else if is("boolean") {
        json!({"type": "string", "pattern": r"\{\{|\{%|^(true|false|yes|no|on|off)$"})
    } else {
        json!({"$ref": "#/definitions/template"})
    };
    if let Some(Value::Array(options)) = schema.get_mut("anyOf") {
        options.push(text);
        return Value::Object(schema);
    }
    let is_unconstrained = ["type", "enum", "const", "allOf"].iter().all(|key| !schema.contains_key(*key));
    if is_unconstrained {
        return Value::Object(schema);
    }
    let (outside, inside): (Map<_, _>, Map<_, _>) =
        schema.into_iter().partition(|(key, _)| key == "description" || key == "default");
    let mut schema = outside;
    schema.insert("anyOf".to_owned(), json!([inside, text]));
    Value::Object(schema)
}
