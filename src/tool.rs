//! What every tool does around its own work: start, report on itself, end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::cli::{Common, MeasureArgs, Track};
use crate::hooks::Spec;
use crate::kernel::facts::Facts;
use crate::kernel::plan::RungKind;
use crate::kernel::refusal::Refusal;
use crate::kernel::session::{Session, Setup};
use crate::report::{Printer, SinkError, Status, Stop};
use crate::run::{Waiter, own_cpu_ns, wall_now};
use crate::wire::Stats;

/// How often counters are looked at for losses; a loss shows within a second.
const WATCH: Duration = Duration::from_millis(500);
/// The sweep for owners of accepted sockets takes at most this part of a CPU.
const SWEEP_SHARE: u32 = 100;
/// And comes at most so often.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
/// In the end, programs that were running when their hooks were taken away may still count.
const SETTLE: Duration = Duration::from_millis(100);

/// Exit code: something was lost, and `--strict` was given.
const EXIT_LOSS: u8 = 9;
/// Exit code: the output cannot be written.
const EXIT_OUTPUT: u8 = 10;

/// What the kernel has of the things that some rung of a tool attaches to.
fn facts(spec: &Spec) -> Result<Facts> {
    Facts::read(&spec.targets(RungKind::Tracepoint), &spec.targets(RungKind::Iterator))
}

/// Loads and attaches. What is known of sockets is kept as `--track` says, or where it leaves the
/// choice, in a hash map only on kernels that refuse socket storage.
fn load(spec: &Spec, facts: &Facts, measure: &MeasureArgs, mut setup: Setup) -> Result<Session> {
    let choices: &[bool] = match measure.track {
        Track::Auto => &[false, true],
        Track::Storage => &[false],
        Track::Hash => &[true],
    };
    let mut first_refusal = None;
    for &use_hash in choices {
        setup.options.use_hash = u32::from(use_hash);
        setup.map_sizes.push(("tracked_hash", if use_hash { measure.track_max } else { 1 }));
        let plan = spec.plan(facts, measure.probe.rung(), use_hash)?;
        match Session::start(plan, facts, &setup) {
            Ok(session) => return Ok(session),
            Err(error) => _ = first_refusal.get_or_insert(error),
        }
        setup.map_sizes.pop();
    }
    // What the preferred way ran into says more than the last resort.
    Err(first_refusal.unwrap_or_else(|| anyhow!("nothing to load")))
}

/// A tool that has started: its programs are attached.
pub struct Running {
    /// The programs.
    pub session: Session,
    /// The output.
    pub printer: Printer,
    /// Time, signals, ring buffer, reader.
    pub waiter: Waiter,
    /// Events that reached user space; the tool's own work counts them.
    pub delivered: u64,
    spec: &'static Spec,
    facts: Facts,
    eventful: bool,
    started: Instant,
    duration: Option<Duration>,
    strict: bool,
    next_watch: Instant,
    incomplete: u64,
    next_sweep: Instant,
}

impl Running {
    /// Loads and attaches, learns who owns the sockets there are, and says so in a status.
    ///
    /// # Errors
    /// A [`Refusal`] where the user can do something about it.
    pub fn start(
        spec: &'static Spec,
        common: &Common,
        setup: Setup,
        interval: Duration,
    ) -> Result<Self> {
        let facts = facts(spec)?;
        let stop = Stop::on_signals().context("cannot watch for signals")?;
        let waiter = Waiter::new(&stop).context("cannot wait for events")?;
        let printer =
            common.output.printer(interval, &stop).context("cannot use the standard output")?;
        waiter.watch_output(rustix::stdio::stdout());
        let eventful = setup.options.quiet == 0;
        let session = load(spec, &facts, &common.measure, setup)?;
        let now = Instant::now();
        let mut running = Self {
            session,
            printer,
            waiter,
            delivered: 0,
            spec,
            facts,
            eventful,
            started: now,
            duration: common.output.duration,
            strict: common.output.strict,
            next_watch: now + WATCH,
            incomplete: 0,
            next_sweep: now,
        };
        running.learn_owners()?;
        if common.output.verbose {
            running.explain()?;
        }
        let status = running.status(false)?;
        running.printer.status(&status)?;
        Ok(running)
    }

    /// Says which program serves which hook.
    fn explain(&mut self) -> Result<()> {
        for choice in &self.session.plan().choices {
            let how = match &choice.rung {
                Ok(rung) => format!("{} {} ({})", rung.kind, rung.target, rung.program),
                Err(reason) => format!("off: {reason}"),
            };
            self.printer.note(&format!("{}: {}: {how}", self.spec.name, choice.hook.name))?;
        }
        Ok(())
    }

    /// When `--duration` is over; `None` without it.
    pub fn ends_at(&self) -> Option<Instant> {
        self.duration.map(|duration| self.started + duration)
    }

    /// Whether `--duration` is over.
    pub fn is_over(&self) -> bool {
        self.ends_at().is_some_and(|end| Instant::now() >= end)
    }

    /// The earlier of a moment and the end of `--duration`.
    pub fn until(&self, moment: Instant) -> Instant {
        self.ends_at().map_or(moment, |end| end.min(moment))
    }

    /// What a tool does between its work: tell of losses, and find owners of sockets that were
    /// accepted but not used yet. Cheap to call often.
    ///
    /// # Errors
    /// Counters cannot be read or the output not written.
    pub fn keep_watch(&mut self) -> Result<()> {
        let now = Instant::now();
        if now < self.next_watch {
            return Ok(());
        }
        self.next_watch = now + WATCH;
        let status = self.status(false)?;
        if status.incomplete() > self.incomplete {
            self.incomplete = status.incomplete();
            self.printer.status(&status)?;
        }
        let Stats { children, settled, .. } = self.session.stats()?;
        if now >= self.next_sweep && children > settled {
            self.learn_owners()?;
        }
        Ok(())
    }

    /// Asks the tables of open files who owns which socket. It takes time with many processes,
    /// so the next time comes the later the longer it took.
    fn learn_owners(&mut self) -> Result<()> {
        if !self.session.plan().serves("owners") {
            return Ok(());
        }
        let before = Instant::now();
        self.session.iterate("learn_owners", 1, |_| ()).context("cannot learn owners")?;
        let pause = (before.elapsed() * SWEEP_SHARE).max(SWEEP_PAUSE);
        self.next_sweep = Instant::now() + pause;
        Ok(())
    }

    /// How the tool is doing.
    ///
    /// # Errors
    /// Counters cannot be read.
    pub fn status(&self, last: bool) -> Result<Status> {
        // Read after `delivered`, so that nothing is delivered that was not attempted.
        let Stats { attempted, lost, filtered, untracked, .. } = self.session.stats()?;
        let probes = self.session.plan().choices.iter().map(|choice| {
            (choice.hook.name, choice.rung.as_ref().map_or("-", |rung| rung.kind.name()))
        });
        Ok(Status {
            ts: wall_now(),
            tool: self.spec.name,
            kernel: self.facts.release.clone(),
            probes: probes.collect(),
            attempted,
            delivered: self.delivered,
            lost,
            filtered,
            pending: attempted.saturating_sub(self.delivered + lost + filtered),
            untracked: Some(untracked),
            missed: self.session.missed(),
            cpu_ns: Some(own_cpu_ns()),
            last,
            eventful: self.eventful,
        })
    }

    /// Takes the programs off their hooks, lets `drain` take what is left, and ends with the
    /// final status.
    ///
    /// # Errors
    /// As of `drain`, or the output cannot be written.
    pub fn finish(mut self, mut drain: impl FnMut(&mut Self) -> Result<()>) -> Result<ExitCode> {
        let missed = self.session.missed();
        self.session.detach();
        let deadline = Instant::now() + SETTLE;
        let mut status = loop {
            drain(&mut self)?;
            let status = self.status(true)?;
            if status.pending == 0 || Instant::now() >= deadline {
                break status;
            }
        };
        status.missed = missed.max(status.missed);
        self.printer.status(&status)?;
        self.printer.flush()?;
        let complete = status.incomplete() == 0 && self.printer.dropped() == 0;
        Ok(if self.strict && !complete { ExitCode::from(EXIT_LOSS) } else { ExitCode::SUCCESS })
    }
}

/// Turns the outcome of a tool into its exit code, and into one message where it failed.
pub fn conclude(name: &str, outcome: Result<ExitCode>) -> ExitCode {
    let error = match outcome {
        Ok(code) => return code,
        Err(error) => error,
    };
    match error.downcast_ref::<SinkError>() {
        // The reader has had enough (`| head`): that is no failure.
        Some(SinkError::Closed) => return ExitCode::SUCCESS,
        Some(SinkError::Write(_)) => {
            eprintln!("{name}: {error}");
            return ExitCode::from(EXIT_OUTPUT);
        }
        None => {}
    }
    eprintln!("{name}: {error:#}");
    ExitCode::from(error.downcast_ref::<Refusal>().map_or(1, Refusal::exit_code))
}
