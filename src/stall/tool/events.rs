//! Stalls as they end.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::passes::PAUSE;
use crate::clock::{Looks, WallClock, monotonic_now, tick_ns};
use crate::hooks::maps;
use crate::kernel::map::Map;
use crate::report::TableView;
use crate::stall::ends::EndedStall;
use crate::stall::hooks::CONNECTIONS;
use crate::stall::{Args, StallEnd, StallEnds, StallModel};
use crate::states::socket_summary::SocketReader;
use crate::tool::{Asked, Names, Running};
use crate::wait::Wake;
use crate::wire::{ConnEntry, Record as _, StallMark};

/// Between two looks, unless they take long: the length of a stall is as exact.
const INTERVAL: Duration = Duration::from_millis(100);

/// What is remembered from one look to the next, and how many lines are still wanted.
struct Watch {
    model: StallModel,
    ends: StallEnds,
    marks: Map,
    reader: SocketReader,
    names: Names,
    left: u64,
}

/// Prints the end of each stall until stopped.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    let mut running = Running::start(asked, &args.common, Duration::ZERO)?;
    let mut watch = Watch {
        model: StallModel::new(args.longer_ns(), tick_ns()),
        ends: StallEnds::default(),
        marks: running.session.map(maps::STALL_MARKS)?,
        reader: SocketReader::default(),
        names: Names::of_machine(true),
        left: args.count.map_or(u64::MAX, NonZeroU64::get),
    };
    let work = watch.watch(&mut running, args);
    running.finish(work, |_| Ok(()))
}

impl Watch {
    fn watch(&mut self, running: &mut Running, args: &Args) -> Result<()> {
        let mut looks = Looks::new(args.interval.interval, INTERVAL, PAUSE);
        running.printer.begin::<StallEnd>(&TableView::default())?;
        running.printer.flush()?;
        loop {
            looks.begin();
            // `None` while the namespace that was asked for is gone.
            let asked = running.netns();
            if asked != Some(None) {
                for ended in self.look(running, asked.flatten())? {
                    self.show(running, &ended)?;
                }
                running.printer.flush()?;
            }
            looks.end();
            if self.left == 0 || running.rest(looks.due())? != Wake::Work || running.is_over() {
                return Ok(());
            }
        }
    }

    /// Looks at the connections that are not idle, and at those of which the end is awaited.
    fn look(&mut self, running: &Running, asked: Option<u32>) -> Result<Vec<EndedStall>> {
        let Self { model, ends, marks, reader, .. } = self;
        let session = &running.session;
        let mut ended = Vec::new();
        model.begin(monotonic_now());
        ends.begin();
        reader.each_namespace(asked, || {
            session.iterate(&CONNECTIONS, size_of::<ConnEntry>(), |bytes| {
                if let Some(conn) = ConnEntry::read(bytes) {
                    ended.extend(ends.see(&conn, model.see(&conn).as_ref()));
                }
            })
        })?;
        model.end();
        let mark = |sk: u64| StallMark::read(&marks.lookup(&sk.to_ne_bytes()).ok()??);
        ended.extend(ends.finish(monotonic_now(), mark));
        for one in &ended {
            // Without a mark the map was full.
            let _ = marks.delete(&one.conn.sk.to_ne_bytes());
        }
        for sk in ends.fresh() {
            // A full map: how it closes will be unknown.
            let _ = marks.update(&sk.to_ne_bytes(), StallMark::default().as_bytes());
        }
        Ok(ended)
    }

    fn show(&mut self, running: &mut Running, ended: &EndedStall) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let conn = &ended.conn;
        let cgroup = self.names.cgroup(conn.cgroup);
        let end = StallEnd::new(WallClock::now().at(ended.ended), ended, cgroup);
        let netns_name = self.names.netns(conn.flow.netns);
        Ok(running.printer.row(&StallEnd { netns_name, ..end })?)
    }
}
