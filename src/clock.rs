//! The clocks of kernel records, of lines and of intervals.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_getres, clock_gettime};

/// Inode of the first time namespace (`PROC_TIME_INIT_INO`), whose clocks BPF programs read.
const INIT_TIME_NS: u64 = 0xEFFF_FFFA;

/// Turns `CLOCK_MONOTONIC` times of the kernel into wall-clock times.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    offset: i64,
}

impl WallClock {
    /// The current offset; call it for every batch, because clocks are stepped.
    pub fn now() -> Self {
        Self { offset: clock_ns(ClockId::Realtime) - kernel_monotonic() }
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
    u64::try_from(kernel_monotonic()).unwrap_or(0)
}

/// In a time namespace the clock of this process has an offset, which that of the programs has not.
fn kernel_monotonic() -> i64 {
    static OFFSET: OnceLock<i64> = OnceLock::new();
    let offset = OFFSET.get_or_init(|| {
        let first = fs::metadata("/proc/self/ns/time").map(|file| file.ino() == INIT_TIME_NS);
        if first.unwrap_or(true) {
            return 0;
        }
        let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
        monotonic_offset(&offsets).unwrap_or(0)
    });
    clock_ns(ClockId::Monotonic).saturating_sub(*offset)
}

/// ns that a time namespace adds to `CLOCK_MONOTONIC`, from lines of clock, seconds and nanoseconds.
fn monotonic_offset(offsets: &str) -> Option<i64> {
    let line = offsets.lines().find_map(|line| line.strip_prefix("monotonic "))?;
    let mut numbers = line.split_whitespace().map(str::parse::<i64>);
    let (seconds, nanos) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
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

/// Times of looks that cost as much as there are sockets. Without a given interval a look is due no sooner
/// than the tool has rested a number of times as long as the last one took of the CPU.
#[derive(Debug)]
pub struct Looks {
    ticker: Ticker,
    rests: u32,
    pause: Duration,
    begun: u64,
}

impl Looks {
    /// Rests with which looks take at most 4 % of a CPU.
    pub const SELDOM: u32 = 24;

    /// The interval that was given, or the usual one with so many rests.
    pub fn new(given: Option<Duration>, usual: Duration, rests: u32) -> Self {
        Self {
            ticker: Ticker::new(given.unwrap_or(usual)),
            rests: if given.is_some() { 0 } else { rests },
            pause: Duration::ZERO,
            begun: 0,
        }
    }

    /// When the next one is due.
    pub fn due(&mut self) -> Instant {
        self.ticker.next_end().max(Instant::now() + self.pause)
    }

    /// A look begins.
    pub fn begin(&mut self) {
        self.begun = own_cpu_ns();
    }

    /// It is over.
    pub fn end(&mut self) {
        let took = own_cpu_ns().saturating_sub(self.begun);
        self.pause = Duration::from_nanos(took).saturating_mul(self.rests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costly_looks_are_rare_unless_an_interval_was_given() {
        let usual = Duration::from_millis(1);
        let wait = |given| {
            let mut looks = Looks::new(given, usual, 1000);
            looks.begin();
            let until = own_cpu_ns() + 1_000_000;
            while own_cpu_ns() < until {}
            looks.end();
            looks.due() - Instant::now()
        };
        assert!(wait(None) > Duration::from_millis(900));
        assert!(wait(Some(usual)) <= usual);
    }

    /// As `unshare --time --monotonic 86400` gives it, and a clock that runs behind.
    #[test]
    fn a_time_namespace_has_an_offset() {
        let offsets = "monotonic       86400         0\nboottime          -10 500000000\n";
        assert_eq!(monotonic_offset(offsets), Some(86_400_000_000_000));
        assert_eq!(monotonic_offset("monotonic  -2 500000000\n"), Some(-1_500_000_000));
        assert_eq!(monotonic_offset("boottime  1 0\n"), None);
    }

    #[test]
    fn a_tick_is_one_that_kernels_are_built_with() {
        // kernel/Kconfig.hz
        let built = [100, 250, 300, 1000].map(|hz| 1_000_000_000 / hz);
        assert!(built.contains(&tick_ns()), "{} ns", tick_ns());
    }
}
