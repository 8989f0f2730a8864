use super::*;

struct Numbered;

impl Names for Numbered {
    fn reason(&mut self, number: u32) -> Option<Arc<str>> {
        Some(number.to_string().into())
    }

    fn place(&mut self, address: u64) -> Option<Arc<str>> {
        Some(format!("f{address}").into())
    }

    fn cgroup(&mut self, _: u64) -> Option<Arc<str>> {
        None
    }

    fn netns(&mut self, _: u32) -> Option<Arc<str>> {
        None
    }
}

fn event(pid: u32, reason: u32, place: u64, segs: u16) -> DropEvent {
    let mut event = DropEvent::default();
    (event.pid, event.reason, event.place, event.segs) = (pid, reason, place, segs);
    event.len = 100;
    event.flow.lport = 80;
    event
}

fn shape(top: usize) -> DropRowOptions {
    DropRowOptions { ts: 1, interval_ns: 1, sort: None, top, hidden: Some(7) }
}

#[test]
fn rows_add_up_to_the_total_and_the_next_interval_is_empty() {
    let mut sums = Dropped::new(DropBy::Reason);
    for reason in 1..=3 {
        for _ in 0..reason {
            sums.add(&event(1, reason, 10, 2));
        }
    }
    let out = DropEvent { direction: DropDirection::Out as u8, ..event(1, 9, 10, 1) };
    sums.add(&out);
    let rows = sums.rows(&shape(2), &mut Numbered);
    let seen: Vec<_> = rows.iter().map(|row| (row.drop_reason.as_deref(), row.drops)).collect();
    assert_eq!(seen, [(Some("3"), 3), (Some("2"), 2), (None, 2), (None, 7)]);
    let total = &rows[3];
    assert!(rows[2].other && total.total);
    assert_eq!((total.drop_in_segs, total.drop_out_segs, total.drop_segs), (12, 1, 13));
    assert_eq!((total.drop_bytes, total.hidden), (700, Some(7)));
    assert_eq!(sums.rows(&shape(9), &mut Numbered)[0].drops, 0);
}

#[test]
fn the_top_reason_is_that_of_most_drops_wherever_they_were() {
    let mut sums = Dropped::new(DropBy::Group(GroupBy::Port));
    for (reason, place, times) in [(5, 1, 3), (6, 2, 2), (6, 3, 2)] {
        for _ in 0..times {
            sums.add(&event(0, reason, place, 1));
        }
    }
    let rows = sums.rows(&shape(9), &mut Numbered);
    assert_eq!(rows[0].drop_reason.as_deref(), Some("6"));
    assert_eq!(rows[0].function.as_deref(), Some("f2"));
    assert_eq!((rows[0].lport, rows[0].drops), (Some(80), 7));
}

#[test]
fn a_connection_has_a_row_for_each_reason_and_the_owner_that_is_found() {
    let owner = |pid: u32| SocketOwner { flow: Flow::default(), owner: (pid, [b'x'; COMM_LEN]) };
    let find = |flow: &Flow, forwarded: bool| {
        let mut found = owner(7);
        (found.flow, found.flow.netns) = (*flow, 42);
        (flow.lport == 80 && !forwarded).then_some(found)
    };
    let drop = |lport: u16, reason: u32, flags: u32| {
        let mut event = event(0, reason, 1, 1);
        (event.flow.lport, event.flags) = (lport, u8::try_from(flags).unwrap());
        event
    };
    let filled = || {
        let mut sums = Dropped::by_connection_and_reason();
        for one in [drop(80, 5, 0), drop(80, 5, 0), drop(80, 6, 0), drop(81, 5, 0)] {
            sums.add(&one);
        }
        sums
    };
    let mut sums = filled();
    sums.add(&drop(80, 0, 0));
    sums.add(&DropEvent { place: 2, ..drop(80, 0, 0) });
    let left = sums.settle(find, None);
    assert_eq!(left, Left::default());
    let rows = sums.rows(&shape(9), &mut Numbered);
    let seen = |row: &DropSum| (row.lport, row.drop_reason.clone(), row.drops, row.pid, row.netns);
    let of_80: Vec<_> = rows.iter().filter(|row| row.lport == Some(80)).map(seen).collect();
    assert_eq!(of_80.len(), 4, "by place where there is no reason: {of_80:?}");
    assert_eq!(of_80[0], (Some(80), Some("5".into()), 2, Some(7), Some(42)));
    assert!(rows.iter().any(|row| seen(row) == (Some(81), Some("5".into()), 1, None, None)));
    let mut sums = filled();
    sums.add(&drop(80, 9, DROP_FORWARDED));
    let left = sums.settle(find, Some(&|_: &Flow, pid: u32| pid == 7));
    assert_eq!(left, Left { filtered: 2, unknown: 0 });
    assert_eq!(sums.rows(&shape(9), &mut Numbered).last().unwrap().drops, 3);
}
