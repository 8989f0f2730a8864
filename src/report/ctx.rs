//! Context of a value's text: interval, zone, the current second.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

const NS: i64 = 1_000_000_000;

/// The surroundings of a cell. Keeps the second it wrote last, as most rows share it.
pub struct Ctx {
    /// Time that [`PerSec`](super::Cell::PerSec) values were counted over, in ns. At 0 they are
    /// shown as the sums they are (`--cumulative`).
    pub interval_ns: u64,
    zone: TimeZone,
    clock: Second,
}

/// The text of one second of the clock.
struct Second {
    /// Seconds since the epoch; `None` before the first use.
    at: Option<i64>,
    text: [u8; 8],
}

impl Second {
    const EMPTY: Self = Self { at: None, text: [b'-'; 8] };
}

impl Ctx {
    /// Shows the time of day in UTC or else in the zone of this machine.
    pub fn new(interval_ns: u64, utc: bool) -> Self {
        let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
        Self { interval_ns, zone, clock: Second::EMPTY }
    }

    /// Appends `HH:MM:SS.mmm` for a wall-clock time in ns since the epoch.
    pub fn clock(&mut self, ns: i64, out: &mut Vec<u8>) {
        let second = ns.div_euclid(NS);
        if self.clock.at != Some(second) {
            self.clock.at = Some(second);
            let t = at(second).to_zoned(self.zone.clone());
            fill(
                &mut self.clock.text,
                format_args!("{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second()),
            );
        }
        out.extend_from_slice(&self.clock.text);
        out.push(b'.');
        fraction(ns.rem_euclid(NS) / 1_000_000 + 1000, out);
    }
}

fn at(second: i64) -> Timestamp {
    // Any i64 of nanoseconds lies between the years 1677 and 2262, which jiff covers.
    Timestamp::from_second(second).unwrap_or_default()
}

fn fill(text: &mut [u8], args: std::fmt::Arguments<'_>) {
    let mut rest = text;
    // The widths are those of the formats, so there is always room.
    let _ = rest.write_fmt(args);
}

/// Writes the digits below the leading 1, which keeps the leading zeros.
fn fraction(with_one_in_front: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&itoa::Buffer::new().format(with_one_in_front).as_bytes()[1..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn formats_times_and_caches_the_second() {
        let mut ctx = Ctx::new(NS.unsigned_abs(), true);
        let ns = 1_767_323_045 * NS + 7;
        assert_eq!(text(|o| ctx.clock(ns + 45_000_000, o)), "03:04:05.045");
        assert_eq!(text(|o| ctx.clock(-1, o)), "23:59:59.999");
    }

    #[test]
    fn local_time_uses_the_machine_zone() {
        let ns = 1_767_323_045 * NS;
        let here = at(1_767_323_045).to_zoned(TimeZone::system());
        let mut ctx = Ctx::new(0, false);
        assert_eq!(text(|o| ctx.clock(ns, o)), here.strftime("%H:%M:%S.000").to_string());
    }
}
