//! The tables of docs/json.md.

use serde_json::Value;

use super::schema::kinds;

/// Keys of whom a line is about.
const SHARED: [&str; 11] = [
    "pid",
    "comm",
    "laddr",
    "lport",
    "raddr",
    "rport",
    "device",
    "family",
    "netns",
    "netns_name",
    "cgroup",
];
const HEAD: &str = "| key | type | meaning |\n|---|---|---|\n";
/// The section with the keys that mean the same in every kind.
const ALL: &str = "All lines";

/// The page with its tables made anew; its prose and examples stay.
pub fn with_tables(page: &str, schema: &Value) -> String {
    let mut tables: Vec<_> =
        kinds().iter().map(|kind| (kind.name, table(&kind.schema, schema))).collect();
    tables.push((ALL, shared(schema)));
    let mut out = String::new();
    let mut wanted = None;
    let mut inside = false;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            assert!(wanted.is_none(), "docs/json.md has no table before \"{heading}\"");
            let place = tables.iter().position(|(name, _)| *name == heading);
            wanted = place.map(|place| tables.swap_remove(place).1);
        }
        inside &= line.starts_with('|');
        if line == HEAD.lines().next().unwrap()
            && let Some(table) = wanted.take()
        {
            out.push_str(&table);
            inside = true;
        }
        if !inside {
            out.push_str(line);
            out.push('\n');
        }
    }
    assert!(tables.is_empty() && wanted.is_none(), "docs/json.md lacks {:?}", tables.first());
    out
}

fn table(kind: &Value, schema: &Value) -> String {
    let mut rows: Vec<(Vec<&str>, String, String)> = Vec::new();
    let keys = kind["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap());
    for key in keys.filter(|key| !["kind", "ts"].contains(key)) {
        let property = &kind["properties"][key];
        let text = property["description"].as_str().unwrap_or_else(|| panic!("{key} says nothing"));
        // A second line says what the key is in this kind.
        let special = match text.split_once('\n') {
            Some((_, special)) => Some(special),
            None => (!SHARED.contains(&key)).then_some(text),
        };
        let (kind, meaning) = match special {
            Some(text) => (type_of(property, schema), text.replace('\n', "; ")),
            None => (String::new(), "as in all kinds".to_owned()),
        };
        match rows.last_mut() {
            Some((keys, k, m)) if *k == kind && *m == meaning => keys.push(key),
            _ => rows.push((vec![key], kind, meaning)),
        }
    }
    let rows = rows.iter().map(|(keys, kind, meaning)| row(keys, kind, meaning));
    HEAD.to_owned() + &rows.collect::<String>()
}

fn shared(schema: &Value) -> String {
    let kinds = kinds();
    let rows = SHARED.iter().map(|key| {
        let mut all = kinds.iter().filter_map(|kind| kind.schema["properties"].get(key));
        let first = all.clone().next().unwrap();
        let nullable = |property: &&Value| type_of(property, schema).ends_with(" or null");
        let property = all.find(nullable).unwrap_or(first);
        let text = first["description"].as_str().unwrap().lines().next().unwrap();
        row(&[key], &type_of(property, schema), text)
    });
    HEAD.to_owned() + &rows.collect::<String>()
}

fn row(keys: &[&str], kind: &str, meaning: &str) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    let kind = if kind.is_empty() { String::new() } else { format!(" {kind}") };
    format!("| {} |{kind} | {} |\n", keys.join(", "), meaning.replace('|', "\\|"))
}

/// What values a property has, in a few words.
fn type_of(property: &Value, schema: &Value) -> String {
    let mut names = Vec::new();
    types(property, schema, &mut names);
    names.dedup();
    let null = names.iter().any(|name| name == "null");
    names.retain(|name| name != "null");
    let names = names.join(", ");
    if null { format!("{names} or null") } else { names }
}

fn types(property: &Value, schema: &Value, names: &mut Vec<String>) {
    if let Some(Value::String(target)) = property.get("$ref") {
        types(schema.pointer(&target[1..]).unwrap(), schema, names);
    } else if let Some(Value::Array(values)) = property.get("enum") {
        names.extend(values.iter().map(|value| match value {
            Value::String(_) => "string".to_owned(),
            other => other.to_string(),
        }));
    } else if property.get("const").is_some_and(Value::is_string) {
        names.push("string".to_owned());
    } else if let Some(Value::Array(all)) = property.get("type") {
        names.extend(all.iter().map(|name| name.as_str().unwrap().to_owned()));
    } else if let Some(Value::String(name)) = property.get("type") {
        names.push(name.clone());
    } else if let Some(Value::Array(all)) = property.get("anyOf") {
        for one in all {
            types(one, schema, names);
        }
    } else {
        panic!("{property} has no type");
    }
}
