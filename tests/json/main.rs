//! docs/json.schema.json and the tables of docs/json.md are made from the record types.
//! `UPDATE_DOCS=1 cargo test --test json` writes them: read the diff.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod page;
mod schema;

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use tcpscope::kernel::attach::AttachMethod;
use tcpscope::report::Word as _;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Expects that a file is this text, or makes it so.
fn check(name: &str, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(name), expected).unwrap();
    }
    let found = text(name);
    let differs = found.lines().zip(expected.lines()).position(|(one, other)| one != other);
    assert!(
        found == expected,
        "{name} differs from the record types from line {} on: UPDATE_DOCS=1 cargo test --test json",
        differs.map_or_else(|| "the last".to_owned(), |line| (line + 1).to_string())
    );
}

#[test]
fn the_schema_is_that_of_the_record_types() {
    check("docs/json.schema.json", &schema::text(&schema::schema()));
}

#[test]
fn the_tables_of_the_page_are_those_of_the_record_types() {
    check("docs/json.md", &page::with_tables(&text("docs/json.md"), &schema::schema()));
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

fn schema_file() -> Value {
    serde_json::from_str(&text("docs/json.schema.json")).unwrap()
}

/// Every line of JSON in a file.
fn lines(file: &str) -> Vec<Value> {
    let text = text(file);
    let lines = text.lines().filter(|line| line.starts_with("{\"kind\":"));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the golden tests print.
fn golden() -> Vec<Value> {
    let files = fs::read_dir(path("tests/golden")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name.ends_with(".jsonl.snap"));
    let lines = names.flat_map(|name| lines(&format!("tests/golden/{name}")));
    // Not what the kernel and the tools give: a name of all 16 bytes, a status without any
    // hook, facts with what a tool that loads has added to its own copy.
    let real = |line: &Value| {
        line["comm"].as_str().is_none_or(|comm| comm.chars().count() < 16)
            && line.get("attach") != Some(&json!({}))
            && line["facts"].get("refused").is_none()
    };
    lines.filter(real).collect()
}

/// Expects that each line is valid.
fn all_valid(schema: &Value, lines: &[Value]) {
    let whole = validator(schema);
    if let Some(line) = lines.iter().find(|line| !whole.is_valid(line)) {
        // Only this kind: with all of them the errors of the others hide what is wrong.
        let mut own = schema.clone();
        own.as_object_mut().unwrap().remove("oneOf");
        own["$ref"] = format!("#/$defs/{}", line["kind"].as_str().unwrap()).into();
        let own = validator(&own);
        let wrong: Vec<_> = own.iter_errors(line).map(|error| error.to_string()).collect();
        panic!("{line}\n{}", wrong.join("\n"));
    }
}

#[test]
fn every_golden_line_and_every_example_of_the_page_is_valid() {
    all_valid(&schema_file(), &golden());
    all_valid(&schema_file(), &lines("docs/json.md"));
}

#[test]
fn every_line_of_the_recording_is_valid_but_for_the_keys_that_it_lacks() {
    let mut schema = schema_file();
    for kind in schema::kinds() {
        schema["$defs"][kind.name]["required"] = json!(["kind", "ts"]);
    }
    all_valid(&schema, &lines("tests/dash/recording.jsonl"));
}

/// The words of a status line stand apart from the type, in a layer that does not know it.
#[test]
fn a_status_line_may_have_every_attach_method() {
    let schema = schema_file();
    let attach = &schema["$defs"]["status"]["properties"]["attach"];
    let allowed: Vec<_> = attach["additionalProperties"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    let methods = AttachMethod::WORDS.iter().map(|(_, word)| *word);
    assert_eq!(allowed, methods.clone().chain(["-"]).collect::<Vec<_>>());
    let described = attach["description"].as_str().unwrap();
    for word in methods {
        assert!(described.contains(&format!("`{word}`")), "{word} in: {described}");
    }
}

#[test]
fn a_line_is_not_valid_with_a_key_less_or_more_or_null_where_it_is_known() {
    let validator = validator(&schema_file());
    let mut all = golden();
    all.extend(lines("docs/json.md"));
    for kind in schema::kinds() {
        let mut lines = all.iter().filter(|line| line["kind"] == kind.name);
        let line = lines.find(|line| validator.is_valid(line));
        let line = line.unwrap_or_else(|| panic!("no line of {}", kind.name));
        let refuses = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut line = line.clone();
            change(line.as_object_mut().unwrap());
            !validator.is_valid(&line)
        };
        for key in line.as_object().unwrap().keys() {
            assert!(refuses(&|line| drop(line.remove(key))), "{} without {key}", kind.name);
        }
        for &key in kind.known.iter().chain(&["kind", "ts"]) {
            let null = |line: &mut Map<_, _>| drop(line.insert(key.into(), Value::Null));
            assert!(refuses(&null), "{} with {key} null", kind.name);
        }
        assert!(refuses(&|line| drop(line.insert("more".into(), 1.into()))), "{}", kind.name);
    }
}

#[test]
fn the_page_on_troubleshooting_is_that_of_the_rules() {
    let recorded = |id: &str| text(&format!("docs/troubles/{id}.txt"));
    check("docs/troubleshooting.md", &tcpscope::findings::page::markdown(recorded));
}
