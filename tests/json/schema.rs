//! The JSON Schema of all lines.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tcpscope::record::AnyRecord;
use tcpscope::registry;

/// A kind of lines.
pub struct Kind {
    pub name: &'static str,
    /// Its keys that are never null.
    pub known: &'static [&'static str],
    /// Its object, with all keys in the order of the line.
    pub schema: Value,
}

/// Every kind, in the order of the schema.
pub fn kinds() -> Vec<Kind> {
    generate().0
}

fn generate() -> (Vec<Kind>, Map<String, Value>) {
    // As lines are written: every key is there, whatever reading them allows.
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let kinds = AnyRecord::schemas(&mut generator).into_iter().map(|(name, known, schema)| {
        let mut schema = schema.to_value();
        tidy(&mut schema);
        let properties = schema["properties"].as_object_mut().unwrap();
        for key in known {
            let property = properties.get_mut(*key);
            not_null(property.unwrap_or_else(|| panic!("{name} has no key {key}")));
        }
        registered(name, properties);
        properties.insert("kind".into(), json!({ "const": name }));
        schema["required"].as_array_mut().unwrap().insert(0, name_of("kind"));
        let object = schema.as_object_mut().unwrap();
        let title = object.remove("description").unwrap();
        object.insert("title".into(), title);
        Kind { name, known, schema }
    });
    let kinds = kinds.collect();
    let mut shared = generator.take_definitions(true);
    shared.values_mut().for_each(tidy);
    (kinds, shared)
}

fn name_of(key: &str) -> Value {
    Value::String(key.to_owned())
}

pub fn schema() -> Value {
    let (kinds, mut definitions) = generate();
    let refs = kinds.iter().map(|k| json!({ "$ref": format!("#/$defs/{}", k.name) }));
    let refs: Vec<_> = refs.collect();
    for kind in kinds {
        assert!(definitions.insert(kind.name.to_owned(), kind.schema).is_none(), "{}", kind.name);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tcpscope:json:1",
        "title": "A line of tcpscope's --json output",
        "oneOf": refs,
        "$defs": definitions,
    })
}

/// Names that the registry knows: tools, the flags of their modes, and their hooks.
fn registered(kind: &str, properties: &mut Map<String, Value>) {
    let mut tools: Vec<&str> = registry::modes().map(|(tool, _)| tool.name).collect();
    tools.dedup();
    let mut flags: Vec<_> = registry::modes().map(|(_, mode)| mode.flag).collect();
    flags.sort_unstable();
    flags.dedup();
    let specs = registry::modes().map(|(_, mode)| mode.spec);
    let mut hooks: Vec<_> = specs
        .flat_map(|spec| spec.hooks.iter().chain(spec.hash_hooks))
        .map(|hook| hook.name)
        .collect();
    hooks.sort_unstable();
    hooks.dedup();
    let mut limit = |key: &str, limits: Value| {
        let property = properties[key].as_object_mut().unwrap();
        property.remove("type");
        property.extend(limits.as_object().unwrap().clone());
    };
    if ["status", "hook", "tool"].contains(&kind) {
        limit("tool", json!({ "enum": tools }));
    }
    if ["hook", "tool"].contains(&kind) {
        limit("mode", json!({ "enum": flags }));
    }
    if kind == "hook" {
        limit("hook", json!({ "enum": hooks }));
    }
    if kind == "status" {
        limit("attach", json!({ "type": "object", "propertyNames": { "enum": hooks } }));
    }
}

/// Makes what schemars derives complete and short: no defaults, no Rust formats, all keys
/// required and no others, words as `enum`.
fn tidy(schema: &mut Value) {
    let object = match schema {
        Value::Object(object) => object,
        Value::Array(all) => return all.iter_mut().for_each(tidy),
        _ => return,
    };
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(tidy);
        let keys = properties.len();
        // A derived list has the order of the fields.
        assert_eq!(object["required"].as_array().unwrap().len(), keys, "a key is optional");
        object.insert("additionalProperties".into(), false.into());
    }
    for (key, value) in object.iter_mut() {
        if !["properties", "enum", "const", "required"].contains(&key.as_str()) {
            tidy(value);
        }
    }
    object.remove("default");
    object.remove("$schema");
    if let Some(Value::String(format)) = object.get("format").cloned() {
        if format == "ip" {
            object.insert("anyOf".into(), json!([{ "format": "ipv4" }, { "format": "ipv6" }]));
        }
        if format == "ip" || format.starts_with("uint") {
            object.remove("format");
        }
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(words) = object.get(key).and_then(words) {
            object.remove(key);
            // One that the field itself says is narrower.
            object.entry("enum").or_insert(words.into());
        }
    }
    if object.contains_key("enum") {
        for key in ["type", "minimum", "maximum"] {
            object.remove(key);
        }
    }
}

/// The values, if each of these schemas only lists some.
fn words(schemas: &Value) -> Option<Vec<Value>> {
    let mut all = Vec::new();
    for schema in schemas.as_array()? {
        if let Some(word) = schema.get("const") {
            all.push(word.clone());
        } else if let Some(Value::Array(words)) = schema.get("enum") {
            all.extend(words.iter().cloned());
        } else if schema.get("type") == Some(&name_of("null")) {
            all.push(Value::Null);
        } else {
            return None;
        }
    }
    Some(all)
}

/// Takes null from the values that a property may have.
fn not_null(property: &mut Value) {
    let object = property.as_object_mut().unwrap();
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        object["type"] = object["type"][0].clone();
    }
    if let Some(Value::Array(schemas)) = object.get_mut("anyOf") {
        schemas.retain(|schema| schema.get("type") != Some(&name_of("null")));
        if let [Value::Object(only)] = &schemas[..] {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only);
        }
    }
}

/// How wide a line may be.
const WIDTH: usize = 120;
/// Keys that come first, in this order; the others follow by name, properties as in the line.
const FIRST: [&str; 9] = [
    "$schema",
    "$id",
    "title",
    "description",
    "type",
    "oneOf",
    "minimum",
    "properties",
    "required",
];

/// The schema as a file: short values on one line.
pub fn text(schema: &Value) -> String {
    let mut text = String::new();
    write(schema, None, 0, &mut text);
    text + "\n"
}

/// `order`: the keys of this object in the order of the line, where it is an object of properties.
fn write(value: &Value, order: Option<&Value>, indent: usize, out: &mut String) {
    let items: Vec<(Option<&str>, &Value)> = match value {
        Value::Array(items) => items.iter().map(|item| (None, item)).collect(),
        Value::Object(object) => {
            ordered(object, order).map(|key| (Some(key), &object[key])).collect()
        }
        _ => return out.push_str(&value.to_string()),
    };
    let (open, close) = if value.is_array() { ('[', ']') } else { ('{', '}') };
    let column = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
    let short = value.to_string();
    let top = indent == 0 || order.is_some();
    let brief = !top && column + short.len() + 2 * items.len() + 4 <= WIDTH;
    let list = !top && items.iter().all(|(_, item)| !item.is_object() && !item.is_array());
    let list = list && value.is_array();
    out.push(open);
    for (place, (key, item)) in items.iter().enumerate() {
        let (comma, gap) = if place == 0 { ("", "") } else { (",", " ") };
        out.push_str(comma);
        let used = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
        if brief || (list && place > 0 && used + item.to_string().len() + 2 < WIDTH) {
            out.push_str(if place == 0 && value.is_object() { " " } else { gap });
        } else {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent + 2));
        }
        if let Some(key) = key {
            out.push_str(&name_of(key).to_string());
            out.push_str(": ");
        }
        let order = if *key == Some("properties") { value.get("required") } else { None };
        write(item, order, indent + 2, out);
    }
    if brief {
        out.push_str(if value.is_object() && !items.is_empty() { " " } else { "" });
    } else {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
    }
    out.push(close);
}

fn ordered<'a>(
    object: &'a Map<String, Value>,
    order: Option<&'a Value>,
) -> impl Iterator<Item = &'a str> {
    let first: Vec<&str> = match order {
        Some(order) => order.as_array().unwrap().iter().filter_map(Value::as_str).collect(),
        None => FIRST.to_vec(),
    };
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_by_key(|key| first.iter().position(|one| one == key).unwrap_or(first.len()));
    keys.into_iter()
}
