//! The views of an interval.

use anyhow::Result;

use super::NAME;
use super::watch::Watch;
use crate::clock::{monotonic_now, wall_now};
use crate::listen::{
    self, DropClient, Drops, ListenInterval, ListenerInterval, ListenerRecord, ListenerRowOptions,
    advise, rows, sampled_drops, silent,
};
use crate::report::{TableView, Ts, sort};
use crate::tool::Running;
use crate::wire::LISTENER_MATCHES;

/// Those that pass the filters.
fn matching(interval: &ListenInterval) -> impl Iterator<Item = &ListenerInterval> {
    interval.listeners.iter().filter(|one| one.listener.flags & LISTENER_MATCHES != 0)
}

/// What an interval has, as it was asked for.
pub fn show(
    watch: &mut Watch<'_>,
    running: &mut Running,
    interval: &ListenInterval,
    time: (i64, u64),
) -> Result<()> {
    match (watch.args.events, watch.args.clients) {
        (true, _) => show_events(watch, running, interval),
        (_, true) => show_clients(watch, running, interval, time),
        _ => show_listeners(watch, running, interval, time),
    }
}

/// A new note on unreadable namespaces.
pub fn show_remark(watch: &mut Watch<'_>, running: &mut Running) -> Result<()> {
    if let Some(remark) = watch.listeners.remark() {
        running.printer.note(&format!("{NAME}: {remark}"))?;
    }
    Ok(())
}

fn show_listeners(
    watch: &mut Watch<'_>,
    running: &mut Running,
    interval: &ListenInterval,
    time: (i64, u64),
) -> Result<()> {
    let Watch { args, listeners: listen::ListenMonitor { source, coverage, .. }, .. } = watch;
    let shape = ListenerRowOptions { time, coverage: *coverage, all: args.all, group: args.group };
    let mut rows = rows(interval, shape, |netns| source.namespaces.names.name(netns));
    rows.sort_by_key(ListenerRecord::order);
    if let Ok(Some(column)) = args.interval.sort_column() {
        sort(&mut rows, column);
    }
    let hide = silent(&rows, coverage.accepts, args.holders);
    rows.truncate(args.interval.top());
    let idle = Some((Ts(time.0), "no drops, no queues"));
    running.printer.rows(&TableView { hide: &hide, idle, title: None }, &rows)?;
    if args.advise {
        for one in
            interval.listeners.iter().filter(|one| one.listener.flags & LISTENER_MATCHES != 0)
        {
            if let Some(advice) = advise(time.0, time.1, one) {
                running.printer.record(&advice, &advice.text)?;
            }
        }
    }
    watch.left -= 1;
    Ok(())
}

fn show_events(
    watch: &mut Watch<'_>,
    running: &mut Running,
    interval: &ListenInterval,
) -> Result<()> {
    for event in watch.listeners.source.take_events() {
        watch.batches.push(&event, &watch.known);
    }
    let now = if running.is_over() { u64::MAX } else { monotonic_now() };
    let mut rows = watch.batches.take(now, &watch.known);
    if !watch.listeners.coverage.syn {
        let sampled = matching(interval).flat_map(|one| sampled_drops(wall_now(), one));
        rows.extend(sampled.inspect(|row| watch.polled += row.count.unwrap_or(0)));
    }
    if watch.args.common.output.json {
        let names = &mut watch.listeners.source.namespaces.names;
        for row in &mut rows {
            row.netns_name = row.netns.and_then(|netns| names.name(netns));
        }
    }
    for row in rows.iter().take(usize::try_from(watch.left).unwrap_or(usize::MAX)) {
        running.printer.row(row)?;
        watch.left -= 1;
    }
    Ok(running.printer.flush()?)
}

fn show_clients(
    watch: &mut Watch<'_>,
    running: &mut Running,
    interval: &ListenInterval,
    time: (i64, u64),
) -> Result<()> {
    for event in watch.listeners.source.take_events() {
        watch.clients.push(&event);
    }
    let drops =
        matching(interval).map(|one| one.numbers.drops).reduce(Drops::plus).unwrap_or_default();
    let mut rows: Vec<DropClient> = watch.clients.rows(time, drops);
    if let Ok(Some(column)) = watch.args.interval.sort_column() {
        sort(&mut rows, column);
    }
    rows.truncate(watch.args.interval.top());
    watch.left -= 1;
    let view = TableView { idle: Some((Ts(time.0), "no drops")), ..TableView::default() };
    Ok(running.printer.rows(&view, &rows)?)
}
