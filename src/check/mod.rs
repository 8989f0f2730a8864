//! What works on this machine: the attach method of each hook, and the obstacles. The first thing
//! to ask for in a bug report.

mod args;
mod machine;
mod record;
mod symbols;
mod text;
mod tool;

use anyhow::{Error, Result};

use crate::kernel::attach::AttachMethod;
use crate::kernel::error::StartError;
use crate::kernel::facts::Facts;
use crate::kernel::plan::{Choice, Plan, PlanRequest, Served, choose};
use crate::registry::modes;
use crate::tool::{Mode, Spec, Tool};

pub use args::Args;
pub use machine::Machine;
pub use record::{FactsRecord, HookRecord, PassedOver, ToolRecord};
pub use symbols::{Symbols, similar};
pub use text::text;
pub use tool::TOOL;

/// This tool's name.
pub const NAME: &str = "tcpscope-check";

/// How one hook is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookReport {
    /// Its name.
    pub name: &'static str,
    /// Without it the tool does not start.
    pub required: bool,
    /// The attach method in use, if any.
    pub method: Option<AttachMethod>,
    /// What that attaches to.
    pub places: Vec<&'static str>,
    /// The BPF programs.
    pub programs: Vec<&'static str>,
    /// Better methods that are unavailable, with the reason; all methods if none works.
    pub passed_over: Vec<(AttachMethod, String)>,
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
    pub obstacle: Option<StartError>,
    /// Every mode of every tool.
    pub tools: Vec<ToolReport>,
}

impl Report {
    /// Plans every tool, and has `load` carry each plan out if it is given.
    pub fn new(
        (ts, facts, machine): (i64, Facts, Machine),
        symbols: Option<Symbols>,
        request: PlanRequest,
        mut load: Option<impl FnMut(&'static Tool, &'static Mode) -> Result<Plan>>,
    ) -> Self {
        let obstacle = Plan::decide(NAME, &[], &[], &facts, PlanRequest::default()).err();
        let able = Facts { capabilities: u64::MAX, init_userns: true, ..facts.clone() };
        let report = |(tool, mode): (&'static Tool, &'static Mode)| {
            let spec = mode.spec;
            let planned = spec.plan(&able, request);
            let mut hooks = match &planned {
                Ok(plan) => plan.choices.iter().map(HookReport::new).collect(),
                Err(StartError::NoBtf) => Vec::new(),
                Err(_) => one_by_one(spec, &able, request),
            };
            let verdict = match (spec.plan(&facts, request).err(), planned, &mut load) {
                (Some(refusal), ..) | (None, Err(refusal), _) => {
                    Verdict::Refused { error: refusal.into(), loading: false }
                }
                (None, Ok(_), None) => Verdict::Planned,
                (None, Ok(_), Some(load)) => match load(tool, mode) {
                    Ok(plan) => {
                        hooks = plan.choices.iter().map(HookReport::new).collect();
                        Verdict::Loads
                    }
                    Err(error) => Verdict::Refused { error, loading: true },
                },
            };
            ToolReport { name: tool.name, mode: mode.flag, verdict, hooks }
        };
        let tools = modes().map(report).collect();
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
                error.downcast_ref::<StartError>().map_or(1, StartError::exit_code)
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
        let served = choice.method.as_ref().ok();
        let programs = served.map(|served| served.programs.as_slice()).unwrap_or_default();
        Self {
            name: choice.hook.name,
            required: choice.hook.required,
            method: served.map(|served| served.kind),
            places: served.map(Served::places).unwrap_or_default(),
            programs: programs.iter().map(|program| program.name).collect(),
            passed_over: choice.passed_over.clone(),
        }
    }
}

/// A tool without a plan still has hooks that could be served.
fn one_by_one(spec: &Spec, facts: &Facts, request: PlanRequest) -> Vec<HookReport> {
    let hooks = spec.hooks.iter().copied();
    hooks.map(|hook| HookReport::new(&choose(hook, facts, request.forced))).collect()
}

#[cfg(test)]
mod tests;
