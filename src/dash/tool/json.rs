//! `--json`: the recording without a screen.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::clock::Ticker;
use crate::dash::Args;
use crate::dash::live::{Everything, Sampler};
use crate::tool::Running;
use crate::wait::Wake;

/// Prints what a dashboard would show, every interval.
pub fn print(args: &Args, everything: &Everything) -> Result<ExitCode> {
    let (mut running, mut sampler) =
        Running::start_with(everything, &args.common, args.interval, |session| {
            Sampler::new(session, &everything.filter)
        })?;
    let work = watch(&mut running, &mut sampler, args);
    running.finish(work, |running| sampler.glance(running))
}

fn watch(running: &mut Running, sampler: &mut Sampler, args: &Args) -> Result<()> {
    let mut ticker = Ticker::new(args.interval);
    let mut lines = Vec::new();
    loop {
        let end = ticker.next_end();
        let mut wake = Wake::Work;
        while wake == Wake::Work && Instant::now() < end && !running.is_over() {
            wake = running.rest(end.min(Instant::now() + sampler.pause()))?;
            sampler.glance(running)?;
        }
        let last = wake != Wake::Work || running.is_over();
        if last {
            // Nothing may be counted that the last interval does not show.
            running.detach()?;
        }
        lines.clear();
        sampler.sample(running, Some(&mut lines))?;
        running.printer.lines(&lines)?;
        if last {
            return Ok(());
        }
    }
}
