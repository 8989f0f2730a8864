//! The clocks of kernel records, of lines and of intervals.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_getres, clock_gettime};

/// Turns `CLOCK_MONOTONIC` times of the kernel into wall-clock times.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    offset: i64,
}

impl WallClock {
    /// The current offset; call it for every batch, because clocks are stepped.
    pub fn now() -> Self {
        Self { offset: clock_ns(ClockId::Realtime) - clock_ns(ClockId::Monotonic) }
    }

    /// ns since the epoch.
    pub fn at(self, monotonic_ns: u64) -> i64 {
        i64::try_from(monotonic_ns).unwrap_or(i64::MAX).saturating_add(self.offset)
    }
}

/// ns since the epoch, now.
pub fn wall_now() -> i64 {
    clock_ns(ClockId::Realtime)
}

/// `CLOCK_MONOTONIC` ns, the clock of the kernel's records.
pub fn monotonic_now() -> u64 {
    u64::try_from(clock_ns(ClockId::Monotonic)).unwrap_or(0)
}

/// CPU time this process has used, in ns.
pub fn own_cpu_ns() -> u64 {
    u64::try_from(clock_ns(ClockId::ProcessCPUTime)).unwrap_or(0)
}

/// ns of a jiffy. The kernel does not tell `CONFIG_HZ`, but its coarse clocks advance once per tick.
pub fn tick_ns() -> u32 {
    u32::try_from(clock_getres(ClockId::MonotonicCoarse).tv_nsec).unwrap_or(0)
}

fn clock_ns(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// The moments at which an interval ends, without drift: a late one does not delay the next.
#[derive(Debug)]
pub struct Ticker {
    end: Instant,
    interval: Duration,
}

impl Ticker {
    /// The first tick comes one interval from now.
    pub fn new(interval: Duration) -> Self {
        Self { end: Instant::now() + interval, interval }
    }

    /// End of the current interval, for waiting; then the next one begins. Missed intervals are
    /// skipped.
    pub fn next_end(&mut self) -> Instant {
        let now = Instant::now();
        while self.end <= now {
            self.end += self.interval;
        }
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_one_that_kernels_are_built_with() {
        // kernel/Kconfig.hz
        let built = [100, 250, 300, 1000].map(|hz| 1_000_000_000 / hz);
        assert!(built.contains(&tick_ns()), "{} ns", tick_ns());
    }
}
