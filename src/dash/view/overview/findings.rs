//! Findings, and what was looked for.

use super::Canvas;
use crate::dash::layout::{Area, Cut};
use crate::dash::model::Findings;

/// Lines that all of it takes.
pub fn lines(findings: &Findings, width: u16) -> u16 {
    let wide = usize::from(width.saturating_sub(2)).max(1);
    let found = findings.found.iter().map(|one| textwrap::wrap(&one.text, wide).len());
    let checks = checks(findings, width).len();
    u16::try_from(found.sum::<usize>() + checks).unwrap_or(u16::MAX)
}

/// What is wrong, as far as there is room, and how much more there is; then what was looked for.
pub fn draw(canvas: &mut Canvas<'_>, findings: &Findings, area: Area) {
    let found = &findings.found;
    let width = usize::from(area.width.saturating_sub(2)).max(1);
    let wrapped: Vec<_> = found.iter().map(|one| textwrap::wrap(&one.text, width)).collect();
    let height = usize::from(area.height);
    let fits = |room: usize| {
        let mut used = 0;
        let ends = wrapped.iter().map(|lines| {
            used += lines.len();
            used
        });
        ends.filter(|end| *end <= room).count()
    };
    // The last line says how many more there are, unless all fit.
    let mut shown = fits(height);
    if shown < found.len() {
        shown = fits(height.saturating_sub(1)).max(usize::from(height > 1));
    }
    let mut y = 0;
    for (finding, lines) in found.iter().zip(&wrapped).take(shown) {
        let style = canvas.theme.weight(finding.weight());
        canvas.text(area, 0, y, "!", style);
        let room = area.height - u16::from(shown < found.len());
        let left = usize::from(room.saturating_sub(y));
        for (at, line) in lines.iter().take(left).enumerate() {
            let cut = if at + 1 == left && left < lines.len() { " …" } else { "" };
            canvas.text(area, 2, y, &format!("{line}{cut}"), style);
            y += 1;
        }
    }
    if let Some(next) = found.get(shown) {
        let style = canvas.theme.weight(next.weight());
        let left = found.len() - shown;
        let text = if shown == 0 {
            format!("+{left} problems: too small a screen to show them")
        } else {
            format!("+{left} more")
        };
        canvas.text(area, 0, y, &text, style);
        return;
    }
    let below = area.split(y).1;
    for (y, line) in (0..below.height).zip(checks(findings, area.width)) {
        canvas.text(below, 0, y, &line, canvas.theme.faint());
    }
}

/// Which checks found nothing, and which had no data.
fn checks(findings: &Findings, width: u16) -> Vec<String> {
    let Findings { found, checked, unchecked, .. } = findings;
    let mut texts = Vec::new();
    if !checked.is_empty() {
        let none = if found.is_empty() { "No problems found. Checked: " } else { "Checked: " };
        texts.push(format!("{none}{}.", checked.join(", ")));
    }
    if !unchecked.is_empty() {
        texts.push(format!("Not checked, as no data tell: {}.", unchecked.join(", ")));
    }
    let width = usize::from(width).max(1);
    let lines = texts.iter().flat_map(|text| textwrap::wrap(text, width));
    lines.map(std::borrow::Cow::into_owned).collect()
}
