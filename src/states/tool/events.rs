//! State changes as they come.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::NAME;
use crate::clock::{WallClock, monotonic_now};
use crate::hooks::TIME_WAIT;
use crate::hooks::maps;
use crate::kernel::attach::AttachMethod;
use crate::kernel::netns::Netns;
use crate::kernel::ring::Ring;
use crate::life::Endings;
use crate::report::TableView;
use crate::states::timewait::{Poller, Shown, TimeWaitFilter, TimeWaits};
use crate::states::{Args, StateChange};
use crate::tool::{Asked, BATCH, Names, Running};
use crate::wait::Wake;
use crate::wire::{Record as _, StateEvent};

/// Changes found by a poll that are printed at a stretch, in a millisecond or so: they may be so many that the
/// ring buffer would be full before all are.
const STRETCH: usize = 1024;

/// So often the ring buffer is read during a poll.
const LOOKING: Duration = Duration::from_millis(2);

/// So many changes wait for the end of a poll: a socket that leaves the kernel's table while an iterator
/// pauses may hide another one from it.
const WAITING: usize = 4_096;

/// So long events are printed between others: a fraction of the time in which full churn fills the ring buffer.
const SOON: Duration = Duration::from_millis(20);

/// How far events are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// All that are in the ring buffer now. While the hooks are on, more may come faster than they are printed.
    Now,
    /// The same, but not for long once those are printed that were read before: a slow reader of the output must
    /// not hold up other work.
    Soon,
    /// The last one: the hooks are off.
    End,
}

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
    /// Events that have room in the ring buffer.
    room: u64,
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
            room: u64::from(args.buffer) / size_of::<StateEvent>() as u64,
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
        changes.print_events(&mut running, Until::Now)?;
        // The first poll may take a while.
        running.printer.flush()?;
        if changes.waits.wants_older() {
            let netns = match &filter.netns {
                Some(netns) => netns.inode,
                None => Netns::own()?.inode(),
            };
            // An obstacle is reported when it first causes a miss.
            changes.poll_one(&mut running, netns)?;
        }
        loop {
            let most = if changes.source.endings.any_wait() { BATCH } else { Duration::MAX };
            let wake = running.rest_for_records(most.min(changes.polls.left()))?;
            changes.print_events(&mut running, Until::Now)?;
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
        let printed = changes.print_events(running, Until::End);
        let printed = printed.and(changes.poll(running));
        changes.waits.give_up();
        report(running, &changes.waits);
        printed
    })
}

impl Source {
    /// Reads the events that are there, during a poll.
    fn keep_up(&mut self, waits: &mut TimeWaits) -> Result<()> {
        let Self { ring, endings, read, room } = self;
        let there = *read + *room;
        ring.drain(|batch| {
            *read += batch.len() as u64;
            for event in batch {
                endings.take(event);
            }
            endings.ready(Some(monotonic_now())).for_each(|event| waits.take(&event));
            Ok(*read < there)
        })
    }
}

impl Changes {
    /// Prints events, at first those that were read during a poll.
    fn print_events(&mut self, running: &mut Running, until: Until) -> Result<()> {
        let clock = WallClock::now();
        let Self { source, waits, ready, names, left, .. } = self;
        let Source { ring, endings, read, room } = source;
        let (there, soon) = (*read + *room, Instant::now() + SOON);
        let last = until == Until::End;
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
            let go_on = hand_over(endings, Some(monotonic_now()), running)?;
            Ok(go_on
                && match until {
                    Until::Now => *read < there,
                    Until::Soon => *read < there && Instant::now() < soon,
                    Until::End => true,
                })
        })?;
        hand_over(endings, (!last).then(monotonic_now), running)?;
        running.read = *read;
        Ok(())
    }

    /// Prints the changes that a poll of the timewait sockets finds, in every namespace that may have some.
    /// All of them are polled, also if no output takes what is found.
    fn poll(&mut self, running: &mut Running) -> Result<()> {
        let mut polled = Ok(());
        for netns in self.waits.namespaces() {
            let noted = self.poll_one(running, netns).and_then(|obstacle| {
                match obstacle.and_then(|obstacle| self.polls.remark(&obstacle)) {
                    Some(remark) => Ok(running.printer.note(&format!("{NAME}: {remark}"))?),
                    None => Ok(()),
                }
            });
            polled = polled.and(noted);
        }
        polled
    }

    /// The same in one namespace; the obstacle, if there is one.
    fn poll_one(&mut self, running: &mut Running, netns: u32) -> Result<Option<anyhow::Error>> {
        self.waits.begin_look(netns);
        let obstacle = self.read_sockets(running, netns)?;
        let now = monotonic_now();
        // A new connection may have taken the place of one that was not found: its event has the time,
        // and must not come after this poll's verdict.
        self.source.keep_up(&mut self.waits)?;
        match obstacle {
            None => self.waits.end_look(netns, now),
            Some(_) => self.waits.skip_namespace(netns),
        }
        self.print_found(running, netns)?;
        Ok(obstacle)
    }

    /// Reads the timewait sockets of a namespace, and events meanwhile; the obstacle, if there is one.
    fn read_sockets(&mut self, running: &mut Running, netns: u32) -> Result<Option<anyhow::Error>> {
        let mut look = match self.polls.begin(&running.session, netns) {
            Ok(look) => look,
            Err(obstacle) => return Ok(Some(obstacle)),
        };
        let mut since = Instant::now();
        loop {
            match look.go_on(&mut self.waits) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(obstacle) => return Ok(Some(obstacle)),
            }
            // What comes after the end is read when the hooks are off.
            if since.elapsed() >= LOOKING && !running.is_over() {
                self.source.keep_up(&mut self.waits)?;
                if self.waits.ready() > WAITING {
                    self.print_events(running, Until::Soon)?;
                }
                since = Instant::now();
            }
        }
    }

    /// Prints what a poll has found, and events in between. All of it is taken, also if no output takes it.
    fn print_found(&mut self, running: &mut Running, netns: u32) -> Result<()> {
        let mut printed = self.print_events(running, Until::Soon);
        let clock = WallClock::now();
        let mut more = true;
        while more {
            let Self { waits, ready, names, left, .. } = self;
            more = waits.take_found(netns, STRETCH, ready);
            if printed.is_err() {
                running.delivered += ready.len() as u64;
                ready.clear();
                continue;
            }
            printed = print(running, ready.drain(..), names, left, clock);
            if printed.is_ok() && more {
                printed = self.print_events(running, Until::Soon);
            }
        }
        report(running, &self.waits);
        printed
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

/// Prints at most `left` changes; the rest only counts, as do those after one that could not be written.
fn print(
    running: &mut Running,
    changes: impl Iterator<Item = Shown>,
    names: &mut Names,
    left: &mut u64,
    clock: WallClock,
) -> Result<()> {
    let mut printed = Ok(());
    for Shown { event, polled } in changes {
        running.delivered += 1;
        if *left > 0 && printed.is_ok() {
            *left -= 1;
            let cgroup = names.cgroup(event.cgroup);
            let mut row = StateChange::new(clock.at(event.ts), &event, polled, cgroup);
            row.netns_name = names.netns(event.flow.netns);
            printed = running.printer.row(&row);
        }
    }
    Ok(printed?)
}
