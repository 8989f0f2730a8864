//! Numbers for people: at most five characters for a count, three digits for a duration.

use itoa::Buffer;

/// Appends a count: whole below 10,000, else `12.3k`, `145M`.
pub fn count(value: u64, out: &mut Vec<u8>) {
    if value < 10_000 {
        integer(value, out);
    } else {
        scaled(value, 1000, b"kMGTPE", out);
    }
}

/// Appends bytes in units of 1024: `512B`, `1.5K`, `230M`.
pub fn bytes(value: u64, out: &mut Vec<u8>) {
    if value < 1024 {
        integer(value, out);
        out.push(b'B');
    } else {
        scaled(value, 1024, b"KMGTPE", out);
    }
}

/// Appends `value` per second when it was counted over `interval_ns` (not 0), with one decimal
/// below 10 where it is not whole.
pub fn per_second(value: u64, interval_ns: u64, out: &mut Vec<u8>) {
    let tenths = rate(value, interval_ns, 10);
    if tenths < 100 && !tenths.is_multiple_of(10) {
        decimal(tenths, 1, out);
    } else {
        count(rate(value, interval_ns, 1), out);
    }
}

/// Appends what `part` is of `whole` (not 0), in per cent: `0%`, `<0.01%`, `2.41%`, `100.0%`.
pub fn share(part: u64, whole: u64, out: &mut Vec<u8>) {
    let parts = |of: u128| {
        let whole = u128::from(whole.max(1));
        u64::try_from((u128::from(part) * of + whole / 2) / whole).unwrap_or(u64::MAX)
    };
    match (part, parts(10_000)) {
        (0, _) => out.push(b'0'),
        (_, 0) => out.extend_from_slice(b"<0.01"),
        (_, hundredths @ 1..1_000) => decimal(hundredths, 2, out),
        _ => decimal(parts(1_000), 1, out),
    }
    out.push(b'%');
}

/// Appends `value` bytes per second when they were counted over `interval_ns` (not 0).
pub fn bytes_per_second(value: u64, interval_ns: u64, out: &mut Vec<u8>) {
    bytes(rate(value, interval_ns, 1), out);
}

/// Appends a duration in ns with three digits: `123µs`, `1.50ms`, `12.3s`, `2m05s`, `3h12m`.
pub fn nanos(ns: u64, out: &mut Vec<u8>) {
    const SECOND: u64 = 1_000_000_000;
    // From half of the next unit's last digit on, the value rounds up into that unit.
    match ns {
        0..1_000 => unit(ns, 1, "ns", out),
        1_000..999_500 => unit(ns, 1_000, "µs", out),
        999_500..999_500_000 => unit(ns, 1_000_000, "ms", out),
        999_500_000..59_950_000_000 => unit(ns, SECOND, "s", out),
        _ => match ns / SECOND + u64::from(ns % SECOND >= SECOND / 2) {
            s @ 0..3_600 => pair(s / 60, b'm', s % 60, b's', out),
            s @ 3_600..86_400 => pair(s / 3_600, b'h', s / 60 % 60, b'm', out),
            s => pair(s / 86_400, b'd', s / 3_600 % 24, b'h', out),
        },
    }
}

/// Appends an integer without any grouping.
pub fn integer(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(Buffer::new().format(value).as_bytes());
}

fn rate(value: u64, interval_ns: u64, scale: u128) -> u64 {
    let ns = u128::from(interval_ns.max(1));
    let rate = (u128::from(value) * 1_000_000_000 * scale + ns / 2) / ns;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// `value` in the largest unit of `base` that leaves at least 1, one decimal below 100.
fn scaled(value: u64, base: u64, units: &[u8], out: &mut Vec<u8>) {
    let mut size = base;
    let mut units = units.iter().copied();
    let mut name = units.next().unwrap_or(b'?');
    // 999.5k would read 1000k, so it moves on to 1.0M.
    while rounded(value, size) >= base {
        let Some(next) = units.next() else { break };
        (size, name) = (size * base, next);
    }
    match value / size * 10 + rounded(value % size * 10, size) {
        tenths @ 0..1000 => decimal(tenths, 1, out),
        _ => integer(rounded(value, size), out),
    }
    out.push(name);
}

fn rounded(value: u64, size: u64) -> u64 {
    value / size + u64::from(value % size >= size.div_ceil(2))
}

/// `ns` in a unit of `size` ns, three significant digits.
fn unit(ns: u64, size: u64, name: &str, out: &mut Vec<u8>) {
    if size == 1 {
        integer(ns, out);
    } else if rounded(ns * 100, size) < 1_000 {
        decimal(rounded(ns * 100, size), 2, out);
    } else if rounded(ns * 10, size) < 1_000 {
        decimal(rounded(ns * 10, size), 1, out);
    } else {
        integer(rounded(ns, size), out);
    }
    out.extend_from_slice(name.as_bytes());
}

/// Writes `value` / 10^`places`.
fn decimal(value: u64, places: u32, out: &mut Vec<u8>) {
    let one = 10_u64.pow(places);
    integer(value / one, out);
    out.push(b'.');
    let mut digits = Buffer::new();
    // The one in front keeps leading zeros.
    out.extend_from_slice(&digits.format(one + value % one).as_bytes()[1..]);
}

fn pair(large: u64, large_unit: u8, small: u64, small_unit: u8, out: &mut Vec<u8>) {
    integer(large, out);
    out.push(large_unit);
    out.extend_from_slice(&Buffer::new().format(100 + small).as_bytes()[1..]);
    out.push(small_unit);
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
    fn shares() {
        for (part, whole, expected) in [
            (0, 9, "0%"),
            (1, 1_000_000, "<0.01%"),
            (241, 10_000, "2.41%"),
            (1, 3, "33.3%"),
            (7, 7, "100.0%"),
            (u64::MAX, u64::MAX, "100.0%"),
        ] {
            assert_eq!(text(|o| share(part, whole, o)), expected, "{part} of {whole}");
        }
    }

    #[test]
    fn counts() {
        for (value, expected) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0k"),
            (12_345, "12.3k"),
            (99_949, "99.9k"),
            (99_950, "100k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (14_500_000, "14.5M"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(text(|o| count(value, o)), expected, "{value}");
        }
    }

    #[test]
    fn byte_sizes() {
        for (value, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0K"),
            (1_572_864, "1.5M"),
            (1_048_575, "1.0M"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(text(|o| bytes(value, o)), expected, "{value}");
        }
    }

    #[test]
    fn rates() {
        let second = 1_000_000_000;
        assert_eq!(text(|o| per_second(3, second, o)), "3");
        assert_eq!(text(|o| per_second(3, 2 * second, o)), "1.5");
        assert_eq!(text(|o| per_second(1, second / 10, o)), "10");
        assert_eq!(text(|o| per_second(0, second, o)), "0");
        assert_eq!(text(|o| per_second(u64::MAX, 1, o)), "18.4E");
        assert_eq!(text(|o| bytes_per_second(3 << 20, 2 * second, o)), "1.5M");
    }

    #[test]
    fn durations() {
        for (ns, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (123_000, "123µs"),
            (999_499, "999µs"),
            (999_500, "1.00ms"),
            (1_500_000, "1.50ms"),
            (9_996_000, "10.0ms"),
            (12_300_000_000, "12.3s"),
            (59_949_000_000, "59.9s"),
            (59_950_000_000, "1m00s"),
            (125_000_000_000, "2m05s"),
            (3_599_600_000_000, "1h00m"),
            (11_520_000_000_000, "3h12m"),
            (100_800_000_000_000, "1d04h"),
            (u64::MAX, "213503d23h"),
        ] {
            assert_eq!(text(|o| nanos(ns, o)), expected, "{ns}");
        }
    }
}
