//! tcpscope-check: what this machine offers the tools, for bug reports.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use libbpf_rs::num_possible_cpus;
use tcpscope::check::Args;
use tcpscope::check::{
    FactsRow, HookRow, Machine, NAME, Report, Symbols, ToolRow, similar, wanted,
};
use tcpscope::clock::wall_now;
use tcpscope::dash::live;
use tcpscope::filter::Filter;
use tcpscope::hooks::{LISTENOVERFLOW, Spec, TCPCOUNT, TCPDASH, TCPLATENCY};
use tcpscope::kernel::facts::Facts;
use tcpscope::kernel::session::Setup;
use tcpscope::latency::{entries_for, max_rows};
use tcpscope::report::{Ctx, Format, Printer, Sink, Stop};
use tcpscope::tool::conclude;
use tcpscope::tool::load::trial;
use tcpscope::wire::Options;
use tcpscope::{count, latency, listen, states};

const TCPSTATES_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpstates.bpf.o"));
const TCPLATENCY_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcplatency.bpf.o"));
const LISTENOVERFLOW_OBJECT: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/listenoverflow.bpf.o"));
const TCPDASH_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpdash.bpf.o"));
const TCPCOUNT_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpcount.bpf.o"));

fn main() -> ExitCode {
    conclude(NAME, check(&Args::parse()))
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
    let load = |spec: &'static Spec, mode: Option<&'static str>| {
        let setup = setup(spec, mode, args.verbose)?;
        trial(spec, &mut facts.clone(), &args.measure, setup)
    };
    let load = (!args.plan_only).then_some(load);
    let report = Report::new(found, symbols, args.measure.request(), load);

    printer.text(&report.text())?;
    if args.json {
        json(&report, &mut printer)?;
    }
    Ok(ExitCode::from(report.exit_code()))
}

/// Symbols of the functions that BTF lacks, as far as the kernel tells.
fn symbols(facts: &Facts) -> Option<Symbols> {
    let mut missing = wanted().functions;
    missing.retain(|name| !facts.functions.contains_key(*name));
    let kallsyms = File::open("/proc/kallsyms").ok().filter(|_| facts.btf)?;
    similar(&missing, BufReader::with_capacity(64 << 10, kallsyms)).ok()
}

/// What a tool would load if it were called without other flags. With `--json` its programs do
/// all they can.
fn setup(spec: &Spec, mode: Option<&str>, verbose: bool) -> Result<Setup> {
    let filter = Filter::default();
    if spec.name == TCPDASH.name {
        let setup = live::setup(TCPDASH_OBJECT, &filter, None)?;
        return Ok(Setup { verbose, ..setup });
    }
    let command = [spec.name, "--json"].into_iter().chain(mode);
    let (object, options, map_sizes) = if spec.name == TCPCOUNT.name {
        let args = count::Args::try_parse_from(command)?;
        let cpus = num_possible_cpus().context("cannot count the CPUs")?;
        let mut options = Options::default();
        options.nr_cpus = u32::try_from(cpus)?;
        args.by.configure(&mut options);
        (TCPCOUNT_OBJECT, options, vec![("counts", count::max_keys(args.by, cpus))])
    } else if spec.name == TCPLATENCY.name {
        let args = latency::Args::try_parse_from(command)?;
        let cpus = num_possible_cpus().context("cannot count the CPUs")?;
        let rows = max_rows(args.by, cpus);
        let mut options = args.options(&filter, rows);
        options.nr_cpus = u32::try_from(cpus)?;
        let maps = ["latencies_even", "latencies_odd"].map(|map| (map, entries_for(rows)));
        (TCPLATENCY_OBJECT, options, [&maps[..], &[("events", args.buffer)]].concat())
    } else if spec.name == LISTENOVERFLOW.name {
        let args = listen::Args::try_parse_from(command)?;
        (LISTENOVERFLOW_OBJECT, args.options(), args.map_sizes())
    } else {
        let args = states::Args::try_parse_from(command)?;
        (TCPSTATES_OBJECT, args.options(&filter), vec![("events", args.buffer)])
    };
    Ok(Setup { object, filter: filter.to_wire(), options, map_sizes, verbose })
}

fn json(report: &Report, printer: &mut Printer) -> Result<()> {
    printer.row(&FactsRow::new(report))?;
    for tool in &report.tools {
        for hook in &tool.hooks {
            printer.row(&HookRow::new(report.ts, tool, hook))?;
        }
        printer.row(&ToolRow::new(report.ts, tool))?;
    }
    Ok(printer.flush()?)
}
