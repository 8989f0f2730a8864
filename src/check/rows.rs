//! The report as JSON Lines: the facts, then each tool's hooks and its verdict.

use serde_json::{Value, json};

use super::{HookReport, NAME, Report, ToolReport, Verdict};
use crate::kernel::attach::AttachMethod;
use crate::report::{Cell, Column, Row};

/// What the machine offers. Its `facts` can stand in for the machine in a test.
#[derive(Debug)]
pub struct FactsRow {
    ts: i64,
    release: String,
    facts: Value,
    machine: Value,
    missing: Value,
    symbols: Value,
}

/// How one hook of a tool is served.
#[derive(Debug)]
pub struct HookRow {
    ts: i64,
    tool: &'static str,
    mode: Option<&'static str>,
    hook: &'static str,
    required: bool,
    rung: Option<&'static str>,
    places: Value,
    programs: Value,
    passed_over: Value,
}

/// Whether a tool can start.
#[derive(Debug)]
pub struct ToolRow {
    ts: i64,
    tool: &'static str,
    mode: Option<&'static str>,
    starts: bool,
    loaded: Option<bool>,
    exit_code: u64,
    reason: Option<String>,
}

impl FactsRow {
    /// What a report knows of the machine.
    pub fn new(report: &Report) -> Self {
        let value = |made: serde_json::Result<Value>| made.unwrap_or_default();
        Self {
            ts: report.ts,
            release: report.facts.release.clone(),
            facts: value(serde_json::to_value(&report.facts)),
            machine: value(serde_json::to_value(&report.machine)),
            missing: report.facts.missing_capabilities().into(),
            symbols: value(serde_json::to_value(&report.symbols)),
        }
    }
}

impl HookRow {
    /// A hook of one of the report's tools.
    pub fn new(ts: i64, tool: &ToolReport, hook: &HookReport) -> Self {
        let passed_over = hook.passed_over.iter();
        Self {
            ts,
            tool: tool.name,
            mode: tool.mode,
            hook: hook.name,
            required: hook.required,
            rung: hook.rung.map(AttachMethod::name),
            places: hook.places.clone().into(),
            programs: hook.programs.clone().into(),
            passed_over: passed_over
                .map(|(rung, reason)| json!({"rung": rung.name(), "reason": reason}))
                .collect(),
        }
    }
}

impl ToolRow {
    /// The verdict on one of the report's tools.
    pub fn new(ts: i64, tool: &ToolReport) -> Self {
        let (loaded, reason) = match &tool.verdict {
            Verdict::Loads => (Some(true), None),
            Verdict::Planned => (None, None),
            Verdict::Refused { error, loading } => {
                (loading.then_some(false), Some(format!("{error:#}")))
            }
        };
        Self {
            ts,
            tool: tool.name,
            mode: tool.mode,
            starts: reason.is_none(),
            loaded,
            exit_code: tool.exit_code().into(),
            reason,
        }
    }
}

static FACTS: [Column<FactsRow>; 7] = [
    Column::json("tool", |_| Cell::Word(NAME), "Name of the tool."),
    Column::json("version", |_| Cell::Word(env!("CARGO_PKG_VERSION")), "Its version."),
    Column::json("kernel", |r| Cell::Text(r.release.as_bytes()), "Release of the kernel."),
    Column::json("facts", |r| Cell::Json(&r.facts), "What decides which program serves a hook."),
    Column::json("missing", |r| Cell::Json(&r.missing), "Capabilities that this process lacks."),
    Column::json("machine", |r| Cell::Json(&r.machine), "What else may explain a failure."),
    Column::json("symbols", |r| Cell::Json(&r.symbols), "Functions that BTF does not describe."),
];

static HOOKS: [Column<HookRow>; 8] = [
    Column::json("tool", |r| Cell::Word(r.tool), "Name of the tool."),
    Column::json("mode", |r| word(r.mode), "The flag that asks for this mode of it."),
    Column::json("hook", |r| Cell::Word(r.hook), "Name of the hook."),
    Column::json("required", |r| Cell::Flag(r.required), "Whether the tool needs it to start."),
    Column::json("rung", |r| word(r.rung), "What serves it."),
    Column::json("places", |r| Cell::Json(&r.places), "What that attaches to."),
    Column::json("programs", |r| Cell::Json(&r.programs), "The BPF programs."),
    Column::json("passed_over", |r| Cell::Json(&r.passed_over), "Better attach, and why not."),
];

static TOOL: [Column<ToolRow>; 6] = [
    Column::json("tool", |r| Cell::Word(r.tool), "Name of the tool."),
    Column::json("mode", |r| word(r.mode), "The flag that asks for this mode of it."),
    Column::json("starts", |r| Cell::Flag(r.starts), "Whether it can start."),
    Column::json(
        "loaded",
        |r| r.loaded.map_or(Cell::Missing, Cell::Flag),
        "Did its programs load?",
    ),
    Column::json("exit_code", |r| Cell::Id(r.exit_code), "What it would end with."),
    Column::json(
        "reason",
        |r| r.reason.as_ref().map_or(Cell::Missing, |reason| Cell::Text(reason.as_bytes())),
        "Why it cannot start.",
    ),
];

fn word(text: Option<&'static str>) -> Cell<'static> {
    text.map_or(Cell::Missing, Cell::Word)
}

impl Row for FactsRow {
    const KIND: &'static str = "facts";

    fn columns() -> &'static [Column<Self>] {
        &FACTS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}

impl Row for HookRow {
    const KIND: &'static str = "hook";

    fn columns() -> &'static [Column<Self>] {
        &HOOKS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}

impl Row for ToolRow {
    const KIND: &'static str = "tool";

    fn columns() -> &'static [Column<Self>] {
        &TOOL
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
