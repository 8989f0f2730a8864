//! The report as records: the facts, then each tool's hooks and its verdict.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HookReport, Machine, NAME, Report, ToolReport, Verdict};
use crate::kernel::attach::AttachMethod;
use crate::kernel::facts::Facts;
use crate::report::{Ts, lenient, record, word};

type Words = Vec<Cow<'static, str>>;

record! {
    /// tcpscope-check: features of the machine
    "facts" FactsRecord known(tool version kernel facts missing machine) {
        /// `tcpscope-check`
        #[schemars(extend("const" = NAME))]
        tool,
        version,
        kernel,
        /// input of the plans: `release`, `btf`, `lockdown`, `root`, `init_userns`, `capabilities` (bits of capabilities(7)); of the wanted names, those in BTF: `tracepoints`, `iterators`, `functions` with the names of their parameters; `fentry_refused`, `map_iterators_refused`, `kprobe_refused`: the reason if unavailable, else null
        #[serde(deserialize_with = "lenient")]
        facts: Option<Facts>,
        /// capabilities that the process lacks
        #[schemars(extend("items" = { "enum": ["CAP_BPF", "CAP_PERFMON"] }))]
        missing: Words,
        /// settings that can explain a failure: `machine` (`uname -m`), `memlock_bytes` (null: unlimited), `seccomp`, `security_modules`, `unprivileged_bpf_disabled`; null: unknown
        #[serde(deserialize_with = "lenient")]
        machine: Option<Machine>,
        /// wanted functions that BTF lacks, each with its symbols in `/proc/kallsyms`; null if unreadable
        symbols: Option<BTreeMap<String, Vec<String>>>,
    }
}

/// A better attach method that is unavailable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct PassedOver {
    /// Why it does not.
    pub reason: String,
    /// Which it is.
    pub attach: AttachMethod,
}

record! {
    /// tcpscope-check: the attach method of a hook of a tool
    "hook" HookRecord known(tool hook required places programs passed_over) {
        tool,
        mode,
        /// as in `attach` of the [status](#status)
        hook: Cow<'static, str>,
        /// whether the tool needs it
        required: bool,
        /// `fentry`, `kprobe`, `tracepoint`, `raw-tracepoint`, `iterator`, `lookup`; null: none
        #[serde(deserialize_with = "word")]
        attach: Option<AttachMethod>,
        /// what it attaches to
        places: Words,
        /// the BPF programs
        programs: Words,
        /// better attach methods, each with the reason why it is unavailable
        passed_over: Vec<PassedOver>,
    }
}

record! {
    /// tcpscope-check: whether a tool can start
    "tool" ToolRecord known(tool starts exit_code) {
        tool,
        mode,
        /// whether it can start
        starts: bool,
        /// whether its programs loaded; null if not tried
        loaded: Option<bool>,
        /// its exit code, see [errors.md](errors.md)
        #[schemars(range(max = 8))]
        exit_code: u64,
        /// its message
        reason: Option<String>,
    }
}

impl FactsRecord {
    /// What a report knows of the machine.
    pub fn new(report: &Report) -> Self {
        let symbols = report.symbols.as_ref().map(|symbols| {
            symbols.iter().map(|(name, like)| ((*name).to_owned(), like.clone())).collect()
        });
        Self {
            ts: Ts(report.ts),
            tool: NAME.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: report.facts.release.clone().into(),
            facts: Some(report.facts.clone()),
            missing: words(report.facts.missing_capabilities()),
            machine: Some(report.machine.clone()),
            symbols,
        }
    }
}

impl HookRecord {
    /// A hook of one of the report's tools.
    pub fn new(ts: i64, tool: &ToolReport, hook: &HookReport) -> Self {
        let passed_over = hook.passed_over.iter();
        Self {
            ts: Ts(ts),
            tool: tool.name.into(),
            mode: tool.mode.map(Cow::from),
            hook: hook.name.into(),
            required: hook.required,
            attach: hook.method,
            places: words(hook.places.iter().copied()),
            programs: words(hook.programs.iter().copied()),
            passed_over: passed_over
                .map(|(method, reason)| PassedOver { reason: reason.clone(), attach: *method })
                .collect(),
        }
    }
}

impl ToolRecord {
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
            ts: Ts(ts),
            tool: tool.name.into(),
            mode: tool.mode.map(Cow::from),
            starts: reason.is_none(),
            loaded,
            exit_code: tool.exit_code().into(),
            reason,
        }
    }
}

fn words(words: impl IntoIterator<Item = &'static str>) -> Words {
    words.into_iter().map(Cow::from).collect()
}
