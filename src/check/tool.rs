//! tcpscope-check: what works on this machine, for bug reports.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::{
    Args, FactsRecord, HookRecord, Machine, NAME, Report, Symbols, ToolRecord, similar, text,
};
use crate::clock::wall_now;
use crate::kernel::facts::Facts;
use crate::kernel::plan::Plan;
use crate::kernel::session::Session;
use crate::registry::wanted;
use crate::report::{Ctx, Format, Printer, Record, Sink, Stop};
use crate::tool::load::load;
use crate::tool::{Mode, Task, Tool, task_of};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: &[],
    command: Args::command,
    modes: &[],
    kinds: &[FactsRecord::KIND, HookRecord::KIND, ToolRecord::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    Ok(Box::new(Args::from_arg_matches(matches)?))
}

impl Task for Args {
    fn run(&self) -> Result<ExitCode> {
        check(self)
    }
}

fn check(args: &Args) -> Result<ExitCode> {
    let stop = Stop::on_signals().context("cannot watch for signals")?;
    let (out, err) = (Sink::stdout(stop.clone()), Sink::stderr(stop));
    let out = out.context("cannot use the standard output")?;
    let err = err.context("cannot use the standard error output")?;
    let format = if args.json { Format::Json } else { Format::Table };
    let mut printer = Printer::new(out, err, format, Ctx::new(0, true));

    // Before anything is loaded: libbpf raises a limit for that.
    let machine = Machine::read();
    let facts = Facts::read(&wanted())?;
    let symbols = symbols(&facts);
    let found = (wall_now(), facts.clone(), machine);
    let load = |tool: &Tool, mode: &Mode| trial(tool, mode, &mut facts.clone(), args);
    let load = (!args.plan_only).then_some(load);
    let report = Report::new(found, symbols, args.measure.request(), load);

    printer.text(&text(&report))?;
    if args.json {
        json(&report, &mut printer)?;
    }
    Ok(ExitCode::from(report.exit_code()))
}

/// Plans, loads and attaches what a mode of a tool would, for some rights and limits show nowhere
/// else, and releases everything.
fn trial(tool: &Tool, mode: &Mode, facts: &mut Facts, args: &Args) -> Result<Plan> {
    let verbose = args.verbose.then_some("--verbose");
    let task = as_asked(tool, mode, verbose)?;
    let measurement = task.measurement().context("it loads nothing")?;
    load(measurement, facts, &args.measure).map(Session::into_plan)
}

/// A mode of a tool without other flags. With `--json` its programs do all they can.
fn as_asked(tool: &Tool, mode: &Mode, extra: Option<&str>) -> Result<Box<dyn Task>, clap::Error> {
    task_of(tool, ["--json"].into_iter().chain(mode.flag).chain(extra))
}

/// Symbols of the functions that BTF lacks, if readable.
fn symbols(facts: &Facts) -> Option<Symbols> {
    let mut missing = wanted().functions;
    missing.retain(|name| !facts.functions.contains_key(*name));
    let kallsyms = File::open("/proc/kallsyms").ok().filter(|_| facts.btf)?;
    similar(&missing, BufReader::with_capacity(64 << 10, kallsyms)).ok()
}

fn json(report: &Report, printer: &mut Printer) -> Result<()> {
    printer.record(&FactsRecord::new(report), "")?;
    for tool in &report.tools {
        for hook in &tool.hooks {
            printer.record(&HookRecord::new(report.ts, tool, hook), "")?;
        }
        printer.record(&ToolRecord::new(report.ts, tool), "")?;
    }
    Ok(printer.flush()?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::kernel::session::Setup;
    use crate::registry::modes;
    use crate::states::settle::CLOSERS;
    use crate::tool::load::setup;

    fn facts() -> Facts {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/facts/debian-7.2.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// What `task` is loaded with.
    fn setup_of(task: &dyn Task) -> Setup {
        let facts = facts();
        let measure = Args::try_parse_from([NAME]).unwrap().measure;
        let measurement = task.measurement().unwrap();
        let plan = measurement.spec().plan(&facts, measure.request()).unwrap();
        setup(measurement, &plan, &facts, &measure).unwrap()
    }

    fn size(setup: &Setup, map: &str) -> u32 {
        setup.map_sizes.iter().find(|(sized, _)| sized.name() == map).unwrap().1
    }

    #[test]
    fn maps_have_the_sizes_that_the_mode_gives_them() {
        let trial = |name: &str, flag: Option<&str>| {
            let found = modes().find(|(tool, mode)| tool.name == name && mode.flag == flag);
            let (tool, mode) = found.unwrap();
            setup_of(&*as_asked(tool, mode, None).unwrap())
        };
        let summary = trial("tcpstates", Some("--summary"));
        assert_eq!((size(&summary, "closers"), size(&summary, "events")), (CLOSERS, 4096));
        let states = trial("tcpstates", None);
        assert_eq!((size(&states, "closers"), size(&states, "events")), (1, 2 << 20));
        let events = trial("tcplatency", Some("--events"));
        let sizes = ["latencies_even", "latencies_odd", "events"].map(|map| size(&events, map));
        assert_eq!(sizes, [1, 1, 2 << 20]);
        let sums = trial("tcplatency", None);
        assert!(size(&sums, "latencies_even") > 1);
        assert_eq!(size(&sums, "events"), 4096);
    }

    /// A mode whose flag were wrong would be checked as another.
    #[test]
    fn every_mode_loads_its_own_hooks_from_the_object_of_its_tool() {
        for (tool, mode) in modes() {
            let task = as_asked(tool, mode, None).unwrap();
            assert!(std::ptr::eq(task.measurement().unwrap().spec(), mode.spec), "{mode:?}");
            assert_eq!(mode.spec.name, tool.name);
            assert_eq!(setup_of(&*task).object, tool.object);
        }
    }
}
