//! The same without a screen: everything as JSON Lines.

use std::process::ExitCode;

use anyhow::Result;
use tcpscope::cli::tcpdash::Args;
use tcpscope::dash::live::{Sampler, namespace, setup};
use tcpscope::filter::Filter;
use tcpscope::hooks::TCPDASH;
use tcpscope::kernel::netns::Netns;
use tcpscope::run::{Ticker, Wake};
use tcpscope::tool::Running;

/// Prints what a dashboard would show, every interval.
pub fn print(object: &'static [u8], args: &Args, filter: &Filter) -> Result<ExitCode> {
    let setup = setup(object, filter, args.max_keys)?;
    let netns = namespace(filter)?;
    let mut running = Running::start(&TCPDASH, &args.common, setup, args.interval)?;
    let work = watch(&mut running, netns, args);
    running.finish(work, |_| Ok(()))
}

fn watch(running: &mut Running, netns: Netns, args: &Args) -> Result<()> {
    let mut sampler = Sampler::new(running, netns)?;
    let mut ticker = Ticker::new(args.interval);
    let mut lines = Vec::new();
    loop {
        let wake = running.rest(ticker.next_end())?;
        let last = wake != Wake::Work || running.is_over();
        if last {
            // Nothing may be counted that the last interval does not show.
            running.session.detach();
        }
        lines.clear();
        sampler.look(running, Some(&mut lines))?;
        running.printer.lines(&lines)?;
        if last {
            return Ok(());
        }
    }
}
