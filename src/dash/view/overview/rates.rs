//! Rates over the last minutes: the newest value, the peak of what is shown, and a time axis.

use ratatui::layout::{Constraint, Layout};
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

use super::super::canvas::width;
use super::Canvas;
use crate::dash::layout::{self, Area, Cut};
use crate::dash::model::{Metric, Model};
use crate::report::human;

/// What a rate counts.
#[derive(Clone, Copy)]
enum Unit {
    Bytes,
    Events,
    Percent,
}

/// One of the rates.
struct Rate {
    name: &'static str,
    unit: Unit,
    values: fn(&Model, usize) -> Vec<Option<f64>>,
}

macro_rules! rate {
    ($name:literal, $unit:ident, $metric:ident) => {
        Rate {
            name: $name,
            unit: Unit::$unit,
            values: |model, seconds| model.history.values(Metric::$metric, model.now, seconds),
        }
    };
}

const RATES: [Rate; LINES as usize - 1] = [
    rate!("sent", Bytes, SentBytes),
    rate!("received", Bytes, ReceivedBytes),
    rate!("segments", Events, Segments),
    rate!("opens", Events, Opens),
    rate!("accepts", Events, Accepts),
    rate!("failed", Events, AttemptFails),
    Rate { name: "retransmits", unit: Unit::Percent, values: retransmitted },
    rate!("resets", Events, Resets),
];

/// One line each, and the axis.
pub const LINES: u16 = layout::RATES;
/// Lines of a chart: its title, three of values, and two of its axis.
const CHART: u16 = 6;
/// Columns of a name, of a value, and of a peak.
const NAME: u16 = 12;
const VALUE: u16 = 9;
const PEAK: u16 = 14;
/// A narrower screen has no room for peaks.
const NARROW: u16 = 50;
/// Seconds that a graph shows at least: where it has fewer columns, each is the mean of several.
const LEAST: u16 = 120;

/// Segments retransmitted of all sent, in per cent.
fn retransmitted(model: &Model, seconds: usize) -> Vec<Option<f64>> {
    let of = |metric| model.history.values(metric, model.now, seconds);
    let pairs = of(Metric::Retransmits).into_iter().zip(of(Metric::Segments));
    let share = |(again, first): (Option<f64>, Option<f64>)| {
        let (again, all) = (again?, again? + first?);
        Some(if all > 0.0 { 100.0 * again / all } else { 0.0 })
    };
    pairs.map(share).collect()
}

impl Rate {
    /// `1.2M/s`, `40/s`, `2.41%`
    fn words(&self, value: f64) -> String {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite")]
        let thousandths = (value * 1000.0).round() as u64;
        let mut text = Vec::new();
        match self.unit {
            Unit::Bytes => human::bytes(thousandths / 1000, &mut text),
            Unit::Events => human::per_second(thousandths, 1_000_000_000_000, &mut text),
            Unit::Percent => human::share(thousandths, 100_000, &mut text),
        }
        let unit = match self.unit {
            Unit::Percent => "",
            Unit::Bytes if !text.ends_with(b"B") => "B/s",
            _ => "/s",
        };
        format!("{}{unit}", String::from_utf8_lossy(&text))
    }

    /// The newest value that is known of the last few seconds, and the peak of all.
    fn newest_and_peak(&self, values: &[Option<f64>]) -> (String, Option<f64>) {
        let newest = values.iter().rev().take(5).flatten().next();
        let peak = values.iter().flatten().copied().reduce(f64::max);
        (newest.map_or("-".to_owned(), |value| self.words(*value)), peak)
    }
}

/// Charts where there is room for all, else lines.
pub fn draw(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    let single = model.look.extent().is_some_and(|extent| extent.read + extent.closed == 1);
    let inner = canvas.titled(area, if single { "rates" } else { "rates, of all namespaces" });
    if inner.height < CHART * (LINES - 1) {
        let tall = (inner.height.saturating_sub(1) / (LINES - 1)).max(1);
        return several(canvas, model, inner, tall);
    }
    let areas = Layout::vertical([Constraint::Fill(1); RATES.len()]).split(inner);
    for (rate, area) in RATES.iter().zip(areas.iter()) {
        chart(canvas, model, rate, *area);
    }
}

/// A line for each, and the time axis below.
pub fn lines(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    several(canvas, model, area, 1);
}

fn several(canvas: &mut Canvas<'_>, model: &Model, area: Area, tall: u16) {
    let peaks = if area.width < NARROW { 0 } else { PEAK };
    let label = NAME + VALUE + 1;
    for (index, rate) in (0..).zip(&RATES) {
        let line = area.split(index * tall).1.split(tall).0;
        let (text, graph) = line.beside(label + peaks);
        let step = step(graph.width);
        let values = (rate.values)(model, usize::from(graph.width * step));
        let (newest, peak) = rate.newest_and_peak(&values);
        let values: Vec<_> = values.chunks(step.into()).map(mean).collect();
        canvas.text(text, 0, 0, rate.name, canvas.theme.strong());
        let idle = matches!(newest.as_str(), "-" | "0/s" | "0B/s" | "0%");
        let style = if idle { canvas.theme.faint() } else { ratatui::style::Style::new() };
        canvas.text(text, (NAME + VALUE).saturating_sub(width(&newest)), 0, &newest, style);
        if let Some(peak) = peak.filter(|peak| peaks > 0 && *peak > 0.0) {
            let words = format!("peak {}", rate.words(peak));
            canvas.text(text, label, 0, &words, canvas.theme.faint());
        }
        canvas.spark(graph, &values, peak.filter(|peak| *peak > 0.0).unwrap_or(1.0));
    }
    let below = area.split((LINES - 1) * tall).1;
    axis(canvas, below.beside(label + peaks).1);
}

/// Seconds of a column.
fn step(columns: u16) -> u16 {
    LEAST.div_ceil(columns.max(1)).max(1)
}

/// The mean of the values that are known.
fn mean(values: &[Option<f64>]) -> Option<f64> {
    let known = || values.iter().flatten();
    let count = u32::try_from(known().count()).ok().filter(|count| *count > 0)?;
    Some(known().sum::<f64>() / f64::from(count))
}

/// `  -2m     -1m     now`: whole minutes, each from its column on.
fn axis(canvas: &mut Canvas<'_>, area: Area) {
    let style = canvas.theme.faint();
    let step = step(area.width);
    let minutes = area.width * step / 60;
    let middle = (area.width > 40).then_some(minutes / 2);
    for minutes in [Some(minutes), middle].into_iter().flatten() {
        let x = area.width.saturating_sub(minutes * 60 / step);
        canvas.text(area, x, 0, &format!("-{minutes}m"), style);
    }
    canvas.text(area, area.width.saturating_sub(3), 0, "now", style);
}

fn chart(canvas: &mut Canvas<'_>, model: &Model, rate: &Rate, area: Area) {
    let (title, rest) = area.split(1);
    // Two dots of Braille lie side by side in a column. Whole minutes have a short label.
    let minutes = (rest.width.saturating_sub(VALUE) * 2).max(LEAST) / 60;
    let seconds = minutes * 60;
    let values = (rate.values)(model, seconds.into());
    let (newest, peak) = rate.newest_and_peak(&values);
    let top = peak.filter(|peak| *peak > 0.0);
    let x = canvas.text(title, 0, 0, rate.name, canvas.theme.strong());
    let x = canvas.text(title, x + 1, 0, &newest, ratatui::style::Style::new());
    if let Some(top) = top {
        let words = format!("peak {}", rate.words(top));
        canvas.text(title, x + 2, 0, &words, canvas.theme.faint());
    }
    // Lines join what is known, and never over what is not.
    let place = |at: usize| f64::from(u16::try_from(at).unwrap_or(0)) - f64::from(seconds);
    let point = |(at, value): (usize, &Option<f64>)| value.map(|value| (place(at + 1), value));
    let points: Vec<_> = values.iter().enumerate().map(point).collect();
    let runs: Vec<Vec<_>> =
        points.split(Option::is_none).map(|run| run.iter().flatten().copied().collect()).collect();
    let data = runs.iter().filter(|run| !run.is_empty()).map(|run| {
        let kind = if run.len() > 1 { GraphType::Line } else { GraphType::Scatter };
        let data = Dataset::default().data(run).marker(Marker::Braille).graph_type(kind);
        data.style(canvas.theme.graph())
    });
    let top = top.unwrap_or(1.0);
    let faint = canvas.theme.faint();
    let y =
        Axis::default().bounds([0.0, top]).style(faint).labels(["0".to_owned(), rate.words(top)]);
    let x = Axis::default().bounds([1.0 - f64::from(seconds), 0.0]).style(faint);
    let x = x.labels([format!("-{minutes}m"), "now".to_owned()]);
    Chart::new(data.collect()).x_axis(x).y_axis(y).render(rest, canvas.screen);
}
