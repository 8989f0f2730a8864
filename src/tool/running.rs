//! A tool that has started: it waits, reports on itself, and ends.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::follow::Follower;
use super::load::load;
use super::outcome::of_run;
use super::owners::OwnerSearch;
use super::reader::Reader;
use super::{Measurement, Spec};
use crate::cli::Common;
use crate::clock::{own_cpu_ns, wall_now};
use crate::filter::CgroupTree;
use crate::hooks::{DROP, maps};
use crate::kernel::calls::Calls;
use crate::kernel::facts::Facts;
use crate::kernel::pid_namespace;
use crate::kernel::session::Session;
use crate::listen::Holders;
use crate::report::{Attached, Printer, SinkError, Status, Stop, Ts};
use crate::wait::{Waiter, Wake};
use crate::wire::Stats;

/// How often counters are checked for losses; a loss shows within a second, or with the interval.
const WATCH: Duration = Duration::from_millis(750);
/// A check that is due so soon after the end of an interval is done there: to wake costs more.
const SOON: Duration = Duration::from_millis(250);
/// Between intervals a search for owners stops after this time and goes on later: signals must not wait.
const SEARCH_AT_ONCE: Duration = Duration::from_millis(5);
/// In the end, programs that were running when their hooks were taken away may still count.
const SETTLE: Duration = Duration::from_millis(100);

/// Puts what the tool itself has counted into a status.
type Amend = dyn Fn(&mut Status);

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
    /// Records that were read, where not each is delivered, or only later.
    pub read: u64,
    spec: &'static Spec,
    facts: Facts,
    eventful: bool,
    amend: Box<Amend>,
    started: Instant,
    duration: Option<Duration>,
    strict: bool,
    next_watch: Instant,
    incomplete: u64,
    reader: Reader,
    owners: OwnerSearch,
    follower: Option<Follower>,
    remarks: Vec<String>,
    calls: Option<Calls>,
    unreturned: u64,
}

impl Running {
    /// Loads and attaches, finds the owners of existing sockets, and prints a status.
    ///
    /// # Errors
    /// A [`StartError`](crate::kernel::error::StartError) where the user can do something about it.
    pub fn start(
        measurement: &dyn Measurement,
        common: &Common,
        interval: Duration,
    ) -> Result<Self> {
        Self::start_with(measurement, common, interval, |_| Ok(())).map(|(running, ())| running)
    }

    /// The same; once the programs are attached, `inspect` reads the existing sockets. The
    /// first status says that all this is done.
    ///
    /// # Errors
    /// Those of [`Running::start`] and of `inspect`.
    pub fn start_with<T>(
        measurement: &dyn Measurement,
        common: &Common,
        interval: Duration,
        inspect: impl FnOnce(&Session) -> Result<T>,
    ) -> Result<(Self, T)> {
        let stop = Stop::on_signals().context("cannot watch for signals")?;
        let waiter = Waiter::new(&stop).context("cannot wait for events")?;
        let printer =
            common.output.printer(interval, &stop).context("cannot use standard output")?;
        waiter.watch_output(rustix::stdio::stdout());
        Self::start_on((printer, waiter), measurement, common, inspect)
    }

    /// The same with another output than standard output, and another end than by
    /// signals.
    ///
    /// # Errors
    /// Those of [`Running::start_with`].
    pub fn start_on<T>(
        (printer, waiter): (Printer, Waiter),
        measurement: &dyn Measurement,
        common: &Common,
        inspect: impl FnOnce(&Session) -> Result<T>,
    ) -> Result<(Self, T)> {
        let spec = measurement.spec();
        let mut facts = Facts::read(&spec.wanted())?;
        let session = load(measurement, &mut facts, &common.measure)?;
        // Not every tool has programs that come in pairs.
        let calls = session.plan().pairs_calls().then(|| session.map(maps::CALLS).ok());
        let now = Instant::now();
        let mut running = Self {
            reader: Reader::of(&session),
            calls: calls.flatten().map(Calls::new),
            unreturned: 0,
            session,
            printer,
            waiter,
            delivered: 0,
            read: 0,
            spec,
            facts,
            eventful: measurement.shows_events(),
            amend: Box::new(|_| ()),
            started: now,
            duration: common.output.duration,
            strict: common.output.strict,
            next_watch: now + WATCH,
            incomplete: 0,
            owners: OwnerSearch::new(),
            follower: None,
            remarks: Vec::new(),
        };
        let filter = common.filters.filter().map_err(anyhow::Error::msg)?;
        running.follower = Follower::begin(&running.session, &filter)?;
        running.owners.advance(&running.session, None)?;
        let found = inspect(&running.session)?;
        if let Some(inode) = pid_namespace() {
            let text = "PIDs are those of this PID namespace; processes outside of it have none";
            running.printer.note(&format!("{}: {text} ({inode})", spec.name))?;
        }
        if common.output.verbose {
            running.explain()?;
        }
        let status = running.status(false)?;
        running.printer.status(&status)?;
        Ok((running, found))
    }

    /// The tool's name.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// From now on, `amend` puts into each status what the tool itself has counted; it takes the place
    /// of an earlier one. It runs before `pending` is worked out.
    pub fn amend_status(&mut self, amend: impl Fn(&mut Status) + 'static) {
        self.amend = Box::new(amend);
    }

    /// The network namespace that `--netns` names at present: `None` without the flag,
    /// `Some(None)` while it is gone.
    #[allow(clippy::option_option, reason = "asked for, and there")]
    pub fn netns(&self) -> Option<Option<u32>> {
        let asked = self.follower.as_ref().filter(|follower| follower.by_netns());
        asked.map(Follower::netns)
    }

    /// Says where cgroups have no names, or are those of a controller.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn note_cgroups(&mut self) -> Result<()> {
        if let Some(remark) = CgroupTree::remark(CgroupTree::find().as_ref()) {
            self.printer.note(&format!("{}: {remark}", self.spec.name))?;
        }
        Ok(())
    }

    /// What was said of the filters since the last time.
    pub fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Says which program serves which hook.
    fn explain(&mut self) -> Result<()> {
        for choice in &self.session.plan().choices {
            let how = match &choice.method {
                Ok(served) => format!("{} {}", served.kind, served.places().join(", ")),
                Err(reason) => format!("off: {reason}"),
            };
            let (tool, hook) = (self.spec.name, choice.hook.name);
            self.printer.note(&format!("{tool}: {hook}: {how}"))?;
            for (kind, reason) in choice.passed_over.iter().filter(|_| choice.method.is_ok()) {
                self.printer.note(&format!("{tool}: {hook}: not {kind}: {reason}"))?;
            }
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

    /// Waits until `moment`, or the end of `--duration` if that is earlier, keeping watch.
    ///
    /// # Errors
    /// Those of [`Running::keep_watch`], or waiting fails.
    pub fn rest(&mut self, moment: Instant) -> Result<Wake> {
        let end = self.ends_at().map_or(moment, |end| end.min(moment));
        loop {
            // At the start of an interval a search delays nothing; what is left of it waits for the next.
            self.search_owners(end)?;
            let searches = self.owners.is_under_way();
            let next = if searches {
                Instant::now()
            } else if self.next_watch + SOON < end {
                self.next_watch
            } else {
                end
            };
            let wake = self.waiter.wait(next)?;
            self.watch()?;
            if wake != Wake::Work || Instant::now() >= end {
                return Ok(wake);
            }
        }
    }

    /// Waits until the ring buffer has to be read, at most for `most`: many times a second while records
    /// come, else until one does.
    ///
    /// # Errors
    /// Those of [`Running::rest`].
    pub fn rest_for_records(&mut self, most: Duration) -> Result<Wake> {
        if let Some(pause) = self.reader.pause(self.delivered + self.read) {
            return self.rest_for_events(pause.min(most));
        }
        let moment = self.moment(most).min(self.next_watch);
        let wake = self.reader.sleep(&self.waiter, moment)?;
        self.keep_watch()?;
        Ok(wake)
    }

    /// Waits until the ring buffer has to be read, at most for `time`.
    ///
    /// # Errors
    /// Those of [`Running::rest`].
    pub fn rest_for_events(&mut self, time: Duration) -> Result<Wake> {
        let wake = self.reader.poll(&self.waiter, self.moment(time))?;
        self.keep_watch()?;
        Ok(wake)
    }

    /// When so much time will have passed, or `--duration` is over.
    fn moment(&self, time: Duration) -> Instant {
        let now = Instant::now();
        let moment = now.checked_add(time).unwrap_or(now + WATCH);
        self.ends_at().map_or(moment, |end| end.min(moment))
    }

    /// Regular tasks: search for owners, report losses, follow what filters name. Cheap to call
    /// often.
    ///
    /// # Errors
    /// Counters cannot be read or the output not written.
    pub fn keep_watch(&mut self) -> Result<()> {
        // At once: what is found late is an event with another owner.
        self.owners.advance(&self.session, None)?;
        self.watch()
    }

    /// Searches a while, at most until `end`.
    fn search_owners(&mut self, end: Instant) -> Result<()> {
        let end = end.min(Instant::now() + SEARCH_AT_ONCE);
        self.owners.advance(&self.session, Some(end))
    }

    fn watch(&mut self) -> Result<()> {
        let now = Instant::now();
        if now < self.next_watch {
            return Ok(());
        }
        self.next_watch = now + WATCH;
        self.look_for_returns()?;
        if let Some(follower) = &mut self.follower {
            let notes = follower.look(&self.session)?;
            for note in &notes {
                self.printer.note(&format!("{}: {note}", self.spec.name))?;
            }
            self.remarks = notes;
        }
        let status = self.status(false)?;
        if status.incomplete() > self.incomplete {
            self.incomplete = status.incomplete();
            self.printer.status(&status)?;
        }
        Ok(())
    }

    /// Who has which listener open.
    pub fn holders(&self) -> &Holders {
        self.owners.holders()
    }

    /// How the tool is doing.
    ///
    /// # Errors
    /// Counters cannot be read.
    pub fn status(&self, last: bool) -> Result<Status> {
        // Read after `delivered`, so that nothing is delivered that was not attempted.
        let Stats { attempted, lost, filtered, untracked, unreturned, unseen, hidden, .. } =
            self.session.stats()?;
        let delivered = if self.spec.counts_in_kernel {
            attempted.saturating_sub(lost + filtered)
        } else {
            self.delivered
        };
        let attach = self.session.plan().choices.iter().map(|choice| {
            let method = choice.method.as_ref().map_or("-", |served| served.kind.name());
            (choice.hook.name.into(), method.into())
        });
        let mut status = Status {
            ts: Ts(wall_now()),
            tool: self.spec.name.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: self.facts.release.clone().into(),
            attach: Attached(attach.collect()),
            pid_namespace: pid_namespace(),
            attempted,
            delivered,
            lost,
            filtered,
            untracked: Some(untracked),
            missed: match self.session.missed(&self.facts) {
                // The kernel does not count every run that it leaves out.
                Some(counted) => Some(counted.max(unseen)),
                None => (unseen > 0).then_some(unseen),
            },
            unreturned: (self.session.plan().pairs_calls() || unreturned > 0)
                .then_some(unreturned + self.unreturned),
            hidden: self.session.plan().method_of(&DROP).map(|_| hidden),
            cpu_ns: Some(own_cpu_ns()),
            last,
            untracked_means: self.spec.untracked_means,
            eventful: self.eventful,
            ..Status::default()
        };
        (self.amend)(&mut status);
        let Status { attempted, delivered, lost, filtered, .. } = status;
        status.pending = attempted.saturating_sub(delivered + lost + filtered);
        Ok(status)
    }

    /// Finds calls that will never return.
    fn look_for_returns(&mut self) -> Result<()> {
        if let Some(calls) = &mut self.calls {
            self.unreturned = calls.gone()?;
        }
        Ok(())
    }

    /// Takes the programs off their hooks, if they are there. After that, new calls cannot be
    /// distinguished from those that are over.
    ///
    /// # Errors
    /// The calls in progress cannot be read.
    pub fn detach(&mut self) -> Result<()> {
        if let Some(calls) = self.calls.as_mut().filter(|_| self.session.is_attached()) {
            self.unreturned = calls.gone_or_over(&self.session.plan().functions())?;
        }
        self.session.detach();
        Ok(())
    }

    /// Takes the programs off their hooks, lets `drain` take what is left, and ends with the
    /// final status. A reader that went away in the middle of the tool's `work` is no failure.
    ///
    /// # Errors
    /// As of `work` and `drain`, or the output cannot be written.
    pub fn finish(
        mut self,
        work: Result<()>,
        mut drain: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<ExitCode> {
        unless_closed(work)?;
        self.detach()?;
        let deadline = Instant::now() + SETTLE;
        let status = loop {
            unless_closed(drain(&mut self))?;
            self.look_for_returns()?;
            let status = self.status(true)?;
            if status.pending == 0 || Instant::now() >= deadline {
                break status;
            }
        };
        unless_closed(self.printer.status(&status).map_err(Into::into))?;
        let complete = status.incomplete() == 0 && self.printer.dropped() == 0;
        Ok(of_run(complete, self.strict))
    }
}

/// A closed pipe (`| head`) is not a failure.
fn unless_closed(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if matches!(error.downcast_ref(), Some(SinkError::Closed)) => Ok(()),
        other => other,
    }
}
