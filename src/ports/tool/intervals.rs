//! Sums of each interval.

use std::num::NonZeroU64;
use std::process::ExitCode;

use anyhow::Result;

use crate::clock::Looks;
use crate::kernel::session::Session;
use crate::ports::advise::advise;
use crate::ports::groups::group;
use crate::ports::rows::DestinationRow;
use crate::ports::short::{is_pool_short, is_short};
use crate::ports::{Args, Choice, PortLook, PortMonitor, Ports};
use crate::report::{TableView, Ts, sort};
use crate::tool::{Asked, Running};
use crate::wait::Wake;

/// Destinations that pass the filters, and those of them that are short of ports.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: u64,
    short: u64,
}

impl Counts {
    /// Counts one; whether it passes the filters.
    fn add(&mut self, one: &DestinationRow) -> bool {
        self.all += u64::from(one.matches);
        self.short += u64::from(one.matches && is_short(&one.row));
        one.matches
    }
}

/// What is shown, and where it comes from.
struct View<'a> {
    asked: &'a Asked<Args>,
    monitor: PortMonitor,
}

/// Prints rows every interval.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    let interval = args.interval.interval();
    let begin = |session: &Session| {
        let netns = asked.filter.netns.as_ref().map(|netns| netns.inode);
        let monitor = PortMonitor::begin(session, netns, args.cost)?;
        Ok(View { asked, monitor })
    };
    let (mut running, mut view) = Running::start_with(asked, &args.common, interval, begin)?;
    let work = view.watch(&mut running);
    running.finish(work, |_| Ok(()))
}

impl View<'_> {
    fn watch(&mut self, running: &mut Running) -> Result<()> {
        let args = &self.asked.args;
        let mut looks = Looks::new(args.interval.interval, args.interval.interval(), Looks::SELDOM);
        for _ in 0..args.count.map_or(u64::MAX, NonZeroU64::get) {
            let wake = running.rest(looks.due())?;
            looks.begin();
            // `None` while the namespace that was asked for is gone.
            let asked = running.netns();
            if asked != Some(None) {
                let mut counts = Counts::default();
                let sums = args.all || args.by.is_some();
                let mut wanted =
                    |one: &DestinationRow| counts.add(one) && (sums || is_short(&one.row));
                let mut choice = Choice { most: usize::MAX, wanted: &mut wanted };
                let (look, rows) =
                    self.monitor.look(&running.session, asked.flatten(), &mut choice)?;
                self.show(running, &look, (rows, counts))?;
            }
            looks.end();
            if wake != Wake::Work || running.is_over() {
                break;
            }
        }
        Ok(())
    }

    fn show(
        &mut self,
        running: &mut Running,
        look: &PortLook,
        (rows, Counts { all, short }): (Vec<DestinationRow>, Counts),
    ) -> Result<()> {
        let args = &self.asked.args;
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
            row.netns_name = row.netns.and_then(|netns| self.monitor.source.name(netns));
        }
        let name = look.extent.only.and_then(|netns| self.monitor.source.name(netns));
        let plural = if all == 1 { "" } else { "s" };
        let title = format!(
            "{all} destination{plural} in {}, {short} short of ports",
            look.extent.words(name.as_deref())
        );
        let hide = Ports::hidden(args.by, args.cost, self.monitor.reuse);
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

    fn show_pools(&mut self, running: &mut Running, look: &PortLook) -> Result<()> {
        let mut rows = look.pools();
        rows.retain(|row| self.asked.args.all || is_pool_short(row));
        rows.truncate(self.asked.args.interval.top());
        for row in &mut rows {
            row.netns_name = row.netns.and_then(|netns| self.monitor.source.name(netns));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let title =
            Some("Ports of a local address, for sockets that call bind() before connect():");
        Ok(running.printer.rows(&TableView { title, ..TableView::default() }, &rows)?)
    }
}

fn show_advice(running: &mut Running, look: &PortLook, rows: &[Ports]) -> Result<()> {
    for row in rows.iter().filter(|row| is_short(row)) {
        let netns = row.netns.and_then(|netns| look.sockets.netns.get(&netns));
        if let Some(settings) = netns.and_then(|netns| netns.settings.as_ref()) {
            let advice = advise(row, settings);
            running.printer.record(&advice, &advice.text)?;
        }
    }
    Ok(())
}
