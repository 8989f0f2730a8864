//! A heatmap: time to the right, latency upwards, darker = more of an interval's
//! measurements lie there. What lies in a bucket, or where the recording has none between two
//! quantiles, is spread evenly over the logarithm.
//!
//! ratatui has no heatmap: its charts and canvas draw points that are there or not, without a shade.

use ratatui::style::Style;

use super::Canvas;
use crate::dash::layout::{Area, Cut};
use crate::dash::model::{Model, float, sum};
use crate::dash::rows::LatencyRow;
use crate::latency::Latency;
use crate::report::Cell;

/// Columns of the scale.
const SCALE: u16 = 8;

/// Draws the intervals of a row's key.
pub fn draw(canvas: &mut Canvas<'_>, model: &Model, row: &LatencyRow, area: Area) {
    let title = format!("{} over time: darker = more", row.name());
    canvas.text(area, 0, 0, &title, canvas.theme.strong());
    let (_, area) = area.split(1);
    let Some(intervals) = model.series.latencies(&row.row) else { return };
    let (_, map) = area.beside(SCALE);
    let skipped = intervals.len().saturating_sub(usize::from(map.width));
    let shown: Vec<&Latency> = intervals.iter().skip(skipped).collect();
    let lows = shown.iter().filter_map(|one| one.min_ns.or(one.p50_ns)).min();
    let highs = shown.iter().filter_map(|one| one.max_ns.or(one.p999_ns)).max();
    let (Some(low), Some(high)) = (lows, highs) else { return };
    let scale = Scale::new(low, high, area.height);
    for y in 0..area.height {
        let label = Area { width: SCALE - 1, ..area };
        canvas.cell(
            label,
            y,
            Cell::Nanos(scale.bottom(y)),
            crate::report::Align::Right,
            canvas.theme.faint(),
        );
    }
    let blank = usize::from(map.width) - shown.len();
    for (x, interval) in (blank..).zip(&shown) {
        let x = map.x + u16::try_from(x).unwrap_or(0);
        column(canvas, &scale, interval, map, x);
    }
}

fn column(canvas: &mut Canvas<'_>, scale: &Scale, interval: &Latency, map: Area, x: u16) {
    let bands = bands(interval);
    for y in 0..map.height {
        let (low, high) = scale.bounds(y);
        let part: f64 = bands.iter().map(|band| band.within(low, high)).sum();
        let signs = canvas.theme.shades();
        let shade = match part {
            part if part <= 0.0 => continue,
            part if part < 0.05 => signs[1],
            part if part < 0.2 => signs[2],
            part if part < 0.5 => signs[3],
            _ => signs[4],
        };
        let slow = part < 0.05 && y < map.height / 3;
        let style = if slow { Style::new() } else { canvas.theme.graph() };
        canvas.put(x, map.y + y, shade, style);
    }
}

/// Measurements between two quantiles.
struct Band {
    low: f64,
    high: f64,
    share: f64,
}

impl Band {
    /// The part of all measurements that lies in it and between two logarithms.
    fn within(&self, low: f64, high: f64) -> f64 {
        if self.high <= self.low {
            return if (low..high).contains(&self.low) { self.share } else { 0.0 };
        }
        let overlap = (self.high.min(high) - self.low.max(low)).max(0.0);
        self.share * overlap / (self.high - self.low)
    }
}

/// With buckets (`--buckets`) each is a band of its own; else what lies between quantiles.
fn bands(interval: &Latency) -> Vec<Band> {
    if let Some(buckets) = interval.buckets.as_deref().filter(|all| !all.is_empty()) {
        let all = float(sum(buckets.iter().map(|&[.., count]| count)).max(1));
        let band = |&[from, to, count]: &[u64; 3]| Band {
            low: log(from.max(interval.min_ns.unwrap_or(from))),
            high: log(to.min(interval.max_ns.unwrap_or(to))),
            share: float(count) / all,
        };
        return buckets.iter().map(band).collect();
    }
    let quantiles = [
        (0.0, interval.min_ns),
        (0.5, interval.p50_ns),
        (0.9, interval.p90_ns),
        (0.99, interval.p99_ns),
        (0.999, interval.p999_ns),
        (1.0, interval.max_ns),
    ];
    let known: Vec<_> =
        quantiles.iter().filter_map(|(q, ns)| Some((*q, log(ns.as_ref().copied()?)))).collect();
    let pairs = known.windows(2);
    pairs
        .map(|pair| Band { low: pair[0].1, high: pair[1].1, share: pair[1].0 - pair[0].0 })
        .collect()
}

fn log(ns: u64) -> f64 {
    float(ns.max(1)).log10()
}

/// Lines of the map to latencies.
struct Scale {
    low: f64,
    step: f64,
    lines: u16,
}

impl Scale {
    /// At least from `low` to `high`, ns, in this many lines.
    fn new(low: u64, high: u64, lines: u16) -> Self {
        let bottom = log(low);
        // A little more than the highest, which lies within its line then.
        let span = (log(high) - bottom).max(0.3) * 1.0001;
        Self { low: bottom, step: span / f64::from(lines.max(1)), lines }
    }

    /// Logarithms between which a line lies; 0 is the top one.
    fn bounds(&self, y: u16) -> (f64, f64) {
        let low = self.low + f64::from(self.lines - 1 - y) * self.step;
        (low, low + self.step)
    }

    /// The lowest latency of a line, ns.
    fn bottom(&self, y: u16) -> u64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "of u64 latencies"
        )]
        let ns = 10f64.powf(self.bounds(y).0).round() as u64;
        ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_measurements_are_on_the_heatmap() {
        let interval = Latency {
            min_ns: Some(5_000),
            p50_ns: Some(20_000),
            p90_ns: Some(21_000),
            p99_ns: Some(22_000),
            p999_ns: Some(30_000),
            max_ns: Some(9_000_000),
            ..Latency::default()
        };
        for lines in 1..30 {
            let scale = Scale::new(5_000, 9_000_000, lines);
            let all: f64 = (0..lines)
                .map(|y| scale.bounds(y))
                .flat_map(|(low, high)| {
                    bands(&interval).into_iter().map(move |b| b.within(low, high))
                })
                .sum();
            assert!((all - 1.0).abs() < 1e-9, "{lines}: {all}");
        }
    }

    #[test]
    fn a_single_value_has_its_line() {
        let same = Latency { min_ns: Some(7), max_ns: Some(7), ..Latency::default() };
        let scale = Scale::new(7, 7, 5);
        let (low, high) = scale.bounds(4);
        assert!((bands(&same)[0].within(low, high) - 1.0).abs() < 1e-9);
        assert_eq!(scale.bottom(4), 7);
    }
}
