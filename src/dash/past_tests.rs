use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::group::Grouping;
use crate::report::Ts;

/// An interval of a second with connections, each with other numbers.
fn interval(second: i64, connections: u32) -> Vec<AnyRecord> {
    let row = |number: u32| Count {
        ts: Ts(second * SECOND),
        interval_ns: Some(1_000_000_000),
        by: Some(Grouping::Connection),
        laddr: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))),
        lport: Some(443),
        raddr: Some(IpAddr::V4(Ipv4Addr::from(number.wrapping_mul(2_654_435_761)))),
        rport: Some(u16::try_from(number % 60_000 + 1).unwrap()),
        tx_bytes: Some(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 30),
        ..Count::default()
    };
    let first = u32::try_from(second).unwrap() * connections;
    (first..first + connections).map(|number| row(number).into()).collect()
}

#[test]
fn memory_and_time_are_bounded_and_the_newest_is_kept() {
    let mut past = Past { room: 1 << 20, ..Past::default() };
    for second in 1..=300 {
        past.push(&interval(second, 600));
        assert!(past.bytes() <= 1 << 20, "{}", past.bytes());
    }
    assert_eq!(past.newest(), Some(300 * SECOND));
    let oldest = past.oldest().unwrap();
    assert!(oldest > SECOND && past.bytes() > 900 << 10, "{oldest} {}", past.bytes());
    let real: usize = past.intervals.iter().map(Interval::bytes).sum();
    assert_eq!(real, past.bytes());
    let mut past = Past::default();
    assert!(past.room <= 40 << 20);
    for second in 1..=1_000 {
        past.push(&interval(second, 1));
    }
    assert_eq!((past.oldest(), past.intervals.len()), (Some(101 * SECOND), 900));
}

#[test]
fn a_moment_is_shown_as_it_was_and_what_was_left_out_is_other() {
    let mut past = Past::default();
    for second in 1..=20 {
        past.push(&interval(second, 700));
    }
    let model = past.at(15 * SECOND, &Model::default());
    assert_eq!(model.now, 15 * SECOND);
    let shown = model.counts.get(&Grouping::Connection).unwrap();
    let bytes = |rows: &[Count]| -> u64 { rows.iter().filter_map(|row| row.tx_bytes).sum() };
    let all: Vec<Count> = interval(15, 700)
        .into_iter()
        .filter_map(|record| if let AnyRecord::Count(row) = record { Some(*row) } else { None })
        .collect();
    assert_eq!((shown.ts, shown.rows.len()), (15 * SECOND, ROWS + 1));
    assert_eq!(bytes(&shown.rows), bytes(&all));
    assert_eq!(past.before(15 * SECOND), Some(14 * SECOND));
    assert_eq!((past.before(SECOND), past.after(20 * SECOND)), (None, None));
    let mut text = Vec::new();
    past.write(&mut text).unwrap();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let saved: Vec<_> = lines.map(|line| AnyRecord::parse(line).unwrap()).collect();
    assert_eq!(saved.len(), 20 * (ROWS + 1));
}

/// Where both are counted, many connections leave the processes whole.
#[test]
fn each_grouping_has_its_own_room() {
    let mut records = interval(1, 700);
    let process = |record: &AnyRecord| match record {
        AnyRecord::Count(row) => Count { by: Some(Grouping::Process), ..(**row).clone() }.into(),
        _ => unreachable!(),
    };
    let processes: Vec<AnyRecord> = records[..3].iter().map(process).collect();
    records.extend(processes);
    let (kept, rest) = busiest(&records);
    assert_eq!((kept.len(), rest.len()), (ROWS + 3, 1));
    assert_eq!(rest[0].by, Some(Grouping::Connection));
}

/// Sockets are read less often where there are many: the last that were read are shown.
#[test]
fn sockets_are_those_of_the_last_reading() {
    let sockets = |second: i64, count| {
        let ts = Ts(second * SECOND);
        let state = Some(crate::tcp_state::TcpState::Established);
        let row = crate::states::socket_summary::Sockets { ts, state, count, ..Default::default() };
        AnyRecord::from(row)
    };
    let mut past = Past::default();
    for second in 1..=9 {
        let mut records = interval(second, 2);
        if second % 3 == 0 {
            records.push(sockets(second, u64::try_from(second).ok()));
        }
        past.push(&records);
    }
    for (second, count) in [(3, 3), (5, 3), (6, 6), (8, 6)] {
        let states = past.at(second * SECOND, &Model::default()).look.states().unwrap();
        assert_eq!(states.into_iter().flatten().sum::<u64>(), count, "{second}");
    }
}
