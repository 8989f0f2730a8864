use super::*;
use crate::dash::View;
use crate::findings::Scope;

fn findings(count: u32) -> Findings {
    let one = |pid| Finding {
        rule: "close-wait-held".into(),
        scope: Some(Scope::Process),
        pid: Some(pid),
        text: format!("process {pid} holds sockets").into(),
        ..Finding::default()
    };
    Findings { found: (0..count).map(one).collect(), ..Findings::default() }
}

fn found(count: u32) -> Found {
    let mut found = Found::default();
    found.take(findings(count));
    found
}

/// A screen with room for so many lines of findings.
fn layout(lines: u16) -> Layout {
    let layout = Layout::of(View::Overview, 80, lines + 17, false);
    assert_eq!(layout.findings(), lines);
    layout
}

fn pid(found: &Found) -> Option<u32> {
    found.open().and_then(|(finding, _)| finding.pid)
}

#[test]
fn the_selection_follows_its_finding() {
    let (mut found, layout) = (found(5), layout(9));
    found.step(2, &layout);
    let mut fewer = findings(5);
    fewer.found.remove(0);
    found.take(fewer);
    found.enter(&layout);
    assert_eq!((found.cursor(), pid(&found)), (Some(1), Some(2)));
    found.take(Findings::default());
    assert_eq!(pid(&found), Some(2), "it stays as it was");
    assert!(found.close() && !found.close());
    found.enter(&layout);
    assert_eq!(pid(&found), None);
}

#[test]
fn more_opens_the_whole_list_and_closes_in_steps() {
    let (mut found, layout) = (found(5), layout(3));
    found.step(isize::MAX, &layout);
    assert_eq!(found.cursor(), Some(2), "+3 more");
    found.enter(&layout);
    assert!(found.has_list() && found.open().is_none());
    found.step(2, &layout);
    found.enter(&layout);
    assert_eq!(pid(&found), Some(4));
    assert!(found.beside(-1));
    assert_eq!(pid(&found), Some(3));
    assert!(found.close() && found.has_list() && !found.beside(1));
    assert!(found.close() && !found.has_list() && !found.close());
    found.step(0, &layout);
    assert_eq!(found.cursor(), Some(2), "back on the line of the others");
}

#[test]
fn every_line_belongs_to_something_and_none_is_beyond_the_room() {
    let all = findings(7);
    for width in [1, 10, 40, 200] {
        for height in 0..12 {
            let lines = lines(&all, width, height);
            assert!(lines.len() <= usize::from(height), "{width} {height}");
            let one_by_one = lines
                .iter()
                .filter(|line| line.first && matches!(line.item, Item::Finding(_)))
                .count();
            let more = lines.iter().find_map(|line| match line.item {
                Item::More(first) => Some(7 - first),
                _ => None,
            });
            assert!(height == 0 || one_by_one + more.unwrap_or(0) == 7, "{width} {height}");
        }
    }
}

#[test]
fn many_checks_are_one_line_that_opens_all_of_them() {
    let mut all = findings(1);
    all.checked = vec!["retransmits"];
    all.unchecked = vec!["orphans"];
    let texts = |all: &Findings| -> Vec<String> {
        lines(all, 80, 20).into_iter().map(|line| line.text).collect()
    };
    let few = [
        "process 0 holds sockets",
        "Checked: retransmits.",
        "Not checked, as no data tell: orphans.",
    ];
    assert_eq!(texts(&all), few);
    all.checked = vec!["retransmits"; 12];
    let many = ["process 0 holds sockets", "12 topics checked, 1 have no data: Enter lists them"];
    assert_eq!(texts(&all), many);
    let layout = layout(9);
    let mut found = Found::default();
    found.take(all);
    found.step(isize::MAX, &layout);
    assert!(found.on_checks() && found.cursor().is_none());
    found.enter(&layout);
    assert!(found.has_list() && found.open().is_none());
    // In the list all are findings.
    assert_eq!(found.cursor(), Some(0));
    found.enter(&layout);
    assert_eq!(pid(&found), Some(0));
    assert!(found.close() && found.close() && !found.close());
    found.step(-1, &layout);
    assert_eq!(found.cursor(), Some(0));
    found.take(Findings { checked: vec!["retransmits"; 12], ..Findings::default() });
    assert_eq!(
        found.lines(&layout)[0].text,
        "No problems found. 12 topics checked: Enter lists them"
    );
    found.enter(&layout);
    assert!(found.has_list());
    found.enter(&layout);
    assert!(!found.has_list(), "there is nothing in it to open");
}
