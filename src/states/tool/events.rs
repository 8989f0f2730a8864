//! State changes as they come.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::NAME;
use crate::clock::{WallClock, monotonic_now};
use crate::hooks::TIME_WAIT;
use crate::hooks::maps;
use crate::kernel::attach::AttachMethod;
use crate::kernel::ring::Ring;
use crate::life::Endings;
use crate::report::TableView;
use crate::states::timewait::{Poller, Shown, TimeWaitFilter, TimeWaits};
use crate::states::{Args, StateChange};
use crate::tool::{Asked, BATCH, Names, Running};
use crate::wait::Wake;
use crate::wire::{Record as _, StateEvent};

/// Changes that are printed at a stretch, in some milliseconds.
const STRETCH: usize = 4096;

/// Times that is repeated for what came meanwhile: a printer slower than the changes would never end.
const ROUNDS: usize = 8;

/// Where changes come from, and how many are still wanted.
struct Changes {
    source: Source,
    waits: TimeWaits,
    polls: Poller,
    ready: Vec<Shown>,
    names: Names,
    left: u64,
}

/// The ring buffer, and the ends that a reset may still explain.
struct Source {
    ring: Ring<StateEvent>,
    endings: Endings<StateEvent>,
    /// Events that were read.
    read: u64,
}

/// Prints state changes until stopped.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let Asked { args, filter } = asked;
    let wanted = TimeWaitFilter::of(&args.states_options());
    let mut running = Running::start(asked, &args.common, Duration::ZERO)?;
    let polls = running.session.plan().method_of(&TIME_WAIT) == Some(AttachMethod::Iterator);
    let started = if filter.by_owner() { 0 } else { monotonic_now() };
    let map = running.session.map(maps::EVENTS)?;
    running.waiter.watch_ring(map.as_fd())?;
    let interval = args.interval.interval();
    let mut changes = Changes {
        source: Source {
            ring: Ring::new(&map, StateEvent::read)?,
            endings: Endings::new(u32::MAX),
            read: 0,
        },
        waits: TimeWaits::new(wanted, polls, started),
        polls: Poller::every(interval),
        ready: Vec::new(),
        names: Names::of_machine(args.common.output.json),
        left: args.count.map_or(u64::MAX, NonZeroU64::get),
    };
    let mut work = || -> Result<()> {
        running.printer.begin::<StateChange>(&TableView::default())?;
        changes.print_events(&mut running, false)?;
        // The first poll may take a while.
        running.printer.flush()?;
        if changes.waits.wants_older() {
            let netns = filter.netns.as_ref().map_or(0, |netns| netns.inode);
            let Changes { source, waits, polls, .. } = &mut changes;
            polls.first(&running.session, waits, netns, &mut |waits| source.keep_up(waits))?;
        }
        loop {
            let most = if changes.source.endings.any_wait() { BATCH } else { Duration::MAX };
            let wake = running.rest_for_records(most.min(changes.polls.left()))?;
            changes.print_events(&mut running, false)?;
            if changes.polls.due() {
                changes.poll(&mut running)?;
            }
            running.printer.flush()?;
            if wake != Wake::Work || changes.left == 0 || running.is_over() {
                return Ok(());
            }
        }
    };
    let worked = work();
    running.finish(worked, |running| {
        changes.print_events(running, true)?;
        changes.poll(running)?;
        changes.waits.give_up();
        report(running, &changes.waits);
        Ok(())
    })
}

impl Source {
    /// Reads the events during a poll; they are printed after it.
    fn keep_up(&mut self, waits: &mut TimeWaits) -> Result<()> {
        let Self { ring, endings, read } = self;
        ring.drain(|batch| {
            *read += batch.len() as u64;
            for event in batch {
                endings.take(event);
            }
            endings.ready(Some(monotonic_now())).for_each(|event| waits.take(&event));
            Ok(true)
        })
    }
}

impl Changes {
    /// Prints what waits in the ring buffer. While the hooks are on, more may come faster than a
    /// slow reader takes it: the end must not wait for the buffer to be empty, unless it is the
    /// `last` time.
    fn print_events(&mut self, running: &mut Running, last: bool) -> Result<()> {
        let clock = WallClock::now();
        let Self { source, waits, ready, names, left, .. } = self;
        let Source { ring, endings, read } = source;
        let mut hand_over = |endings: &mut Endings<_>, now: Option<u64>, running: &mut Running| {
            endings.ready(now).for_each(|event| waits.take(&event));
            waits.take_ready(ready);
            print(running, ready.drain(..), names, left, clock)?;
            report(running, waits);
            anyhow::Ok(last || (*left > 0 && !running.is_over()))
        };
        ring.drain(|batch| {
            *read += batch.len() as u64;
            for event in batch {
                endings.take(event);
            }
            hand_over(endings, Some(monotonic_now()), running)
        })?;
        hand_over(endings, (!last).then(monotonic_now), running)?;
        running.read = *read;
        Ok(())
    }

    /// Prints the changes that a poll of the timewait sockets finds.
    fn poll(&mut self, running: &mut Running) -> Result<()> {
        let Self { source, waits, polls, ready, names, left } = self;
        let remark = polls.take(&running.session, waits, &mut |waits| source.keep_up(waits))?;
        let clock = WallClock::now();
        // They may be so many that the ring buffer would be full before all are printed; and what is read meanwhile
        // may be as many, if less from time to time.
        for _ in 0..ROUNDS {
            waits.take_ready(ready);
            let many = ready.len() > STRETCH;
            let mut found = ready.drain(..);
            while found.len() > 0 {
                print(running, found.by_ref().take(STRETCH), names, left, clock)?;
                source.keep_up(waits)?;
            }
            drop(found);
            if !many || running.is_over() {
                break;
            }
        }
        report(running, waits);
        match remark {
            Some(remark) => Ok(running.printer.note(&format!("{NAME}: {remark}"))?),
            None => Ok(()),
        }
    }
}

/// Puts what was counted here into the status.
fn report(running: &mut Running, waits: &TimeWaits) {
    let account = waits.adjustments();
    running.amend_status(move |status| {
        status.attempted = (status.attempted + account.found).saturating_sub(account.void);
        status.filtered += account.filtered;
        status.untracked = status.untracked.map(|untracked| untracked + account.untracked);
    });
}

/// Prints at most `left` changes; the rest only counts.
fn print(
    running: &mut Running,
    changes: impl Iterator<Item = Shown>,
    names: &mut Names,
    left: &mut u64,
    clock: WallClock,
) -> Result<()> {
    for Shown { event, polled } in changes {
        running.delivered += 1;
        if *left > 0 {
            *left -= 1;
            let cgroup = names.cgroup(event.cgroup);
            let mut row = StateChange::new(clock.at(event.ts), &event, polled, cgroup);
            row.netns_name = names.netns(event.flow.netns);
            running.printer.row(&row)?;
        }
    }
    Ok(())
}
