//! Which modules may use what, read from the sources (docs/architecture.md, "Layers"), and the maps
//! that user space opens, looked for in the compiled objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use globset::{Glob, GlobSet, GlobSetBuilder};
use libbpf_rs::ObjectBuilder;
use tcpscope::hooks::maps;

/// Names that stand for a layer, and the only files that may use them.
struct Rule {
    /// Crates, paths or types; one of them as a whole word breaks the rule.
    names: &'static [&'static str],
    allowed: &'static [&'static str],
}

/// The tools' own modules: they connect all layers.
const TOOLS: &[&str] =
    &["tools/**", "src/tool/**", "src/*/tool.rs", "src/*/tool/**", "src/registry.rs"];

const RULES: &[Rule] = &[
    // libbpf stays behind src/kernel/.
    Rule { names: &["libbpf_rs", "libbpf_sys"], allowed: &["src/kernel/**"] },
    // Only sources read a running session.
    Rule {
        names: &["Session", "RecordIter", "Ring"],
        allowed: &[
            "src/kernel/**",
            "src/*/source.rs",
            "src/*/monitor.rs",
            "src/states/timewait/poller.rs",
            "src/dash/live/**",
        ],
    },
    // Models return rows; the tools print them.
    Rule {
        names: &["Printer", "Sink"],
        allowed: &["src/report/**", "src/cli/**", "src/dash/live/**"],
    },
    // Command lines are declared in args.rs and cli/.
    Rule { names: &["clap", "clap_complete"], allowed: &["src/*/args.rs", "src/cli/**"] },
    // Only the dashboard draws, in a few of its modules.
    Rule {
        names: &["ratatui", "crossterm"],
        allowed: &[
            "src/dash/view/**",
            "src/dash/terminal.rs",
            "src/dash/input.rs",
            "src/dash/layout.rs",
        ],
    },
    // Subjects know nothing of those who read them.
    Rule { names: &["crate::dash"], allowed: &["src/dash/**"] },
    Rule { names: &["crate::tool"], allowed: &["src/dash/live/**", "src/check/**"] },
];

fn globs(patterns: &[&str]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).expect("a pattern"));
    }
    set.build().expect("patterns")
}

/// Every Rust file below a folder, with its path from the top and its code without comments.
fn sources(folder: &str, all: &mut Vec<(String, String)>) {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(top.join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("a type").is_dir() {
            sources(&path, all);
        } else if entry.path().extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(entry.path()).expect("a source");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            all.push((path, code.collect::<Vec<_>>().join("\n")));
        }
    }
}

fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part))
}

/// Types that build.rs makes from the C headers; each has its methods in one file.
const GENERATED: &[&str] =
    &["Cause", "Flow", "LatencyKind", "ListenerEntry", "RetransType", "Role", "Stats", "TcpState"];

/// The name that `text` begins with.
fn name_at(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The types that a file declares, also with `record!`.
fn declared(code: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for line in code.lines().map(str::trim_start) {
        let plain = ["pub ", "pub(crate) ", "pub(super) "].iter();
        let line = plain.fold(line, |line, scope| line.strip_prefix(scope).unwrap_or(line));
        let after = ["struct ", "enum ", "union "].iter().find_map(|word| line.strip_prefix(word));
        let record = line.strip_prefix('"').and_then(|rest| rest.split_once("\" "));
        names.extend(after.or(record.map(|(_, name)| name)).map(name_at));
    }
    names
}

/// The types that a file has inherent methods of.
fn implemented(code: &str) -> impl Iterator<Item = &str> {
    code.lines().map(str::trim_start).filter_map(|line| {
        let rest = line.strip_prefix("impl")?;
        let mut depth = 0;
        let generics = rest.find(|c| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth == 0 && c != '>'
        });
        let target = rest[generics?..].strip_prefix(' ')?;
        (!target.contains(" for ")).then(|| name_at(target))
    })
}

/// The type that `file: type` names.
fn name_after(stray: &str) -> &str {
    stray.rsplit(' ').next().unwrap_or_default()
}

/// `file: type` for every inherent impl outside of the file that declares the type.
fn strays(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, code) in files {
        let here = declared(code);
        let strays = implemented(code).filter(|name| !here.contains(name));
        found.extend(strays.map(|name| format!("{path}: {name}")));
    }
    found
}

/// `file: name` for every use of a name outside the files that may use it.
fn violations(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for rule in RULES {
        let allowed = globs(&[rule.allowed, TOOLS].concat());
        for (path, code) in files.iter().filter(|(path, _)| !allowed.is_match(path)) {
            let used = rule.names.iter().filter(|name| has_word(code, name));
            found.extend(used.map(|name| format!("{path}: {name}")));
        }
    }
    found
}

#[test]
fn methods_stand_in_the_file_of_their_type() {
    let mut files = Vec::new();
    sources("src", &mut files);
    let generated: BTreeSet<_> = GENERATED.iter().copied().collect();
    let (outside, strays): (Vec<_>, Vec<_>) =
        strays(&files).into_iter().partition(|stray| generated.contains(name_after(stray)));
    assert_eq!(strays, [""; 0]);
    let outside: Vec<_> = outside.iter().map(|stray| name_after(stray)).collect();
    assert_eq!(outside.len(), generated.len(), "one file for each: {outside:?}");
}

#[test]
fn a_stray_impl_is_found() {
    let of = |code: &str| strays(&[("a.rs".to_owned(), code.to_owned())]);
    assert_eq!(of("pub struct Here;\nimpl Here {"), [""; 0]);
    assert_eq!(of("impl There {"), ["a.rs: There"]);
    assert_eq!(of("impl<'a, R: Into<u8>> There<'a, R> {"), ["a.rs: There"]);
    assert_eq!(of("impl<T> From<T> for There {"), [""; 0]);
    assert_eq!(of("record! {\n    \"kind\" Here known(pid) {\n}\nimpl Here {"), [""; 0]);
}

#[test]
fn layers_use_only_what_is_below_them() {
    let mut files = Vec::new();
    sources("src", &mut files);
    sources("tools", &mut files);
    assert!(files.len() > 100, "sources are found");
    assert_eq!(violations(&files), [""; 0]);
}

/// Names that the findings engine must not use: it judges what the subjects say, and reads nothing itself.
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::io",
    "std::time",
    "std::thread",
    "rustix",
    "Session",
    "crate::dash",
    "crate::tool",
    "crate::clock",
];

#[test]
fn the_findings_engine_and_its_model_are_pure() {
    let mut files = Vec::new();
    sources("src/findings", &mut files);
    sources("src/model", &mut files);
    for (path, code) in &files {
        let used: Vec<_> = IMPURE.iter().filter(|name| has_word(code, name)).collect();
        assert!(used.is_empty(), "{path}: {used:?}");
    }
    assert!(files.len() > 10, "sources are found");
}

#[test]
fn a_broken_rule_is_found() {
    let broken = |path: &str, code: &str| violations(&[(path.to_owned(), code.to_owned())]);
    let model = "src/listen/model.rs";
    assert_eq!(broken(model, "use libbpf_rs::MapHandle;"), ["src/listen/model.rs: libbpf_rs"]);
    assert_eq!(broken(model, "use clap::ValueEnum;"), ["src/listen/model.rs: clap"]);
    assert_eq!(broken(model, "fn f(_: &Session) {}"), ["src/listen/model.rs: Session"]);
    assert_eq!(broken("src/dash/state.rs", "ratatui::init()"), ["src/dash/state.rs: ratatui"]);
    assert_eq!(broken(model, "let clapper = Sessions;"), [""; 0]);
    assert_eq!(broken("src/listen/source.rs", "fn f(_: &Session) {}"), [""; 0]);
}

/// Keys that two records declare, since they are of different types.
const TWICE: [&str; 2] = ["attach", "cause"];

#[test]
fn every_json_key_is_declared_once() {
    let (mut files, mut once) = (Vec::new(), BTreeSet::new());
    sources("src", &mut files);
    for (path, code) in &files {
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        for record in code.split("record! {").skip(1).chain(code.split("shared! {").skip(1)) {
            let fields = record.lines().take_while(|line| *line != "}").map(str::trim_start);
            for (key, _) in fields.filter_map(|line| line.split_once(": ")) {
                let new = once.insert(key) || key.contains(['#', '"']) || TWICE.contains(&key);
                assert!(new, "{path}: the key {key} is declared twice: move it to shared!");
            }
        }
    }
    assert!(once.len() > 100, "records are found");
}

/// Keys under two headings: of a state or an exchange, of an interval or an exchange; tcplatency has the
/// service's port in one column, whichever side it is on; and failures that tcpports shows per second are one
/// of several outcomes in tcplatency.
const TWO_HEADINGS: [&str; 5] = ["duration_ns", "tx_bytes", "rx_bytes", "lport", "no_port"];

/// The constructor of a column and the rest of its line, without the place among those that give way.
fn column(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let bare = line.strip_prefix("yields ").and_then(|line| line.split_once(' '));
    bare.map_or(line, |(_, line)| line).split_once(' ')
}

#[test]
fn every_key_has_one_heading() {
    let (mut files, mut headings) = (Vec::new(), BTreeMap::new());
    sources("src", &mut files);
    for (path, code) in &files {
        for table in code.split("\ntable! {").skip(1) {
            let columns = table.lines().take_while(|line| *line != "} }");
            for column in columns.filter_map(column) {
                let mut parts = column.1.split(", ");
                let (Some(key), Some(heading)) = (parts.next(), parts.next()) else { continue };
                let key = key.trim_matches(['(', ')']).rsplit("::").next().unwrap_or_default();
                if !["left", "right"].contains(&column.0) || TWO_HEADINGS.contains(&key) {
                    continue;
                }
                let before = *headings.entry(key).or_insert(heading);
                assert_eq!(before, heading, "{path}: {key}");
            }
        }
    }
    assert!(headings.len() > 60, "tables are found");
}

#[test]
fn every_map_that_user_space_names_is_in_an_object() {
    let mut names = BTreeSet::new();
    for object in fs::read_dir(env!("OUT_DIR")).unwrap() {
        let path = object.unwrap().path();
        if path.to_str().is_some_and(|path| path.ends_with(".bpf.o")) {
            let object = ObjectBuilder::default().open_file(&path).unwrap();
            names.extend(object.maps().map(|map| map.name().to_string_lossy().into_owned()));
        }
    }
    for map in maps::ALL {
        assert!(names.contains(map.name()), "no object has a map {}", map.name());
    }
}
