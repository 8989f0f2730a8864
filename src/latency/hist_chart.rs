//! Histogram with bars.

use crate::hist::{Histogram, SLOTS, SUBS, bounds, slot_of};
use crate::report::human;

/// Lines that a drawing has at most.
const LINES: usize = 20;
/// Characters of the longest bar.
const WIDTH: u64 = 40;
/// Eighths of a character, for the ends of bars.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A line for each range of durations between the shortest and the longest, in steps as fine as 20
/// lines allow.
pub fn bars(hist: &Histogram) -> String {
    let slots: Vec<(usize, u64)> =
        hist.buckets().map(|(ns, count)| (slot_of(ns.start), count)).collect();
    let (Some((first, _)), Some((last, _))) = (slots.first(), slots.last()) else {
        return String::new();
    };
    let step = [1, 2, 4, 8, SUBS, 2 * SUBS].into_iter();
    let step = step.into_iter().find(|step| last / step - first / step < LINES).unwrap_or(SLOTS);
    let mut lines = vec![0; last / step - first / step + 1];
    for (slot, count) in &slots {
        lines[slot / step - first / step] += count;
    }
    let most = lines.iter().copied().max().unwrap_or(1).max(1);
    let mut text = String::new();
    for (line, &count) in lines.iter().enumerate() {
        let from = (first / step + line) * step;
        let (start, end) = (bounds(from).start, bounds(from + step - 1).end);
        let (number, bar) = (shown(|out| human::count(count, out)), bar(count, most));
        let text_line = format!("{:>7} … {:>6} {number:>6} │{bar}", nanos(start), nanos(end));
        text.push_str(text_line.trim_end());
        text.push('\n');
    }
    text
}

/// At least a sliver for what is there at all.
fn bar(count: u64, most: u64) -> String {
    let eighths = u128::from(count) * u128::from(WIDTH * 8) / u128::from(most);
    let eighths = usize::try_from(eighths).unwrap_or_default().max(usize::from(count > 0));
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

fn nanos(ns: u64) -> String {
    shown(|out| human::nanos(ns, out))
}

fn shown(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_one_line() {
        let mut hist = Histogram::default();
        for (ns, count) in [(20_000_000, 1_000), (21_000_000, 80), (90_000_000_000, 1)] {
            (0..count).for_each(|_| hist.record(ns));
        }
        let text = bars(&hist);
        let counts: Vec<u64> =
            text.lines().filter_map(|line| line.split_whitespace().nth(3)?.parse().ok()).collect();
        assert_eq!(counts.iter().sum::<u64>(), 1_081, "{text}");
        assert!(text.lines().count() <= LINES, "{text}");
        assert!(text.lines().last().unwrap().ends_with('▏'), "{text}");
        assert_eq!(bars(&Histogram::default()), "");
    }

    #[test]
    fn few_slots_are_drawn_as_they_are() {
        let mut hist = Histogram::default();
        (0..4).for_each(|_| hist.record(20_500_000));
        (0..2).for_each(|_| hist.record(22_500_000));
        assert_eq!(
            bars(&hist),
            format!(
                " 19.9ms … 21.0ms      4 │{}\n 21.0ms … 22.0ms      0 │\n 22.0ms … 23.1ms      2 │{}\n",
                "█".repeat(40),
                "█".repeat(20)
            )
        );
    }
}
