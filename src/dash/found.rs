//! The findings on the overview: where they are, which of them is selected, and which is open.

use super::layout::{Area, Cut, Layout, first_shown};
use super::model::{Finding, Findings};
use super::related::related;
use crate::findings::page;
use crate::report::Key;

/// Lines that the checks may take below the findings.
const CHECKS: usize = 2;
/// Columns of a severity, and from which width on there is room for it.
const SEVERITY: u16 = 7;
const ROOMY: u16 = 60;
/// Columns of the mark that stands for it elsewhere.
const MARK: u16 = 2;

/// Columns before the text of a finding.
pub fn indent(width: u16) -> u16 {
    if width < ROOMY { MARK } else { SEVERITY }
}

/// What a line of the list belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The finding of this index.
    Finding(usize),
    /// Those from this index on, for which there is no room.
    More(usize),
    /// What was looked for.
    Checks,
}

/// A line of the list.
#[derive(Clone, Debug)]
pub struct ListLine {
    /// What it belongs to.
    pub item: Item,
    /// It is the first of that.
    pub first: bool,
    /// What it says.
    pub text: String,
}

/// The findings in this room, and how many more there are; else what was looked for.
pub fn lines(findings: &Findings, width: u16, height: u16) -> Vec<ListLine> {
    let found = &findings.found;
    let wide = usize::from(width.saturating_sub(indent(width))).max(1);
    let wrapped: Vec<_> = found.iter().map(|one| textwrap::wrap(&one.text, wide)).collect();
    let height = usize::from(height);
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
    let more = found.len() - shown;
    let room = height.saturating_sub(usize::from(more > 0));
    let mut lines = Vec::new();
    for (index, texts) in wrapped.iter().take(shown).enumerate() {
        let left = room.saturating_sub(lines.len());
        for (at, text) in texts.iter().take(left).enumerate() {
            let cut = if at + 1 == left && left < texts.len() { " …" } else { "" };
            let text = format!("{text}{cut}");
            lines.push(ListLine { item: Item::Finding(index), first: at == 0, text });
        }
    }
    if more > 0 {
        let text = if shown == 0 {
            format!("+{more} problems: too small a screen to show them")
        } else {
            format!("+{more} more")
        };
        lines.push(ListLine { item: Item::More(shown), first: true, text });
    } else {
        let checks = brief_checks(findings, width).into_iter().enumerate();
        lines.extend(checks.map(|(at, text)| ListLine {
            item: Item::Checks,
            first: at == 0,
            text,
        }));
    }
    lines.truncate(height);
    lines
}

/// Which checks were made, and which had no data, as lines.
pub fn checks(findings: &Findings, width: u16) -> Vec<String> {
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

/// The same below the findings: how many they are where they would take more than [`CHECKS`] lines.
fn brief_checks(findings: &Findings, width: u16) -> Vec<String> {
    let all = checks(findings, width);
    if all.len() <= CHECKS {
        return all;
    }
    let Findings { found, checked, unchecked, .. } = findings;
    let none = if found.is_empty() { "No problems found. " } else { "" };
    let absent = match unchecked.len() {
        0 => String::new(),
        absent => format!(", {absent} have no data"),
    };
    let text = format!("{none}{} topics checked{absent}: Enter lists them", checked.len());
    let lines = textwrap::wrap(&text, usize::from(width).max(1));
    lines.into_iter().map(std::borrow::Cow::into_owned).collect()
}

/// All that is to be said about a finding, as lines of which the first columns are headings or blank.
pub fn story(finding: &Finding, width: u16) -> Vec<String> {
    let evidence = page::evidence(finding);
    let rows = match related(finding) {
        Some(rows) => format!("Enter shows them: {}", rows.words()),
        None => "no view has rows of this".to_owned(),
    };
    let [what, others @ ..] = page::parts_of(finding);
    let parts = [what, ("evidence", evidence.as_str())]
        .into_iter()
        .chain(others)
        .chain([("rows", rows.as_str())]);
    let mut out = String::new();
    for (label, text) in parts.filter(|(_, text)| !text.is_empty()) {
        page::paragraph(label, text, width.into(), &mut out);
    }
    out.lines().map(str::to_owned).collect()
}

/// What a finding keeps when its numbers change.
type Id = (String, Key);

fn id(finding: &Finding) -> Id {
    (finding.rule.to_string(), finding.place())
}

/// What was found, which of it is selected, and what is open.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What is wrong, and what was looked for.
    pub all: Findings,
    cursor: usize,
    /// Not a finding is selected, but the line of the checks.
    checks: bool,
    /// The finding that the selection follows, once it was moved.
    followed: Option<Id>,
    /// The whole list is open.
    list: bool,
    open: Option<Box<Finding>>,
    top: u16,
}

impl Found {
    /// Index of the selected finding; that of the first one without room selects `+N more`. `None`: the checks, or
    /// there is none.
    pub fn cursor(&self) -> Option<usize> {
        let there = self.cursor < self.all.found.len();
        (there && (self.list || !self.checks)).then_some(self.cursor)
    }

    /// Whether the line of the checks is selected.
    pub fn on_checks(&self) -> bool {
        self.checks && !self.list
    }

    /// Whether the whole list is open.
    pub fn has_list(&self) -> bool {
        self.list
    }

    /// The open finding, and its first line on the screen.
    pub fn open(&self) -> Option<(&Finding, u16)> {
        self.open.as_deref().map(|finding| (finding, self.top))
    }

    /// The part of the overview that lists findings, and the rest.
    pub fn split(&self, layout: &Layout) -> (Area, Area) {
        let body = layout.body;
        let all = lines(&self.all, body.width, u16::MAX).len();
        let most = layout.findings().max(3.min(body.height));
        body.split(u16::try_from(all).unwrap_or(u16::MAX).min(most))
    }

    /// What it says, as lines.
    pub fn lines(&self, layout: &Layout) -> Vec<ListLine> {
        let (area, _) = self.split(layout);
        lines(&self.all, area.width, area.height)
    }

    /// The last that can be selected: behind those that are shown one by one `+N more`, or the checks.
    fn last(&self, layout: &Layout) -> usize {
        let checks = !self.list && self.lines(layout).iter().any(|line| line.item == Item::Checks);
        let all = self.all.found.len();
        self.more(layout).unwrap_or(if checks { all } else { all.saturating_sub(1) })
    }

    /// The first that is not shown one by one.
    fn more(&self, layout: &Layout) -> Option<usize> {
        self.lines(layout).iter().filter(|_| !self.list).find_map(|line| match line.item {
            Item::More(first) => Some(first),
            _ => None,
        })
    }

    /// Takes in what was found since. The selection stays with its finding, and an open one that is over
    /// stays as it was.
    pub fn take(&mut self, all: Findings) {
        self.all = all;
        let found = &self.all.found;
        let of = |wanted: &Id| found.iter().position(|one| id(one) == *wanted);
        if let Some(place) = self.followed.as_ref().and_then(of) {
            self.cursor = place;
        }
        self.cursor = self.cursor.min(found.len().saturating_sub(1));
        if let Some(open) = &mut self.open
            && let Some(now) = of(&id(open)).and_then(|place| found.get(place))
        {
            **open = now.clone();
        }
    }

    /// Selects a finding; the index behind the last one is that of the checks.
    fn select(&mut self, index: usize) {
        let found = &self.all.found;
        self.checks = index >= found.len() && !found.is_empty();
        self.cursor = index.min(found.len().saturating_sub(1));
        self.followed = found.get(index).map(id);
    }

    /// Scrolls the open finding as far as its last line, else selects another.
    pub fn step(&mut self, by: isize, layout: &Layout) {
        let Some(open) = &self.open else {
            let last = self.last(layout);
            let here = if self.on_checks() { last } else { self.cursor.min(last) };
            return self.select(here.saturating_add_signed(by).min(last));
        };
        let lines = u16::try_from(story(open, layout.body.width).len()).unwrap_or(u16::MAX);
        let top = usize::from(self.top).saturating_add_signed(by);
        let most = lines.saturating_sub(layout.body.height);
        self.top = u16::try_from(top).unwrap_or(u16::MAX).min(most);
    }

    /// Opens the finding beside the open one; `false` if none is open.
    pub fn beside(&mut self, by: isize) -> bool {
        if self.open.is_none() {
            return false;
        }
        let last = self.all.found.len().saturating_sub(1);
        self.select(self.cursor.saturating_add_signed(by).min(last));
        self.show();
        true
    }

    /// Opens what is selected: a finding, or the whole list with all checks. A list without findings has nothing
    /// to open, and is closed.
    pub fn enter(&mut self, layout: &Layout) {
        let more = self.more(layout).is_some_and(|more| self.cursor >= more);
        if self.all.found.is_empty() {
            self.list = !self.list;
        } else if !self.list && (self.on_checks() || more) {
            self.list = true;
        } else {
            self.show();
        }
    }

    fn show(&mut self) {
        self.open = self.all.found.get(self.cursor).cloned().map(Box::new);
        self.top = 0;
    }

    /// Opens what is at a place of the screen.
    pub fn click(&mut self, x: u16, y: u16, layout: &Layout) {
        let area = if self.list { layout.body } else { self.split(layout).0 };
        if !area.holds(x, y) {
            return;
        }
        let line = usize::from(y - area.y);
        let item = if self.list {
            Some(Item::Finding(first_shown(self.cursor, area.height) + line))
        } else {
            self.lines(layout).get(line).map(|line| line.item)
        };
        match item {
            Some(Item::Finding(index)) if index < self.all.found.len() => {
                self.select(index);
                self.show();
            }
            Some(Item::More(index)) => {
                self.select(index);
                self.list = true;
            }
            Some(Item::Checks) => {
                self.select(self.all.found.len());
                self.list = true;
            }
            _ => {}
        }
    }

    /// Closes the finding, else the list; `false` if nothing was open.
    pub fn close(&mut self) -> bool {
        self.open.take().is_some() || std::mem::take(&mut self.list)
    }
}

#[cfg(test)]
#[path = "found_tests.rs"]
mod tests;
