//! What this machine offers the tools: how each of their hooks would be served, and what is in
//! the way. The first thing to ask for in a bug report.

mod machine;
mod rows;
mod symbols;
mod text;

use anyhow::{Error, Result};

use crate::hooks::{
    LISTENOVERFLOW, LISTENOVERFLOW_WAIT, Spec, TCPCOUNT, TCPDASH, TCPLATENCY, TCPLATENCY_EVENTS,
    TCPSTATES, TCPSTATES_SUMMARY,
};
use crate::kernel::facts::{Facts, Wanted};
use crate::kernel::plan::{Choice, Plan, Request, choose};
use crate::kernel::refusal::Refusal;
use crate::kernel::rung::RungKind;

pub use machine::Machine;
pub use rows::{FactsRow, HookRow, ToolRow};
pub use symbols::{Symbols, similar};

/// This tool's name.
pub const NAME: &str = "tcpscope-check";

/// Every tool in each of its modes, with the flag that asks for the mode.
pub static TOOLS: [(&Spec, Option<&str>); 8] = [
    (&TCPSTATES, None),
    (&TCPSTATES_SUMMARY, Some("--summary")),
    (&TCPCOUNT, None),
    (&TCPLATENCY, None),
    (&TCPLATENCY_EVENTS, Some("--events")),
    (&LISTENOVERFLOW, None),
    (&LISTENOVERFLOW_WAIT, Some("--wait")),
    (&TCPDASH, None),
];

/// Everything that some tool looks for in the kernel.
pub fn wanted() -> Wanted {
    let mut all = Wanted::default();
    for (spec, _) in TOOLS {
        let Wanted { tracepoints, iterators, functions } = spec.wanted();
        all.tracepoints.extend(tracepoints);
        all.iterators.extend(iterators);
        all.functions.extend(functions);
    }
    for names in [&mut all.tracepoints, &mut all.iterators, &mut all.functions] {
        names.sort_unstable();
        names.dedup();
    }
    all
}

/// How one hook is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookReport {
    /// Its name.
    pub name: &'static str,
    /// Without it the tool does not start.
    pub required: bool,
    /// The rung that serves it, if any.
    pub rung: Option<RungKind>,
    /// What that attaches to.
    pub places: Vec<&'static str>,
    /// The BPF programs.
    pub programs: Vec<&'static str>,
    /// Rungs that do not serve it although they are better, or that none does.
    pub passed_over: Vec<(RungKind, String)>,
}

/// Whether a tool can start.
#[derive(Debug)]
pub enum Verdict {
    /// Its programs were loaded.
    Loads,
    /// It has a plan; nothing was loaded.
    Planned,
    /// It cannot.
    Refused {
        /// What its own message would say.
        error: Error,
        /// A plan was there, and loading it failed.
        loading: bool,
    },
}

/// What one mode of a tool finds here.
#[derive(Debug)]
pub struct ToolReport {
    /// The tool.
    pub name: &'static str,
    /// The flag that asks for this mode.
    pub mode: Option<&'static str>,
    /// Whether it can start.
    pub verdict: Verdict,
    /// Its hooks in the order of the status record.
    pub hooks: Vec<HookReport>,
}

/// Everything.
#[derive(Debug)]
pub struct Report {
    /// Wall-clock time in ns since the epoch.
    pub ts: i64,
    /// What decides the plans.
    pub facts: Facts,
    /// What else may explain a failure.
    pub machine: Machine,
    /// `None` where /proc/kallsyms or BTF cannot be read.
    pub symbols: Option<Symbols>,
    /// What keeps every tool from starting. The plans are those of a user with the rights.
    pub obstacle: Option<Refusal>,
    /// Every mode of every tool.
    pub tools: Vec<ToolReport>,
}

impl Report {
    /// Plans every tool, and has `load` carry each plan out if it is given.
    pub fn new(
        (ts, facts, machine): (i64, Facts, Machine),
        symbols: Option<Symbols>,
        request: Request,
        mut load: Option<impl FnMut(&'static Spec, Option<&'static str>) -> Result<Plan>>,
    ) -> Self {
        let obstacle = Plan::decide(NAME, &[], &[], &facts, Request::default()).err();
        let able = Facts { capabilities: u64::MAX, init_userns: true, ..facts.clone() };
        let report = |(spec, mode): (&'static Spec, Option<&'static str>)| {
            let planned = spec.plan(&able, request);
            let mut hooks = match &planned {
                Ok(plan) => plan.choices.iter().map(HookReport::new).collect(),
                Err(Refusal::NoBtf) => Vec::new(),
                Err(_) => one_by_one(spec, &able, request),
            };
            let verdict = match (spec.plan(&facts, request).err(), planned, &mut load) {
                (Some(refusal), ..) | (None, Err(refusal), _) => {
                    Verdict::Refused { error: refusal.into(), loading: false }
                }
                (None, Ok(_), None) => Verdict::Planned,
                (None, Ok(_), Some(load)) => match load(spec, mode) {
                    Ok(plan) => {
                        hooks = plan.choices.iter().map(HookReport::new).collect();
                        Verdict::Loads
                    }
                    Err(error) => Verdict::Refused { error, loading: true },
                },
            };
            ToolReport { name: spec.name, mode, verdict, hooks }
        };
        let tools = TOOLS.into_iter().map(report).collect();
        Self { ts, facts, machine, symbols, obstacle, tools }
    }

    /// 0 if every tool can start, else the exit code of the first that cannot.
    pub fn exit_code(&self) -> u8 {
        self.tools.iter().map(ToolReport::exit_code).find(|&code| code != 0).unwrap_or_default()
    }
}

impl ToolReport {
    /// What it would end with, or 0 if it can start.
    pub fn exit_code(&self) -> u8 {
        match &self.verdict {
            Verdict::Loads | Verdict::Planned => 0,
            Verdict::Refused { error, .. } => {
                error.downcast_ref::<Refusal>().map_or(1, Refusal::exit_code)
            }
        }
    }

    /// The command.
    pub fn title(&self) -> String {
        self.mode.map_or(self.name.to_owned(), |mode| format!("{} {mode}", self.name))
    }
}

impl HookReport {
    fn new(choice: &Choice) -> Self {
        let served = choice.rung.as_ref().ok();
        let programs = served.map(|served| served.programs.as_slice()).unwrap_or_default();
        let mut places: Vec<_> = programs.iter().map(|program| program.target).collect();
        places.dedup();
        Self {
            name: choice.hook.name,
            required: choice.hook.required,
            rung: served.map(|served| served.kind),
            places,
            programs: programs.iter().map(|program| program.name).collect(),
            passed_over: choice.passed_over.clone(),
        }
    }
}

/// A tool without a plan still has hooks that could be served.
fn one_by_one(spec: &Spec, facts: &Facts, request: Request) -> Vec<HookReport> {
    let hooks = spec.hooks.iter().copied();
    hooks.map(|hook| HookReport::new(&choose(hook, facts, request.forced))).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::kernel::facts::Lockdown;

    type Load = fn(&'static Spec, Option<&'static str>) -> Result<Plan>;

    fn facts(name: &str) -> Facts {
        let path = format!("{}/tests/facts/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn report(facts: Facts, load: Option<Load>) -> Report {
        Report::new((0, facts, Machine::default()), None, Request::default(), load)
    }

    #[test]
    fn without_loading_it_is_a_plan_only() {
        let report = report(facts("debian-7.2"), None);
        assert_eq!(report.exit_code(), 0);
        assert!(report.tools.iter().all(|tool| matches!(tool.verdict, Verdict::Planned)));
        let titles: Vec<_> = report.tools.iter().map(ToolReport::title).collect();
        let all = [
            "tcpstates",
            "tcpstates --summary",
            "tcpcount",
            "tcplatency",
            "tcplatency --events",
            "listenoverflow",
            "listenoverflow --wait",
            "tcpdash",
        ];
        assert_eq!(titles, all);
    }

    /// What did load may be less than what was planned.
    #[test]
    fn hooks_are_those_of_what_was_loaded() {
        let load: Load = |spec, _| {
            let refused = [("recv_fexit_4".to_owned(), "R1 !read_ok".to_owned())].into();
            Ok(spec.plan(&Facts { refused, ..facts("debian-7.2") }, Request::default())?)
        };
        let report = report(facts("debian-7.2"), Some(load));
        assert!(report.tools.iter().all(|tool| matches!(tool.verdict, Verdict::Loads)));
        let recv = report.tools[2].hooks.iter().find(|hook| hook.name == "recv").unwrap();
        assert_eq!(recv.rung, Some(RungKind::Tracepoint));
        let (rung, reason) = &recv.passed_over[0];
        assert_eq!(*rung, RungKind::Fentry);
        assert!(reason.contains("recv_fexit_4") && reason.contains("R1 !read_ok"), "{reason}");
    }

    #[test]
    fn the_first_failure_is_the_exit_code() {
        let load: Load = |spec, _| match spec.name {
            "tcpcount" => {
                let (lockdown, detail) = (Lockdown::None, String::new());
                Err(Refusal::Forbidden { lockdown, detail }.into())
            }
            _ => Ok(spec.plan(&facts("debian-6.1"), Request::default())?),
        };
        assert_eq!(report(facts("debian-6.1"), Some(load)).exit_code(), 7);
        let load: Load = |_, _| Err(anyhow!("who knows"));
        assert_eq!(report(facts("debian-6.1"), Some(load)).exit_code(), 1);
    }

    #[test]
    fn whom_the_rights_lack_is_told_what_they_would_bring() {
        let never: Load = |_, _| unreachable!("nothing is loaded without the rights");
        let nobody = Facts { capabilities: 0, root: false, ..facts("debian-7.2") };
        let inside = Facts { init_userns: false, ..facts("debian-7.2") };
        for (facts, code) in [(nobody, 3), (inside, 6)] {
            let report = report(facts, Some(never));
            assert_eq!(report.exit_code(), code);
            assert_eq!(report.obstacle.as_ref().map(Refusal::exit_code), Some(code));
            assert!(report.tools.iter().all(|tool| tool.hooks[0].rung.is_some()));
        }
    }

    /// Names that were not looked up are not missing.
    #[test]
    fn without_btf_nothing_is_said_of_hooks() {
        let bare = Facts {
            btf: false,
            tracepoints: [].into(),
            functions: [].into(),
            ..facts("debian-7.2")
        };
        let report = report(bare, None);
        assert_eq!(report.exit_code(), 4);
        assert!(report.tools.iter().all(|tool| tool.hooks.is_empty()));
    }

    #[test]
    fn a_tool_that_cannot_start_shows_the_hooks_that_could_be_served() {
        let mut poor = facts("hardened-6.18");
        poor.tracepoints.remove("sock_send_length");
        let report = report(poor, None);
        assert_eq!(report.exit_code(), 5);
        let count = &report.tools[2];
        let served: Vec<_> = count.hooks.iter().map(|hook| hook.rung.is_some()).collect();
        assert_eq!(count.hooks[1].name, "send");
        assert_eq!(served, [true, false, true, true, true, true, true]);
    }
}
