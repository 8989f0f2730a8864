//! tcpdoctor: watches for a while, then says what is wrong.

mod report;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::Args;
use crate::cli::usage_error;
use crate::clock::wall_now;
use crate::dash::Event;
use crate::dash::live::{Everything, OBJECT, Sampler, TCPDASH, watch};
use crate::dash::replay::open;
use crate::findings::{Answer, Finding, Severity, Watch, explain, findings, page};
use crate::kernel::netns_names::NetnsNames;
use crate::listen::listeners_now;
use crate::model::Model;
use crate::nstat::Mib;
use crate::record::AnyRecord;
use crate::report::{Ctx, Format, Printer, Record, Sink, Stop, Term};
use crate::settings::SettingsReader;
use crate::tool::{Measurement, Mode, Running, Spec, Task, Tool};
use crate::wait::Waiter;
use report::Report;

/// The tool's name.
const NAME: &str = "tcpdoctor";
/// Exit code: there are findings, and `--exit-code` was given.
const EXIT_FINDINGS: u8 = 13;
/// Time that may pass at once in a recording that only comes to its end.
const A_LOT: Duration = Duration::from_secs(1 << 20);

/// What the dashboard watches.
pub static TCPDOCTOR: Spec = Spec { name: NAME, ..TCPDASH };

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[Mode { flag: None, spec: &TCPDOCTOR }],
    kinds: &[Finding::KIND, Mib::KIND],
    task,
};

/// Reading all sockets takes 1 % of a CPU, or more where a look takes over 0.4 s: see `LONGEST_REST`.
const RESTS: u32 = 100;

/// The tool with its command line.
struct Asked {
    args: Args,
    answer: Option<Answer>,
    everything: Everything,
}

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let mut args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let answer = args.explain.as_deref().map(explain).transpose().map_err(|near| {
        let text =
            format!("--explain: no rule and no error is called that; nearest: {}", near.join(", "));
        usage_error::<Args>(text)
    })?;
    let everything = Everything {
        spec: &TCPDOCTOR,
        light: false,
        filter: args.common.filters.filter().map_err(usage_error::<Args>)?,
        max_keys: None,
        rests: RESTS,
        verbose: args.common.output.verbose,
    };
    args.common.output.duration = args.duration();
    Ok(Box::new(Asked { args, answer, everything }))
}

impl Task for Asked {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(&self.everything)
    }

    fn run(&self) -> Result<ExitCode> {
        let width = Term::of(rustix::stdio::stdout()).width.unwrap_or(report::WIDTH);
        if let Some(answer) = &self.answer {
            let mut printer = self.printer()?;
            printer.text(&page::answer(answer, width))?;
            printer.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        let report = Report::new(&self.args, width);
        if self.args.replay.is_some() { self.replay(report) } else { self.live(report) }
    }
}

/// What is known, and what has been found.
#[derive(Default)]
struct Patient {
    model: Model,
    watch: Watch,
    /// The last judgement, wall-clock ns.
    judged: i64,
    /// Names of namespaces, of a live session.
    names: Option<NetnsNames>,
}

impl Patient {
    /// Takes in what came at one time.
    fn take(
        &mut self,
        records: Vec<AnyRecord>,
        report: &mut Report,
        to: &mut Printer,
    ) -> Result<()> {
        for record in records {
            // A recording may hold hours: each interval is judged when the next begins.
            if record.ts() >= self.judged.saturating_add(report::SECOND) {
                self.judge(report, to)?;
                self.judged = record.ts();
            }
            report.counted(&record);
            self.model.take(record);
        }
        Ok(())
    }

    /// What needs no program and no interval: settings, tables, queues as they are.
    fn first_look(
        &mut self,
        only: Option<u32>,
        queues: bool,
        report: &mut Report,
        to: &mut Printer,
    ) -> Result<()> {
        let ts = wall_now();
        for row in SettingsReader::default().read(ts, only)? {
            self.model.take(row.into());
        }
        let listeners = if queues { listeners_now(ts, only)? } else { Vec::new() };
        for row in listeners {
            self.model.take(row.into());
        }
        self.judge(report, to)
    }

    fn judge(&mut self, report: &mut Report, to: &mut Printer) -> Result<()> {
        self.model.settle();
        if self.model.records == 0 {
            return Ok(());
        }
        let mut found = findings(&self.model);
        if let Some(names) = &mut self.names {
            for one in &mut found.found {
                one.netns_name = one.netns.and_then(|netns| names.name(netns));
            }
        }
        let changes = self.watch.take(self.model.now, found.found.clone());
        report.judged(found, &changes, to)
    }
}

impl Asked {
    fn printer(&self) -> Result<Printer> {
        let stop = Stop::on_signals().context("cannot watch for signals")?;
        let (out, err) = (Sink::stdout(stop.clone())?, Sink::stderr(stop)?);
        let output = &self.args.common.output;
        let format = if output.json { Format::Json } else { Format::Table };
        Ok(Printer::new(out, err, format, Ctx::new(0, output.utc)))
    }

    fn replay(&self, mut report: Report) -> Result<ExitCode> {
        let mut printer = self.printer()?;
        let (mut player, source) = open(self.args.replay.as_deref())?;
        report.source = Some(source);
        let mut patient = Patient::default();
        while !player.progress().ended {
            for event in player.advance(A_LOT).context("cannot read the recording")? {
                match event {
                    Event::Records(records) => patient.take(records, &mut report, &mut printer)?,
                    // Another recording follows in the same file: what is known is of the first.
                    Event::Rewind => patient.model = Model::default(),
                    _ => {}
                }
            }
        }
        report.damaged = player.progress().damaged;
        patient.judge(&mut report, &mut printer)?;
        report.end(&patient.watch, &mut printer)?;
        printer.flush()?;
        Ok(self.exit_code(&patient.watch, ExitCode::SUCCESS))
    }

    fn live(&self, mut report: Report) -> Result<ExitCode> {
        // --verbose is about what was judged, not about how it was measured.
        let mut common = self.args.common.clone();
        common.output.verbose = false;
        let everything = Everything { verbose: false, ..self.everything.clone() };
        let stop = Stop::on_signals().context("cannot watch for signals")?;
        let waiter = Waiter::new(&stop).context("cannot wait for events")?;
        let printer = common.output.printer(self.args.interval, &stop);
        let mut printer = printer.context("cannot use standard output")?;
        waiter.watch_output(rustix::stdio::stdout());
        let mut patient = Patient { names: Some(NetnsNames::default()), ..Patient::default() };
        let filter = &everything.filter;
        let only = filter.netns.as_ref().map(|netns| netns.inode);
        patient.first_look(only, !filter.chooses_sockets(), &mut report, &mut printer)?;
        let (mut running, mut sampler) =
            Running::start_on((printer, waiter), &everything, &common, |session| {
                Sampler::new(session, &everything)
            })?;
        let mut look = |running: &mut Running, sampler: &mut Sampler| -> Result<()> {
            for record in sampler.sample(running)? {
                report.counted(&record);
                patient.model.take(record);
            }
            patient.judge(&mut report, &mut running.printer)
        };
        // Sockets need no interval.
        let work = look(&mut running, &mut sampler)
            .and_then(|()| watch(&mut running, &mut sampler, self.args.interval, look));
        let ended = work.and_then(|()| report.end(&patient.watch, &mut running.printer));
        let code = running.finish(ended, |running| sampler.glance(running))?;
        Ok(self.exit_code(&patient.watch, code))
    }

    /// What is lost counts more than what is found.
    fn exit_code(&self, watch: &Watch, code: ExitCode) -> ExitCode {
        let grave = watch.all().iter().any(|finding| finding.weight() < Severity::Remark);
        if self.args.exit_code && grave && code == ExitCode::SUCCESS {
            return ExitCode::from(EXIT_FINDINGS);
        }
        code
    }
}
