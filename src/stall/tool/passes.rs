//! Passes over the connections, every interval.

use std::num::NonZeroU64;
use std::process::ExitCode;

use anyhow::Result;

use crate::clock::{Looks, monotonic_now, tick_ns, wall_now};
use crate::kernel::netns_list::Extent;
use crate::report::{Record, Row, TableView, Ts, sort};
use crate::stall::hooks::CONNECTIONS;
use crate::stall::{Args, Conn, Stall, StallModel, StallShare, StallShares, Stalled};
use crate::states::socket_summary::SocketReader;
use crate::tool::{Asked, Names, Running};
use crate::wait::Wake;
use crate::wire::{ConnEntry, Record as _};

/// Without --interval, the tool rests this many times as long as a pass takes of the CPU.
pub(super) const PAUSE: u32 = 60;

/// Shows what each pass finds.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    let mut running = Running::start(asked, &args.common, args.interval.interval())?;
    let mut view = View {
        args,
        model: StallModel::new(args.longer_ns(), tick_ns()),
        shares: args.by.map(StallShares::new),
        reader: SocketReader::default(),
        names: Names::of_machine(args.common.output.json),
    };
    let work = view.watch(&mut running);
    running.finish(work, |_| Ok(()))
}

/// What is shown, and what it needs from one pass to the next.
struct View<'a> {
    args: &'a Args,
    model: StallModel,
    shares: Option<StallShares>,
    reader: SocketReader,
    names: Names,
}

impl View<'_> {
    fn watch(&mut self, running: &mut Running) -> Result<()> {
        let interval = &self.args.interval;
        let mut looks = Looks::new(interval.interval, interval.interval(), PAUSE);
        for nth in 0..self.args.count.map_or(u64::MAX, NonZeroU64::get) {
            let due = looks.due();
            if nth > 0 && running.rest(due)? != Wake::Work || running.is_over() {
                break;
            }
            looks.begin();
            // `None` while the namespace that was asked for is gone.
            let asked = running.netns();
            if asked != Some(None) {
                self.pass(running, asked.flatten())?;
            }
            looks.end();
        }
        Ok(())
    }

    /// Looks at all connections once.
    fn pass(&mut self, running: &mut Running, asked: Option<u32>) -> Result<()> {
        let Self { args, model, shares, reader, .. } = self;
        let (mut entries, mut stalled) = (Vec::new(), Vec::new());
        let mut seen = 0_u64;
        let session = &running.session;
        model.begin(monotonic_now());
        let extent = reader.each_namespace(asked, || {
            session.iterate(&CONNECTIONS, size_of::<ConnEntry>(), |bytes| {
                let Some(conn) = ConnEntry::read(bytes) else { return };
                seen += 1;
                if args.all {
                    entries.push(conn);
                } else if let Some(shares) = shares {
                    shares.see(&conn, model.see(&conn).as_ref());
                } else if let Some(found) = model.see(&conn) {
                    stalled.push((conn, found));
                }
            })
        })?;
        model.end();
        let ts = wall_now();
        if args.all {
            return self.show_all(running, ts, &entries, extent);
        }
        if self.shares.is_some() {
            return self.show_shares(running, ts, seen, extent);
        }
        self.show_stalled(running, ts, &stalled, (seen, extent))
    }

    fn show_shares(
        &mut self,
        running: &mut Running,
        ts: i64,
        seen: u64,
        extent: Extent,
    ) -> Result<()> {
        let rows = self.shares.as_mut().map(|shares| shares.rows(ts, monotonic_now()));
        let title = format!("{} in {}", counted(seen, "connection"), self.place(extent));
        let hide = self.args.by.map_or(&[][..], StallShare::hidden);
        self.show(running, (ts, &title), hide, rows.unwrap_or_default())
    }

    fn show_stalled(
        &mut self,
        running: &mut Running,
        ts: i64,
        stalled: &[(ConnEntry, Stalled)],
        (seen, extent): (u64, Extent),
    ) -> Result<()> {
        let names = &mut self.names;
        let row = |(conn, found): &(ConnEntry, Stalled)| Stall {
            netns_name: names.netns(conn.flow.netns),
            ..Stall::new(ts, conn, found, names.cgroup(conn.cgroup))
        };
        let mut rows: Vec<_> = stalled.iter().map(row).collect();
        rows.sort_by_cached_key(Stall::order);
        let title = format!(
            "{}, {seen} with data queued or unread in {}",
            counted(rows.len() as u64, "stalled connection"),
            self.place(extent)
        );
        self.show(running, (ts, &title), &[], rows)
    }

    fn show_all(
        &mut self,
        running: &mut Running,
        ts: i64,
        entries: &[ConnEntry],
        extent: Extent,
    ) -> Result<()> {
        let names = &mut self.names;
        let row = |conn: &ConnEntry| Conn {
            netns_name: names.netns(conn.flow.netns),
            ..Conn::new(ts, conn, names.cgroup(conn.cgroup))
        };
        let mut rows: Vec<_> = entries.iter().map(row).collect();
        rows.sort_by_cached_key(Conn::order);
        let title =
            format!("{} in {}", counted(rows.len() as u64, "connection"), self.place(extent));
        self.show(running, (ts, &title), &[], rows)
    }

    fn place(&mut self, extent: Extent) -> String {
        let name = extent.only.and_then(|netns| self.reader.name(netns));
        extent.words(name.as_deref())
    }

    fn show<R: Row + Record>(
        &self,
        running: &mut Running,
        (ts, title): (i64, &str),
        hide: &[&'static str],
        mut rows: Vec<R>,
    ) -> Result<()> {
        let interval = &self.args.interval;
        if let Ok(Some(column)) = interval.sort_column() {
            sort(&mut rows, column);
        }
        rows.truncate(interval.top());
        let view = TableView {
            title: (!rows.is_empty()).then_some(title),
            hide,
            idle: Some((Ts(ts), title)),
        };
        Ok(running.printer.rows(&view, &rows)?)
    }
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
