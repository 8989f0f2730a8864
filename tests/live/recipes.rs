//! The recipes of docs/json.md for jq, `DuckDB`, Polars and pandas, run on what tcplife prints.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::Test;
use crate::life::{lives, watch};
use crate::load;
use crate::netns::Netns;
use crate::setting::emulated;
use crate::tool::{number, output};

pub const TESTS: &[(&str, Test)] = &[("readers_of_json_find_every_line_and_every_digit", readers)];

/// Lines before the first failure: more than any reader takes to guess types.
const BEFORE: u64 = 300;

/// Of each end: how many lines, the longest life, the first time; in ns.
type Sums = BTreeMap<String, (u64, Option<u64>, Option<i64>)>;

/// The blocks of one language below "`DuckDB`, Polars, pandas".
fn recipes(language: &str) -> Result<Vec<String>> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md"))?;
    let section = page.split("\n## ").find(|section| section.starts_with("DuckDB"));
    let section = section.context("docs/json.md has no section on DuckDB")?;
    let fence = format!("```{language}\n");
    let blocks = section.split(&fence).skip(1);
    let blocks = blocks.filter_map(|block| Some(block.split_once("```")?.0.to_owned()));
    Ok(blocks.collect())
}

/// Runs a block of standard input, and prints what it found as JSON: `[end, lines, life, ts]`.
const DRIVER: &str = r#"
import ast, json, sys
reader, code = sys.argv[1], sys.stdin.read()
if reader == "duckdb":
    import duckdb
    code = code.strip().rstrip(";")
    rows = duckdb.sql(f"select how, n, longest, epoch_ns(first) from ({code})").fetchall()
else:
    import polars as pl, pandas as pd
    tree, names = ast.parse(code), {"pl": pl, "pd": pd}
    last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, "recipe", "exec"), names)
    result, lines = eval(compile(last, "recipe", "eval"), names), names["lines"]
    if reader == "polars":
        first = {end: lines.filter(pl.col("end") == end)["ts"].dt.epoch("ns").min() for end, *_ in result.rows()}
        rows = [(end, n, longest, first[end]) for end, n, longest in result.rows()]
    else:
        assert "int" in str(lines.dtypes["life_ns"]), lines.dtypes["life_ns"]
        rows = [(end, int(row.n), int(row.longest), None) for end, row in result.iterrows()]
print(json.dumps(rows))
"#;

/// A folder with the packages; `None` where they cannot be had.
fn packages() -> Result<Option<PathBuf>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipes");
    let there = |name: &str| folder.join(name).is_dir();
    if ["duckdb", "polars", "pandas", "pyarrow"].iter().all(|name| there(name)) {
        return Ok(Some(folder));
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--retries", "1", "--timeout", "10", "--target"]).arg(&folder);
    pip.args(["duckdb", "polars", "pandas", "pyarrow"]);
    let installed = pip.output().context("python3")?;
    if installed.status.success() {
        return Ok(Some(folder));
    }
    let errors = String::from_utf8_lossy(&installed.stderr);
    eprintln!("not tried: pip could not install the readers: {}", errors.trim());
    Ok(None)
}

fn run(reader: &str, recipe: &str, (packages, data): (&Path, &Path)) -> Result<Sums> {
    let mut python = Command::new("python3");
    python.args(["-c", DRIVER, reader]).env("PYTHONPATH", packages).current_dir(data);
    python.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn()?;
    let input = python.stdin.take().context("no standard input")?;
    std::io::Write::write_all(&mut &input, recipe.as_bytes())?;
    drop(input);
    let done = python.wait_with_output()?;
    ensure!(done.status.success(), "{reader} fails with\n{recipe}");
    let rows: Vec<(String, u64, Option<u64>, Option<i64>)> = serde_json::from_slice(&done.stdout)?;
    Ok(rows.into_iter().map(|(end, lines, life, ts)| (end, (lines, life, ts))).collect())
}

/// What `jq` of the page prints, for one field of each line.
fn jq(data: &Path) -> Result<BTreeMap<String, u64>> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md"))?;
    let recipe = page.split('`').find(|code| code.starts_with("jq -r 'select(.kind == \"life\")"));
    let recipe = recipe.context("docs/json.md has no recipe for jq")?.replace("FILE", "life.jsonl");
    let counts = output(Command::new("sh").args(["-c", &recipe]).current_dir(data))?;
    let count = |line: &str| {
        let (count, end) = line.trim().split_once(' ')?;
        Some((end.to_owned(), count.parse().ok()?))
    };
    counts.lines().map(|line| count(line).with_context(|| line.to_owned())).collect()
}

/// Of the lines themselves.
fn truth(lines: &[Value]) -> Result<Sums> {
    let mut sums = Sums::new();
    for line in lines {
        let end = line["end"].as_str().context("a line without end")?.to_owned();
        let ts: jiff::Timestamp = line["ts"].as_str().context("no ts")?.parse()?;
        let ts = i64::try_from(ts.as_nanosecond())?;
        let life = line["life_ns"].as_u64();
        let (count, longest, first) = sums.entry(end).or_insert((0, None, Some(ts)));
        *count += 1;
        *longest = life.max(*longest);
        *first = Some(first.map_or(ts, |first| first.min(ts)));
    }
    Ok(sums)
}

fn readers() -> Result<()> {
    if emulated() {
        bail!("this test needs no other kernel");
    }
    let netns = Netns::new("recipes")?;
    let tool = watch(&netns, "")?;
    load::run(&netns, &format!("churn --conns {BEFORE} --threads 1"))?;
    tool.wait_for_kind("life", 2 * usize::try_from(BEFORE)?)?;
    let refused = netns.within(|| Ok(TcpStream::connect("127.0.0.1:1").err()))?;
    ensure!(refused.is_some(), "something listens on port 1");
    tool.wait_for_kind("life", 2 * usize::try_from(BEFORE)? + 1)?;
    let ended = tool.finish()?;
    let sums = truth(&lives(&ended)?)?;
    ensure!(number(&lives(&ended)?.last().context("no lines")?["errno"]) == 111, "not refused");
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("life.jsonl"), ended.lines.join("\n") + "\n")?;
    let counts: BTreeMap<_, _> =
        sums.iter().map(|(end, (count, ..))| (end.clone(), *count)).collect();
    ensure!(jq(folder.path())? == counts, "jq: {counts:?}");
    let Some(packages) = packages()? else { return Ok(()) };
    let (sql, python) = (recipes("sql")?, recipes("python")?);
    let ([sql], [polars, pandas]) = (&sql[..], &python[..]) else {
        bail!("not one recipe for each: {sql:?} {python:?}")
    };
    let places = (packages.as_path(), folder.path());
    for (reader, recipe) in [("duckdb", sql), ("polars", polars), ("pandas", pandas)] {
        let mut found = run(reader, recipe, places)?;
        if reader == "pandas" {
            // It leaves ts a string.
            for (end, sum) in &mut found {
                sum.2 = sums.get(end).and_then(|sum| sum.2);
            }
        }
        ensure!(found == sums, "{reader}: {found:?}, the lines: {sums:?}");
    }
    Ok(())
}
