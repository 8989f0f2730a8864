//! `--json`: the recording without a screen.

use std::process::ExitCode;

use anyhow::Result;

use crate::dash::Args;
use crate::dash::live::{Everything, Sampler, watch};
use crate::tool::Running;

/// Prints what a dashboard would show, every interval.
pub fn print(args: &Args, everything: &Everything) -> Result<ExitCode> {
    let (mut running, mut sampler) =
        Running::start_with(everything, &args.common, args.interval, |session| {
            Sampler::new(session, everything)
        })?;
    let work = watch(&mut running, &mut sampler, args.interval, |running, sampler| {
        for record in sampler.sample(running)? {
            running.printer.line(|out| record.line(out))?;
        }
        Ok(running.printer.flush()?)
    });
    running.finish(work, |running| sampler.glance(running))
}
