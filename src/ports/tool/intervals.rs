//! Sums of each interval.

use std::num::NonZeroU64;
use std::process::ExitCode;

use anyhow::Result;

use crate::clock::{Ticker, monotonic_now, wall_now};
use crate::kernel::netns_list::Extent;
use crate::kernel::session::Session;
use crate::ports::advise::advise;
use crate::ports::destinations::Destinations;
use crate::ports::groups::group;
use crate::ports::hooks::{BIND, PORT_REUSE};
use crate::ports::local::{BindFailures, pools};
use crate::ports::rows::{DestinationRow, PortModel, PortsShape};
use crate::ports::{Args, PortPool, PortSource, Ports};
use crate::report::{TableView, Ts, sort};
use crate::tool::{Asked, Running};
use crate::wait::Wake;

/// Without --all, destinations are shown that have fewer ports left than this part, in thousandths …
const SHORT: u64 = 100;
/// … or that run out of them within this time, ns.
const SOON: u64 = 600_000_000_000;

/// What is shown, and what it needs from one interval to the next.
struct View<'a> {
    asked: &'a Asked<Args>,
    source: PortSource,
    model: PortModel,
    reuse: bool,
    began: Option<u64>,
}

/// One look.
struct Look {
    sockets: Destinations,
    extent: Extent,
    binds: BindFailures,
    shape: PortsShape,
}

/// Prints rows every interval.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    let interval = args.interval.interval();
    let begin = |session: &Session| {
        let served = |hook| session.plan().method_of(hook).is_some();
        let mut view = View {
            asked,
            source: PortSource::new(session, served(&BIND))?,
            model: PortModel::default(),
            reuse: served(&PORT_REUSE),
            began: None,
        };
        let netns = asked.filter.netns.as_ref().map(|netns| netns.inode);
        view.look(session, netns)?;
        let (counted, _) = view.source.counted(session, monotonic_now())?;
        view.model.begin_with(&counted);
        Ok(view)
    };
    let (mut running, mut view) = Running::start_with(asked, &args.common, interval, begin)?;
    let work = view.watch(&mut running);
    running.finish(work, |_| Ok(()))
}

impl View<'_> {
    fn watch(&mut self, running: &mut Running) -> Result<()> {
        let args = &self.asked.args;
        let mut ticker = Ticker::new(args.interval.interval());
        for _ in 0..args.count.map_or(u64::MAX, NonZeroU64::get) {
            let wake = running.rest(ticker.next_end())?;
            // `None` while the namespace that was asked for is gone.
            let asked = running.netns();
            if asked != Some(None) {
                let (look, rows) = self.look(&running.session, asked.flatten())?;
                self.show(running, &look, rows)?;
            }
            if wake != Wake::Work || running.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Looks at one namespace or at all.
    fn look(
        &mut self,
        session: &Session,
        asked: Option<u32>,
    ) -> Result<(Look, Vec<DestinationRow>)> {
        // First the counts: a connect that they have not is among the sockets or is over.
        let now = monotonic_now();
        let (counted, binds) = self.source.counted(session, now)?;
        let (sockets, extent) = self.source.sockets(session, asked)?;
        let shape = PortsShape {
            ts: wall_now(),
            now,
            interval_ns: self.began.map(|began| now - began),
            reuse: self.reuse,
            cost: self.asked.args.cost,
        };
        self.began = Some(now);
        let rows = self.model.rows(&sockets, &counted, shape);
        Ok((Look { sockets, extent, binds, shape }, rows))
    }

    fn show(
        &mut self,
        running: &mut Running,
        look: &Look,
        mut rows: Vec<DestinationRow>,
    ) -> Result<()> {
        let args = &self.asked.args;
        rows.retain(|one| one.matches);
        let all = rows.len();
        let short = rows.iter().filter(|one| is_short(&one.row)).count();
        let mut shown = match args.by {
            Some(by) => {
                let filter = &self.asked.filter;
                let mut rows = group(&rows, by);
                rows.retain(|row| {
                    filter.pids.is_empty() || row.pid.is_none_or(|pid| filter.pids.contains(&pid))
                });
                rows
            }
            None => rows.into_iter().map(|one| one.row).collect(),
        };
        shown.retain(|row| args.all || is_short(row));
        if let Ok(Some(column)) = args.interval.sort_column() {
            sort(&mut shown, column);
        }
        shown.truncate(args.interval.top());
        for row in &mut shown {
            row.netns_name = row.netns.and_then(|netns| self.source.name(netns));
        }
        let name = look.extent.only.and_then(|netns| self.source.name(netns));
        let plural = if all == 1 { "" } else { "s" };
        let title = format!(
            "{all} destination{plural} in {}, {short} short of ports",
            look.extent.words(name.as_deref())
        );
        let hide = Ports::hidden(args.by, args.cost, self.reuse);
        let idle = Some((Ts(look.shape.ts), title.as_str()));
        let title = (!shown.is_empty()).then_some(title.as_str());
        let view = TableView { title, hide: &hide, idle };
        running.printer.rows(&view, &shown)?;
        self.show_pools(running, look)?;
        if args.advise {
            show_advice(running, look, &shown)?;
        }
        Ok(())
    }

    fn show_pools(&mut self, running: &mut Running, look: &Look) -> Result<()> {
        let PortsShape { ts, interval_ns, .. } = look.shape;
        let mut rows = pools(&look.sockets, &look.binds, (ts, interval_ns.unwrap_or(0)));
        rows.retain(|row| self.asked.args.all || is_pool_short(row));
        rows.truncate(self.asked.args.interval.top());
        for row in &mut rows {
            row.netns_name = row.netns.and_then(|netns| self.source.name(netns));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let title =
            Some("Ports of a local address, for sockets that call bind() before connect():");
        Ok(running.printer.rows(&TableView { title, ..TableView::default() }, &rows)?)
    }
}

fn show_advice(running: &mut Running, look: &Look, rows: &[Ports]) -> Result<()> {
    for row in rows.iter().filter(|row| is_short(row)) {
        let netns = row.netns.and_then(|netns| look.sockets.netns.get(&netns));
        if let Some(settings) = netns.and_then(|netns| netns.settings.as_ref()) {
            let advice = advise(row, settings);
            running.printer.record(&advice, &advice.text)?;
        }
    }
    Ok(())
}

/// Whether it is worth a look.
fn is_short(row: &Ports) -> bool {
    row.no_port.is_some_and(|failed| failed > 0)
        || row.share().is_some_and(|share| share >= SHORT)
        || row.empty_in_ns.is_some_and(|ns| ns <= SOON)
}

fn is_pool_short(row: &PortPool) -> bool {
    let share = crate::ports::record::per_mille(row.used, row.ports);
    row.no_port.is_some_and(|failed| failed > 0) || share.is_some_and(|share| share >= SHORT)
}
