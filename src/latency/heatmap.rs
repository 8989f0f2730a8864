//! Heatmap: one line of shaded cells per interval, latency across.

use std::collections::BTreeMap;

use super::{LatencyInterval, LatencyKind, Role};
use crate::hist::{Histogram, SLOTS, SUBS, bounds, slot_of};
use crate::report::{Cell, Ctx};

/// Slots of one cell: half an octave.
const STEP: usize = SUBS / 2;
const CELLS: usize = SLOTS / STEP;
/// Lines after which the scale is shown again.
const SCREEN: usize = 20;
/// Shade of a cell by its share of the interval's largest.
const SHADES: [(u64, char); 4] = [(2, '█'), (4, '▓'), (16, '▒'), (u64::MAX, '░')];
/// The ticks of the scale.
const TICKS: [(u64, &str); 9] = [
    (1_000, "1µs"),
    (10_000, "10µs"),
    (100_000, "100µs"),
    (1_000_000, "1ms"),
    (10_000_000, "10ms"),
    (100_000_000, "100ms"),
    (1_000_000_000, "1s"),
    (10_000_000_000, "10s"),
    (100_000_000_000, "100s"),
];

/// Draws interval after interval.
#[derive(Debug, Default)]
pub struct Heatmap {
    lines: usize,
}

impl Heatmap {
    /// The lines of an interval that ended at the wall-clock time `ts`, one for each kind and role
    /// that has any; a line without cells where there is none at all.
    pub fn draw(&mut self, interval: LatencyInterval, ts: i64, ctx: &mut Ctx) -> String {
        let mut all: BTreeMap<(LatencyKind, Role), Histogram> = BTreeMap::new();
        let records = interval.records.into_iter();
        let rows = records.map(|record| ((record.kind, record.role), record.sums));
        for (what, sums) in rows.chain(interval.other) {
            all.entry(what).or_default().merge(&sums.hist);
        }
        all.retain(|_, hist| hist.count() > 0);
        let mut text = String::new();
        let mut time = Vec::new();
        Cell::Time(ts).text(ctx, &mut time);
        let time = String::from_utf8_lossy(&time);
        if self.lines.is_multiple_of(SCREEN) {
            text.push_str(&scale());
        }
        if all.is_empty() {
            text.push_str(&time);
            text.push('\n');
        }
        for ((kind, role), hist) in &all {
            let role = role.name().unwrap_or("-");
            let line = format!("{time} {:<8} {role:<6} │{}│", kind.name(), cells(hist));
            text.push_str(&line);
            text.push('\n');
        }
        self.lines += 1;
        text
    }
}

fn cells(hist: &Histogram) -> String {
    let mut counts = [0; CELLS];
    for (ns, count) in hist.buckets() {
        counts[(slot_of(ns.start) / STEP).min(CELLS - 1)] += count;
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    let shade = |count: u64| {
        let enough = |(part, _): &&(u64, char)| count.saturating_mul(*part) >= most;
        SHADES.iter().find(enough).map_or('░', |(_, shade)| *shade)
    };
    counts.into_iter().map(|count| if count == 0 { ' ' } else { shade(count) }).collect()
}

/// Where the ticks are; a label begins at the cell that its duration is in.
fn scale() -> String {
    let mut line = vec![' '; CELLS + 8];
    for (ns, label) in TICKS {
        let cell = slot_of(ns) / STEP;
        debug_assert!(bounds(cell * STEP).start <= ns);
        for (at, c) in label.chars().enumerate() {
            line[cell + at] = c;
        }
    }
    let labels: String = line.into_iter().collect();
    format!("{:<12} {:<8} {:<6}  {}\n", "TIME", "KIND", "ROLE", labels.trim_end())
}

#[cfg(test)]
mod tests {
    use super::super::LatencyEntry;
    use super::*;
    use crate::wire::GroupKey;

    fn interval(durations: &[(u64, u64)]) -> LatencyInterval {
        let mut record =
            LatencyEntry::new(LatencyKind::Response, Role::Client, GroupKey::default());
        for &(ns, count) in durations {
            (0..count).for_each(|_| record.sums.hist.record(ns));
        }
        LatencyInterval { records: vec![record], other: [].into() }
    }

    fn column(line: &str, what: char) -> Option<usize> {
        line.chars().position(|c| c == what)
    }

    #[test]
    fn heatmap_cells_align_with_the_axis() {
        let mut shades = Heatmap::default();
        let text = shades.draw(interval(&[(10_000_000, 3)]), 0, &mut Ctx::new(0, true));
        let (scale, line) = text.split_once('\n').unwrap();
        let tick = scale.find("10ms").map(|at| scale[..at].chars().count());
        assert_eq!(column(line, '█'), tick, "{text}");
    }

    #[test]
    fn shades_show_shares_and_rare_values_stay_visible() {
        let mut shades = Heatmap::default();
        let durations = [(1_000, 1_000), (4_000, 300), (16_000, 70), (1_000_000, 1)];
        let text = shades.draw(interval(&durations), 0, &mut Ctx::new(0, true));
        let shown: String = text.chars().filter(|c| SHADES.iter().any(|(_, s)| s == c)).collect();
        assert_eq!(shown, "█▓▒░");
    }

    #[test]
    fn the_axis_repeats_every_screen() {
        let mut shades = Heatmap::default();
        let mut ctx = Ctx::new(0, true);
        let texts: String =
            (0..=SCREEN).map(|_| shades.draw(LatencyInterval::default(), 0, &mut ctx)).collect();
        assert_eq!(texts.matches("100ms").count(), 2);
        assert_eq!(texts.lines().count(), SCREEN + 3);
    }
}
