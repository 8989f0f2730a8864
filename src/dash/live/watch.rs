//! A session that is sampled every interval, until it is over.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Sampler;
use crate::clock::Ticker;
use crate::tool::Running;
use crate::wait::Wake;

/// Calls `sample` at the end of each interval, the last time when the session is over.
///
/// # Errors
/// Those of `sample`, or a map or an iterator cannot be read.
pub fn watch(
    running: &mut Running,
    sampler: &mut Sampler,
    interval: Duration,
    mut sample: impl FnMut(&mut Running, &mut Sampler) -> Result<()>,
) -> Result<()> {
    let mut ticker = Ticker::new(interval);
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
        if running.is_over() {
            sampler.look_once_more();
        }
        sample(running, sampler)?;
        if last {
            return Ok(());
        }
    }
}
