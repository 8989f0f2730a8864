//! Connections that ended.

use std::sync::Arc;

use tcpscope::group::GroupBy;
use tcpscope::life::{Life, LifeRowOptions, LifeSum, LifeSums};
use tcpscope::report::Format;
use tcpscope::tcp_state::TcpState::{
    self, CloseWait, Established, FinWait1, FinWait2, LastAck, SynSent,
};
use tcpscope::wire::{
    DURATION_UNKNOWN, ENDING_TIME_WAIT, Ending, LIFE_WAITING, LifeEnd, LifeEvent, LifeKind,
    SocketRole,
};

use super::{
    NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal, stream_on_terminal,
};

const MS: u64 = 1_000_000;

type Who<'a> = ((u32, &'a str), (&'a str, &'a str), SocketRole);

fn event((owner, ends, role): Who<'_>, state: TcpState, end: LifeEnd) -> LifeEvent {
    LifeEvent {
        pid: owner.0,
        comm: comm(owner.1.as_bytes()),
        flow: flow(ends.0, ends.1),
        role: role as u8,
        state: state.number(),
        ending: Ending { end: end as u8, ..Ending::default() },
        life: 3 * SECOND,
        opened: 2 * MS,
        tx_bytes: 1_234_567,
        rx_bytes: 789,
        segs_out: 900,
        segs_in: 450,
        retrans: 2,
        rtt_min: 180,
        srtt: 3125,
        cookie: 77,
        ..LifeEvent::default()
    }
}

/// A `connect()` that failed.
fn failed(who: Who<'_>, end: LifeEnd, error: u16) -> LifeEvent {
    let event = with(event(who, SynSent, end), |ending| ending.error = error);
    LifeEvent {
        opened: DURATION_UNKNOWN,
        tx_bytes: 0,
        rx_bytes: 0,
        segs_out: 1,
        segs_in: 1,
        retrans: 0,
        rtt_min: u32::MAX,
        srtt: 0,
        ..event
    }
}

fn with(mut event: LifeEvent, change: impl FnOnce(&mut Ending)) -> LifeEvent {
    change(&mut event.ending);
    event
}

fn flags(flags: u32) -> u8 {
    u8::try_from(flags).unwrap()
}

fn events() -> Vec<LifeEvent> {
    let (out, lost) = ("192.0.2.10:43210", "0.0.0.0:0");
    let far = "198.51.100.7:443";
    let v6 = ("[2001:db8::1]:443", "[2001:db8:85a3::8a2e:370:7334]:50001");
    let curl = ((4242, "curl"), (out, far), SocketRole::Client);
    let nginx = ((99, "nginx"), v6, SocketRole::Server);
    let hostile = ((666, "\u{1b}[2J"), (out, far), SocketRole::Client);
    let older = LifeEvent {
        life: DURATION_UNKNOWN,
        opened: DURATION_UNKNOWN,
        cookie: 0,
        ..event(((0, "stale"), (out, far), SocketRole::Unknown), LastAck, LifeEnd::ClosedPeer)
    };
    vec![
        with(event(curl, FinWait2, LifeEnd::ClosedUs), |ending| {
            ending.flags = flags(ENDING_TIME_WAIT);
        }),
        LifeEvent { opened: DURATION_UNKNOWN, ..event(nginx, LastAck, LifeEnd::ClosedPeer) },
        LifeEvent {
            flags: flags(LIFE_WAITING),
            idle: 120 * MS,
            unacked: 5000,
            ..with(event(curl, Established, LifeEnd::Reset), |ending| ending.error = 104)
        },
        LifeEvent {
            idle: 9 * SECOND,
            ..with(event(curl, Established, LifeEnd::TimeoutUser), |ending| ending.error = 110)
        },
        LifeEvent { unread: 77, ..event(nginx, CloseWait, LifeEnd::Unread) },
        LifeEvent {
            unread: 1,
            ..with(event(hostile, Established, LifeEnd::Killed), |ending| ending.signal = 9)
        },
        event(nginx, FinWait1, LifeEnd::OrphanLimit),
        failed(curl, LifeEnd::Refused, 111),
        failed(((4242, "curl"), (lost, far), SocketRole::Client), LifeEnd::NoPort, 99),
        // An error that no table has a name for.
        failed(curl, LifeEnd::Unknown, 4000),
        older,
    ]
}

fn lines() -> Vec<Life> {
    let row = |(nr, event): (usize, &LifeEvent)| {
        let cgroup = (nr < 2).then(|| Arc::from("/system.slice/nginx.service"));
        Life::new(NOW + 1_234_567 * i64::try_from(nr).unwrap(), event, cgroup)
    };
    events().iter().enumerate().map(row).collect()
}

fn sums(by: GroupBy) -> Vec<LifeSum> {
    let mut sums = LifeSums::new(by);
    for event in &events() {
        sums.add(event);
        sums.add(&LifeEvent { kind: LifeKind::Opened as u8, ..*event });
    }
    let shape = LifeRowOptions { ts: NOW, interval_ns: SECOND, sort: None, top: 2 };
    sums.rows(&shape, |_| Some(Arc::from("/")))
}

const GROUPINGS: [(&str, GroupBy); 4] = [
    ("process", GroupBy::Process),
    ("connection", GroupBy::Connection),
    ("remote:24", GroupBy::Remote(24, 128)),
    ("total", GroupBy::Total),
];

#[test]
fn table() {
    let line = printed(Format::Table, |printer| {
        for row in &lines() {
            printer.row(row).unwrap();
        }
    });
    let events = [200, 120, 80, 40]
        .map(|width| (format!("tcplife, {width} columns"), stream_on_terminal(width, &lines())));
    let summaries = [160, 80, 40].into_iter().flat_map(|width| {
        GROUPINGS.map(|(name, by)| {
            let text = snapshot_on_terminal(width, &LifeSum::view(by), &sums(by));
            (format!("tcplife --summary --by {name}, {width} columns"), text)
        })
    });
    let all = [("tcplife".to_owned(), line)].into_iter().chain(events).chain(summaries);
    check("life.txt", &sections(all));
}

#[test]
fn json() {
    let text = printed(Format::Json, |printer| {
        for row in &lines() {
            printer.row(row).unwrap();
        }
        for (_, by) in GROUPINGS {
            printer.rows(&LifeSum::view(by), &sums(by)).unwrap();
        }
    });
    check("life.jsonl", &text);
}
