//! Events that are summed up here, and shown every interval.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Running;
use crate::clock::{Ticker, monotonic_now};
use crate::wait::Wake;

/// Sums of events.
pub trait Summed {
    /// Adds what waits in the ring buffer, all of it the `last` time.
    ///
    /// # Errors
    /// The events cannot be read, or lines not written.
    fn take(&mut self, running: &mut Running, last: bool) -> Result<()>;

    /// Before the programs are taken away.
    ///
    /// # Errors
    /// What is read there cannot be.
    fn before_detach(&mut self, _running: &mut Running) -> Result<()> {
        Ok(())
    }

    /// Ends an interval of this length at the monotonic time `now`, both in ns.
    ///
    /// # Errors
    /// The rows cannot be written.
    fn print(&mut self, running: &mut Running, now: u64, length: u64) -> Result<()>;
}

/// Shows `sums` every interval, at most `count` times.
///
/// # Errors
/// Those of `sums`, or the programs cannot be taken away.
pub fn summarize(
    running: &mut Running,
    sums: &mut impl Summed,
    interval: Duration,
    count: Option<NonZeroU64>,
) -> Result<()> {
    let mut ticker = Ticker::new(interval);
    let mut began = monotonic_now();
    let intervals = count.map_or(u64::MAX, NonZeroU64::get);
    for nth in 1..=intervals {
        let wake = collect(running, sums, ticker.next_end())?;
        let last = nth == intervals || wake != Wake::Work || running.is_over();
        if last {
            // Nothing may be counted that the last interval does not show.
            sums.before_detach(running)?;
            running.detach()?;
            sums.take(running, true)?;
        }
        let now = monotonic_now();
        sums.print(running, now, now - began)?;
        began = now;
        if last {
            break;
        }
    }
    Ok(())
}

/// Takes events until `end` or a stop.
fn collect(running: &mut Running, sums: &mut impl Summed, end: Instant) -> Result<Wake> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let wake = running.rest_for_records(left)?;
        sums.take(running, false)?;
        if wake != Wake::Work || running.is_over() || Instant::now() >= end {
            return Ok(wake);
        }
    }
}
