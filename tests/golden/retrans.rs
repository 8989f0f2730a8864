//! Retransmits.

use std::sync::Arc;

use tcpscope::count::{CountInterval, CountSums, Counter};
use tcpscope::group::GroupBy;
use tcpscope::report::{Format, TableView};
use tcpscope::retrans::{KnownSums, RetransRowOptions, RetransSum, Retransmit, Retransmits};
use tcpscope::tcp_state::TcpState::{self, CloseWait, Established, NewSynRecv, SynSent};
use tcpscope::wire::{RetransEvent, RetransType};

use super::{
    NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal, stream_on_terminal,
};

const MS: u64 = 1_000_000;

fn event(
    owner: (u32, &str),
    ends: (&str, &str),
    state: TcpState,
    kind: RetransType,
    attempt: u32,
) -> RetransEvent {
    RetransEvent {
        pid: owner.0,
        comm: comm(owner.1.as_bytes()),
        flow: flow(ends.0, ends.1),
        state: state.number(),
        why: kind as u8,
        attempt,
        segs: 1,
        rto: (204 * MS) << attempt.saturating_sub(1),
        srtt: 3_125_000,
        cwnd: 10,
        ssthresh: 7,
        in_flight: 3,
        cookie: 77,
        ..RetransEvent::default()
    }
}

fn events() -> Vec<RetransEvent> {
    let (curl, nginx, hostile) = ((4242, "curl"), (99, "nginx"), (666, "\u{1b}[2J"));
    let out = ("192.0.2.10:43210", "198.51.100.7:443");
    let v6 = ("[2001:db8::1]:443", "[2001:db8:85a3::8a2e:370:7334]:50001");
    vec![
        RetransEvent {
            rto: SECOND,
            srtt: 0,
            cwnd: 1,
            ssthresh: 0x7fff_ffff,
            in_flight: 0,
            ..event(curl, out, SynSent, RetransType::Syn, 1)
        },
        event(nginx, v6, NewSynRecv, RetransType::Synack, 2),
        event(nginx, v6, Established, RetransType::Tlp, 1),
        event(nginx, v6, Established, RetransType::Rto, 2),
        event(nginx, v6, Established, RetransType::Rto, 3),
        RetransEvent { segs: 44, ..event(nginx, v6, Established, RetransType::SlowStart, 1) },
        RetransEvent { segs: 2, ..event(hostile, out, CloseWait, RetransType::Fast, 0) },
        RetransEvent { segs: 1, ..event(curl, out, Established, RetransType::Probe, 3) },
        RetransEvent { segs: 2, ..event(nginx, v6, Established, RetransType::Spurious, 0) },
        // Nothing is known of it.
        RetransEvent {
            cookie: 0,
            ..event((0, "stale"), out, Established, RetransType::Unknown, 0)
        },
    ]
}

fn lines() -> Vec<Retransmit> {
    let row = |(nr, event): (usize, &RetransEvent)| {
        let cgroup = (nr < 2).then(|| Arc::from("/system.slice/nginx.service"));
        Retransmit::new(NOW + 1_234_567 * i64::try_from(nr).unwrap(), event, cgroup)
    };
    events().iter().enumerate().map(row).collect()
}

fn sums(by: GroupBy) -> Vec<RetransSum> {
    let mut sums = Retransmits::new(by);
    for event in &events() {
        sums.add(event);
    }
    sums.add_sent(&sent(by));
    let shape = RetransRowOptions {
        ts: NOW,
        interval_ns: SECOND,
        sort: None,
        top: 2,
        all: false,
        known: KNOWN,
    };
    let mut rows = sums.rows(&shape, |_| Some(Arc::from("/")));
    rows.iter_mut().filter(|row| row.total).for_each(|row| row.unexplained_segs = Some(3));
    rows
}

const KNOWN: KnownSums = KnownSums { out: true, probes: true, unexplained: true };

/// Each event's key has sent 1000 segments, and a process without a retransmit 1.
fn sent(by: GroupBy) -> CountInterval {
    let idle =
        event((1, "idle"), ("192.0.2.10:1", "203.0.113.1:2"), Established, RetransType::Rto, 1);
    let counter = |event: &RetransEvent, out_segs| {
        let key = by.key_of(&event.flow, event.pid, event.cgroup);
        let sums = CountSums { out_segs, ..CountSums::default() };
        Counter { key, sums, pid: event.pid, comm: event.comm, flags: 0, gone: false }
    };
    let events = events();
    let mut interval = CountInterval::new(usize::MAX);
    for key in events.iter().map(|event| counter(event, 1000)).chain([counter(&idle, 1)]) {
        interval.add(key);
    }
    interval
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
    let events = [120, 80, 40]
        .map(|width| (format!("tcpretrans, {width} columns"), stream_on_terminal(width, &lines())));
    let summaries = [200, 80, 40].into_iter().flat_map(|width| {
        GROUPINGS.map(|(name, by)| {
            let hide = RetransSum::hidden(by, KNOWN);
            let view = TableView { hide: &hide, ..TableView::default() };
            let text = snapshot_on_terminal(width, &view, &sums(by));
            (format!("tcpretrans --summary --by {name}, {width} columns"), text)
        })
    });
    let all = [("tcpretrans".to_owned(), line)].into_iter().chain(events).chain(summaries);
    check("retrans.txt", &sections(all));
}

#[test]
fn json() {
    let text = printed(Format::Json, |printer| {
        for row in &lines() {
            printer.row(row).unwrap();
        }
        for (_, by) in GROUPINGS {
            printer.rows(&TableView::default(), &sums(by)).unwrap();
        }
    });
    check("retrans.jsonl", &text);
}
