//! The views of an interval.

use anyhow::Result;

use super::NAME;
use super::watch::Watch;
use crate::clock::{monotonic_now, wall_now};
use crate::listen::{
    self, DropClient, DropEvent, Drops, ListenInterval, ListenerInterval, ListenerRecord,
    ListenerRowOptions, advise, rows, silent,
};
use crate::report::{TableView, sort};
use crate::tool::Running;
use crate::wire::LISTENER_MATCHES;

/// Those that pass the filters.
fn matching(interval: &ListenInterval) -> impl Iterator<Item = &ListenerInterval> {
    interval.listeners.iter().filter(|one| one.listener.flags & LISTENER_MATCHES != 0)
}

impl Watch<'_> {
    /// What an interval has, as it was asked for.
    pub fn show(
        &mut self,
        running: &mut Running,
        interval: &ListenInterval,
        time: (i64, u64),
    ) -> Result<()> {
        match (self.args.events, self.args.clients) {
            (true, _) => self.show_events(running, interval),
            (_, true) => self.show_clients(running, interval, time),
            _ => self.show_listeners(running, interval, time),
        }
    }

    /// A new note on unreadable namespaces.
    pub fn show_remark(&mut self, running: &mut Running) -> Result<()> {
        if let Some(remark) = self.listeners.remark() {
            running.printer.note(&format!("{NAME}: {remark}"))?;
        }
        Ok(())
    }

    fn show_listeners(
        &mut self,
        running: &mut Running,
        interval: &ListenInterval,
        time: (i64, u64),
    ) -> Result<()> {
        let Self { args, listeners: listen::ListenMonitor { source, coverage, .. }, .. } = self;
        let shape =
            ListenerRowOptions { time, coverage: *coverage, all: args.all, group: args.group };
        let mut rows = rows(interval, shape, |netns| source.namespaces.name(netns));
        rows.sort_by_key(ListenerRecord::order);
        if let Ok(Some(column)) = args.interval.sort_column() {
            sort(&mut rows, column);
        }
        let hide = silent(&rows, coverage.accepts);
        rows.truncate(args.interval.top());
        running.printer.rows(&TableView { hide: &hide, ..TableView::default() }, &rows)?;
        if args.advise {
            for one in
                interval.listeners.iter().filter(|one| one.listener.flags & LISTENER_MATCHES != 0)
            {
                if let Some(advice) = advise(time.0, time.1, one) {
                    running.printer.record(&advice, &advice.text)?;
                }
            }
        }
        self.left -= 1;
        Ok(())
    }

    fn show_events(&mut self, running: &mut Running, interval: &ListenInterval) -> Result<()> {
        for event in self.listeners.source.take_events() {
            self.batches.push(&event, &self.known);
        }
        let now = if running.is_over() { u64::MAX } else { monotonic_now() };
        let mut rows = self.batches.take(now, &self.known);
        if !self.listeners.coverage.syn {
            rows.extend(matching(interval).flat_map(|one| DropEvent::looked_at(wall_now(), one)));
        }
        for row in rows.iter().take(usize::try_from(self.left).unwrap_or(usize::MAX)) {
            running.printer.row(row)?;
            self.left -= 1;
        }
        Ok(running.printer.flush()?)
    }

    fn show_clients(
        &mut self,
        running: &mut Running,
        interval: &ListenInterval,
        time: (i64, u64),
    ) -> Result<()> {
        for event in self.listeners.source.take_events() {
            self.clients.push(&event);
        }
        let drops =
            matching(interval).map(|one| one.numbers.drops).reduce(Drops::plus).unwrap_or_default();
        let mut rows: Vec<DropClient> = self.clients.rows(time, drops);
        if let Ok(Some(column)) = self.args.interval.sort_column() {
            sort(&mut rows, column);
        }
        rows.truncate(self.args.interval.top());
        self.left -= 1;
        Ok(running.printer.rows(&TableView::default(), &rows)?)
    }
}
