//! Every tool that Cargo.toml declares has its page, its live tests, and its place in the lab.

use std::fs;
use std::path::Path;

fn text(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of all `[[bin]]`.
fn tools() -> Vec<String> {
    let manifest = text("Cargo.toml");
    let bins = manifest.split("[[bin]]").skip(1);
    let name = |bin: &str| bin.split('"').nth(1).expect("a name").to_owned();
    bins.map(name).collect()
}

#[test]
fn every_tool_has_a_page() {
    for tool in tools() {
        assert!(text(format!("docs/{tool}.md")).contains(&tool), "docs/{tool}.md");
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
        assert!(tools().contains(&tool.to_owned()), "{tool} is no tool");
        for cell in cells.split(',') {
            assert!(CELLS.contains(&cell), "{cell} is no cell");
        }
        let (group, name) = test.split_once("::").expect("group::name");
        let source = text(format!("tests/live/{group}.rs"));
        assert!(source.contains(&format!("(\"{name}\",")), "no live test {test}");
    }
}
