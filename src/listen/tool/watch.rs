//! Interval by interval, with samples of the queues where no program sees them change.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::NAME;
use super::show::{show, show_remark};
use crate::clock::{Ticker, monotonic_now, wall_now};
use crate::filter::Filter;
use crate::kernel::session::Session;
use crate::listen::Args;
use crate::listen::{
    self, Batches, Clients, DropEvent, ListenInterval, ListenSource, ListenerId, SAMPLE,
};
use crate::report::{Cell, Ctx, TableView};
use crate::tool::{Asked, Running};
use crate::wait::Wake;
use crate::wire::{LISTENER_MATCHES, Listener};

/// What is known.
pub struct Watch<'a> {
    pub args: &'a Args,
    pub listeners: listen::ListenMonitor,
    pub known: HashMap<ListenerId, Listener>,
    pub batches: Batches,
    pub clients: Clients,
    began: u64,
    /// Intervals, or lines, still to be shown.
    pub left: u64,
    /// Drops in lines that samples gave, not programs.
    pub polled: u64,
    /// Namespaces with unexplained drops that were noted.
    noted: BTreeSet<u32>,
}

/// Shows listeners until stopped.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let Asked { args, filter } = asked;
    let interval = args.interval.interval();
    let (mut running, mut watch) = Running::start_with(asked, &args.common, interval, |session| {
        Watch::begin(args, filter, session)
    })?;
    let work = watch.work(&mut running);
    running.finish(work, |running| {
        watch.listeners.source.drain()?;
        running.delivered = watch.listeners.source.delivered();
        Ok(())
    })
}

impl<'a> Watch<'a> {
    /// Reads the existing listeners and the counters of their namespaces.
    fn begin(args: &'a Args, filter: &Filter, session: &Session) -> Result<Self> {
        let (mut listeners, entries) = listen::ListenMonitor::begin(session, filter)?;
        listeners.source.keep_events = args.events || args.clients;
        let mut watch = Self {
            args,
            listeners,
            known: HashMap::new(),
            batches: Batches::default(),
            clients: Clients::default(),
            began: monotonic_now(),
            left: args.count.map_or(u64::MAX, NonZeroU64::get),
            polled: 0,
            noted: BTreeSet::new(),
        };
        watch.remember(entries.iter().map(|entry| (entry.id(), entry.listener)));
        Ok(watch)
    }

    fn work(&mut self, running: &mut Running) -> Result<()> {
        if !self.known.values().any(|one| one.flags & LISTENER_MATCHES != 0) {
            running.printer.note(&format!("{NAME}: no listener matches; waiting for one"))?;
        }
        if self.args.events || self.args.clients {
            running.waiter.watch_ring(ListenSource::ring(&running.session)?.as_fd())?;
        }
        if self.args.events {
            running.printer.begin::<DropEvent>(&TableView::default())?;
        }
        // Nothing may be missed between samples that only samples can see.
        let length = self.args.interval.interval();
        let sampled = self.args.events || self.listeners.is_sampled();
        let step = if sampled { SAMPLE.min(length) } else { length };
        let mut ticker = Ticker::new(if self.args.events { step } else { length });
        while self.left > 0 {
            let end = ticker.next_end();
            let wake = self.until(running, end, step)?;
            let last =
                wake != Wake::Work || running.is_over() || (self.left == 1 && !self.args.events);
            self.interval(running)?;
            if last {
                break;
            }
        }
        Ok(())
    }

    /// Waits for the end of an interval, sampling the queues every `step`.
    fn until(&mut self, running: &mut Running, end: Instant, step: Duration) -> Result<Wake> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let wake = running.rest_for_events(left.min(step))?;
            self.listeners.source.drain()?;
            running.delivered = self.listeners.source.delivered();
            if wake != Wake::Work || running.is_over() || Instant::now() >= end {
                return Ok(wake);
            }
            if step < self.args.interval.interval() && !self.args.events {
                self.listeners.source.listeners(&running.session)?;
            }
        }
    }

    /// Ends an interval and shows it.
    fn interval(&mut self, running: &mut Running) -> Result<()> {
        let (entries, interval) = self.listeners.interval(&running.session, running.holders())?;
        running.delivered = self.listeners.source.delivered();
        show_remark(self, running)?;
        self.note_unexplained(running, &interval)?;
        self.remember(entries.iter().map(|entry| (entry.id(), entry.listener)));
        let now = monotonic_now();
        let time = (wall_now(), now - self.began);
        self.began = now;
        running.printer.set_interval(time.1);
        let shown = show(self, running, &interval, time);
        let (unexplained, polled) = (interval.unexplained, self.polled);
        running.amend_status(move |status| {
            status.unexplained = unexplained;
            status.attempted += polled;
            status.delivered += polled;
        });
        shown
    }

    /// Says once of each namespace that it has unexplained drops: the status has only their sum.
    fn note_unexplained(&mut self, running: &mut Running, interval: &ListenInterval) -> Result<()> {
        for &netns in interval.unexplained_in.iter().filter(|netns| self.noted.insert(**netns)) {
            let name = self.listeners.source.namespaces.names.name(netns);
            let mut text = format!("{NAME}: unexplained drops in network namespace ").into_bytes();
            Cell::Netns(netns, name.as_deref()).text(&mut Ctx::new(0, true), &mut text);
            running.printer.note(&String::from_utf8_lossy(&text))?;
        }
        Ok(())
    }

    fn remember(&mut self, entries: impl Iterator<Item = (ListenerId, Listener)>) {
        self.known.clear();
        self.known.extend(entries);
    }
}
