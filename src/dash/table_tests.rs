use super::*;
use crate::dash::rows::ProcessRow;

fn row(pid: u32, time_wait: Option<u64>) -> ProcessRow {
    let mut row = ProcessRow::default();
    row.key.pid = Some(pid);
    row.sockets = time_wait.map(|n| std::array::from_fn(|i| if i == 6 { n } else { 0 }));
    row
}

fn pids(table: &TableState<ProcessRow>) -> Vec<u32> {
    table.rows().iter().map(|row| row.key.pid.unwrap()).collect()
}

const TIME_WAIT: usize = 5;

#[test]
fn the_selection_follows_its_row_and_not_its_line() {
    let mut table = TableState::default();
    table.sort_by(TIME_WAIT);
    table.fill((1..=9).map(|pid| row(pid, Some(pid.into()))).collect());
    assert_eq!((pids(&table)[0], table.cursor()), (9, 0));
    table.fill((1..=9).map(|pid| row(pid, Some(100 - u64::from(pid)))).collect());
    assert_eq!((pids(&table)[0], table.cursor()), (1, 0), "unmoved it stays on top");
    table.step(2, 4);
    assert_eq!(table.selected().unwrap().key.pid, Some(3));
    table.fill((1..=9).map(|pid| row(pid, Some(pid.into()))).collect());
    assert_eq!(table.selected().unwrap().key.pid, Some(3));
    assert_eq!((table.cursor(), table.top(4)), (6, 4), "at the same height");
    table.fill(vec![row(8, None)]);
    assert_eq!(table.selected().unwrap().key.pid, Some(8));
    table.fill(vec![row(3, None), row(8, Some(1))]);
    assert_eq!(table.selected().unwrap().key.pid, Some(3), "it has come back");
}

#[test]
fn unknown_values_come_last_both_ways() {
    let mut table = TableState::default();
    table.fill(vec![row(1, None), row(2, Some(5)), row(3, Some(9))]);
    table.sort_by(TIME_WAIT);
    assert_eq!(pids(&table), [3, 2, 1]);
    table.sort_by(TIME_WAIT);
    assert_eq!(pids(&table), [2, 3, 1]);
    table.turn();
    assert_eq!(pids(&table), [3, 2, 1]);
}

#[test]
fn the_cursor_is_always_on_the_screen() {
    let mut table = TableState::default();
    table.fill((1..=50).map(|pid| row(pid, Some(1))).collect());
    for (step, page) in [(10, 5), (-3, 5), (100, 7), (-100, 3), (20, 50), (0, 1), (0, 0)] {
        table.step(step, page);
        let (top, cursor) = (table.top(page), table.cursor());
        assert!(top <= cursor && cursor < top + page.max(1), "{top} {cursor} {page}");
    }
    table.fill(Vec::new());
    assert_eq!((table.cursor(), table.top(5)), (0, 0));
    assert!(table.selected().is_none());
}

#[test]
fn details_stay_when_the_row_is_gone() {
    let mut table = TableState::default();
    table.fill(vec![row(1, Some(5))]);
    table.open();
    table.fill(vec![row(1, Some(6))]);
    assert_eq!(table.detail().unwrap().sockets.unwrap()[6], 6);
    table.fill(Vec::new());
    assert_eq!(table.detail().unwrap().sockets.unwrap()[6], 6);
    assert!(table.close() && !table.close());
}
