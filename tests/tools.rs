//! What every tool of the registry has: a `[[bin]]`, a page, live tests, a place in the lab, a part of
//! the demo, JSON kinds that are described, and a name that few files know.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tcpscope::record::{AnyRecord, Damage};
use tcpscope::registry::TOOLS;
use tcpscope::report::{Note, Record, Status};

fn text(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn tools() -> impl Iterator<Item = &'static str> {
    TOOLS.into_iter().map(|tool| tool.name)
}

#[test]
fn every_tool_is_a_bin_and_the_reverse() {
    let manifest = text("Cargo.toml");
    let bins = manifest.split("[[bin]]").skip(1);
    let names: Vec<_> = bins.map(|bin| bin.split('"').nth(1).expect("a name")).collect();
    assert!(tools().eq(names));
}

#[test]
fn every_tool_has_a_part_of_the_demo() {
    for tool in tools() {
        let part = text(format!("scripts/demo/{tool}.sh"));
        assert!(has_word(&part, tool), "scripts/demo/{tool}.sh never runs it");
    }
}

#[test]
fn every_tool_has_a_page() {
    for tool in tools() {
        assert!(text(format!("docs/{tool}.md")).contains(tool), "docs/{tool}.md");
    }
}

#[test]
fn every_tool_has_a_live_test() {
    let sources: String = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live"))
        .expect("tests/live")
        .map(|entry| text(entry.expect("a file").path()))
        .collect();
    for tool in tools() {
        assert!(sources.contains(&format!("\"{tool}\"")), "tests/live never starts {tool}");
    }
}

#[test]
fn every_tool_has_its_place_in_the_lab() {
    let tests = text("tests/lab/tests.tsv");
    let page = text("docs/kernels.md");
    let heading = page.lines().find(|line| line.starts_with("| kernel | cell |")).expect("a table");
    for tool in tools() {
        // `rights` includes `method`: together they are every cell in which something differs for the tool.
        let listed = ["every", "rights"]
            .iter()
            .any(|cells| tests.lines().any(|line| line.starts_with(&format!("{tool}\t{cells}\t"))));
        assert!(listed, "tests/lab/tests.tsv has no test of {tool} for each method and right");
        assert!(heading.contains(&format!("| {tool} ")), "docs/kernels.md has no column {tool}");
    }
}

/// What the second field of `tests/lab/tests.tsv` may name: the rules that `selects` of `scripts/lab/cells.sh`
/// knows, and single cells.
const CELLS: [&str; 10] = [
    "every",
    "rights",
    "method",
    "auto",
    "fentry",
    "kprobe",
    "tracepoint",
    "user",
    "integrity",
    "confidentiality",
];

/// The lab runs tests by name, and a name that is wrong would only show there.
#[test]
fn every_test_of_the_lab_is_a_live_test() {
    for line in text("tests/lab/tests.tsv").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split('\t').collect();
        let [tool, cells, test] = fields[..] else { panic!("not three fields: {line}") };
        assert!(tools().any(|name| name == tool), "{tool} is no tool");
        for cell in cells.split(',') {
            assert!(CELLS.contains(&cell), "{cell} is no cell");
        }
        let (group, name) = test.split_once("::").expect("group::name");
        let source = text(format!("tests/live/{group}.rs"));
        assert!(source.contains(&format!("(\"{name}\",")), "no live test {test}");
    }
}

/// Without the kinds of their own, all tools print their status and notes.
#[test]
fn kinds_of_the_tools_are_those_of_reader_and_schema() {
    let own: BTreeSet<_> = TOOLS.iter().flat_map(|tool| tool.kinds).copied().collect();
    let all: BTreeSet<_> = own.iter().copied().chain([Status::KIND, Note::KIND]).collect();
    assert_eq!(all.len(), own.len() + 2, "status and note belong to every tool: {own:?}");
    for kind in &all {
        let line = format!(r#"{{"kind":"{kind}","ts":"2026-01-02T03:04:05Z"}}"#);
        assert_ne!(
            AnyRecord::parse(line.as_bytes()).err(),
            Some(Damage::Unknown((*kind).to_owned())),
            "the reader does not know {kind}"
        );
    }
    let schema: Value = serde_json::from_str(&text("docs/json.schema.json")).expect("JSON");
    let lines = schema["oneOf"].as_array().expect("one of the kinds");
    let described: BTreeSet<_> = lines
        .iter()
        .map(|line| line["$ref"].as_str().and_then(|path| path.rsplit('/').next()).expect("a kind"))
        .collect();
    assert_eq!(all, described, "tools, schema");
    for kind in described {
        assert_eq!(schema["$defs"][kind]["properties"]["kind"]["const"], kind);
    }
}

/// Whether `word` stands in a text by itself. A dash is no letter, as for `git grep -w`.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// All files under version control; where git does not say (an unpacked archive), all but what is built.
fn tracked() -> Vec<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    let listed = Command::new("git").arg("ls-files").current_dir(top).output();
    match listed {
        Ok(listed) if top.join(".git").exists() && listed.status.success() => {
            let listed = String::from_utf8(listed.stdout).expect("UTF-8");
            paths.extend(listed.lines().map(str::to_owned));
        }
        _ => walk(top, "", &mut paths),
    }
    paths.retain(|path| top.join(path).is_file());
    assert!(paths.len() > 200, "{paths:?}");
    paths
}

fn walk(top: &Path, folder: &str, paths: &mut Vec<String>) {
    for entry in fs::read_dir(top.join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{folder}{}", entry.file_name().to_str().expect("UTF-8"));
        if !entry.file_type().expect("a type").is_dir() {
            paths.push(path);
        } else if !["target", ".git"].contains(&path.as_str()) {
            walk(top, &format!("{path}/"), paths);
        }
    }
}

/// The folder of a tool below `src/` and `bpf/`: the module that its program uses.
fn subject(tool: &str) -> String {
    let program = text(format!("tools/{tool}.rs"));
    let used = program.split("use tcpscope::").nth(1).expect("its module");
    used.split("::").next().expect("a name").to_owned()
}

/// What a file says in which a tool's name counts: unit tests at its end do not, nor lines that mean the
/// program of libbpf-tools of the same name, by its path or beside another of them.
fn counted<'a>(text: &'a str, tool: &str) -> impl Iterator<Item = &'a str> {
    let peer = format!("/usr/sbin/{tool}");
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(move |line| !line.contains(&peer) && !has_word(line, "tcptop"))
}

/// One more tool is to touch few files, and a new name for one as well.
#[test]
fn a_tools_name_stands_in_six_files_besides_its_own() {
    // The rules name the tool that shows more, as the pages do.
    const ELSEWHERE: [&str; 7] =
        ["src/findings/", "docs/", "tests/", "assets/", "findings/", "README", "CHANGELOG"];
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = tracked()
        .into_iter()
        .filter(|path| !ELSEWHERE.iter().any(|start| path.starts_with(start)))
        .filter(|path| path != "CONTRIBUTING.md" && !path.ends_with("tests.rs"))
        .filter_map(|path| fs::read_to_string(top.join(&path)).ok().map(|text| (path, text)))
        .collect();
    for tool in tools() {
        let subject = subject(tool);
        let own = [
            format!("tools/{tool}.rs"),
            format!("bpf/{tool}.bpf.c"),
            format!("bpf/{subject}/"),
            format!("src/{subject}/"),
        ];
        let naming: Vec<_> = files
            .iter()
            .filter(|(path, _)| !own.iter().any(|start| path.starts_with(start)))
            .filter(|(_, text)| counted(text, tool).any(|line| has_word(line, tool)))
            .map(|(path, _)| path)
            .collect();
        assert!(!naming.is_empty(), "Cargo.toml names {tool}");
        assert!(naming.len() <= 6, "{tool} stands in {naming:?}");
    }
}

/// Escape sequences, C1 controls and bidirectional marks in arguments and names of files.
#[test]
fn arguments_do_not_reach_a_terminal_unescaped() {
    let here = Path::new(env!("CARGO_BIN_EXE_tcpcount"));
    for tool in tools() {
        for hostile in ["\x1b[31mred", "a\u{9b}31m", "a\u{202e}b"] {
            let flag = format!("--{hostile}");
            let mut calls = vec![vec![flag.as_str()], vec!["--attach", hostile]];
            if tool == "tcpdash" {
                calls.push(vec!["--snapshot", "--replay", hostile]);
            }
            for arguments in calls {
                let output =
                    Command::new(here.with_file_name(tool)).args(&arguments).output().unwrap();
                let text = String::from_utf8(output.stderr).unwrap();
                assert!(!output.status.success() && !text.is_empty(), "{tool} {arguments:?}");
                let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
                assert!(!text.contains(raw), "{tool} {arguments:?}: {text:?}");
                assert!(text.contains("\\x1b") || text.contains("\\u{"), "{tool}: {text}");
            }
        }
    }
}

/// What vmstat, iostat and many others take.
#[test]
fn arguments_of_other_programs_get_a_tip() {
    let here = Path::new(env!("CARGO_BIN_EXE_tcpcount"));
    let tip = |tool: &str, arguments: &[&str]| {
        let output = Command::new(here.with_file_name(tool)).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{tool} {arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for tool in tools() {
        assert!(tip(tool, &["--format", "json"]).contains("--json prints JSON"), "{tool}");
        assert!(tip(tool, &["--output=json"]).contains("--json prints JSON"), "{tool}");
        let tip = tip(tool, &["1", "5"]);
        let count = ["tcpdash", "tcpdoctor", "tcpscope-check"].contains(&tool);
        assert_eq!(tip.contains("-i 1 -n 5"), !count, "{tool}: {tip}");
    }
}
