//! Latencies of intervals, as events, and drawn.

use std::sync::Arc;

use tcpscope::group::GroupBy;
use tcpscope::hist::{SUBS, slot_of};
use tcpscope::latency::{
    self, Exchange, Heatmap, Latencies, Latency, LatencyInterval, LatencyKind, LatencyRowOptions,
    Role,
};
use tcpscope::report::{Ctx, Format, Printer, TableView};
use tcpscope::wire::{
    DURATION_UNKNOWN, GroupKey, LATENCY_HEAD, LatencyEvent, LatencyHead, LatencyKey,
    LatencyOutcome, LatencyValue, Record as _,
};

use super::{
    NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal, stream_on_terminal,
};

const GROUPINGS: [GroupBy; 7] = [
    GroupBy::Process,
    GroupBy::Connection,
    GroupBy::Remote(32, 128),
    GroupBy::Remote(24, 128),
    GroupBy::Port,
    GroupBy::Cgroup,
    GroupBy::Total,
];

const MS: u64 = 1_000_000;

/// What the kernel keeps of a connection in a key of this grouping.
fn key(by: GroupBy, nr: u32, role: Role) -> GroupKey {
    let flow = if nr == 1 {
        flow("192.0.2.10:443", "198.51.100.7:50000")
    } else {
        flow("[2001:db8::1]:40022", "[2001:db8:85a3::8a2e:370:7334]:5432")
    };
    let mut key = GroupKey::default();
    match by {
        GroupBy::Process => key.pid = nr,
        GroupBy::Connection => key.flow = flow,
        GroupBy::Remote(v4, _) => {
            key.flow.raddr = flow.raddr;
            if v4 == 24 && flow.family() == 4 {
                key.flow.raddr[15] = 0;
            }
        }
        GroupBy::Port if role == Role::Client => key.flow.rport = flow.rport,
        GroupBy::Port => key.flow.lport = flow.lport,
        GroupBy::Cgroup => key.cgroup = nr.into(),
        GroupBy::Netns | GroupBy::Total => {}
    }
    key
}

/// Puts durations into the entries that the programs would have made of them.
fn put(
    all: &mut Latencies,
    by: GroupBy,
    (nr, kind, role): (u32, LatencyKind, Role),
    durations: &[(u64, u32)],
    head: LatencyHead,
) {
    let other = nr == 0 || by == GroupBy::Total;
    let mut id = LatencyKey::default();
    id.group = if other { GroupKey::default() } else { key(by, nr, role) };
    (id.kind, id.role) = (kind as u8, role as u8);
    for &(ns, count) in durations {
        let slot = slot_of(ns);
        id.octave = u8::try_from(slot / SUBS).unwrap();
        let mut value = LatencyValue::default();
        (value.min, value.max) = (ns, ns);
        value.slots[slot % SUBS] = count;
        all.take(id.as_bytes(), [value.as_bytes()], other).unwrap();
    }
    id.octave = u8::try_from(LATENCY_HEAD).unwrap();
    all.take(id.as_bytes(), [head.as_bytes()], other).unwrap();
}

fn owner(by: GroupBy, pid: u32, name: &[u8]) -> LatencyHead {
    let mut head = LatencyHead::default();
    if matches!(by, GroupBy::Process | GroupBy::Connection) {
        (head.pid, head.comm) = (pid, comm(name));
    }
    head
}

fn interval(by: GroupBy) -> LatencyInterval {
    let mut all = Latencies::default();
    let nginx = owner(by, 99, b"nginx");
    let client = owner(by, 4_194_304, b"psql\x1b[0m");
    let service = [(90_000, 9_000), (2 * MS, 900), (35 * MS, 90), (1_500 * MS, 3)];
    put(&mut all, by, (1, LatencyKind::Service, Role::Server), &service, nginx);
    let of = |counts: &[(LatencyOutcome, u32)]| {
        let mut failures = LatencyHead::default().failures;
        for (outcome, count) in counts {
            failures[*outcome as usize - 1] = *count;
        }
        failures
    };
    let failures = of(&[
        (LatencyOutcome::Closed, 1),
        (LatencyOutcome::Reset, 10),
        (LatencyOutcome::GivenUp, 5),
    ]);
    let untimed = LatencyHead { untimed: 2, retrans: 7, failures, ..client };
    put(&mut all, by, (2, LatencyKind::Response, Role::Client), &[(12 * MS, 40)], untimed);
    put(&mut all, by, (2, LatencyKind::Rtt, Role::Unknown), &[(850, 12)], client);
    let failures = of(&[
        (LatencyOutcome::Refused, 3),
        (LatencyOutcome::TimedOut, 1),
        (LatencyOutcome::Unreachable, 2),
        (LatencyOutcome::NoPort, 1_234),
        (LatencyOutcome::GivenUp, 4),
        (LatencyOutcome::Failed, 20_000),
    ]);
    let failed = LatencyHead { failures, retrans: 5, ..client };
    put(&mut all, by, (2, LatencyKind::Connect, Role::Client), &[], failed);
    put(&mut all, by, (1, LatencyKind::Accept, Role::Server), &[(310 * MS, 1)], nginx);
    put(
        &mut all,
        by,
        (0, LatencyKind::Service, Role::Server),
        &[(5 * MS, 4)],
        LatencyHead::default(),
    );
    all.finish()
}

fn cgroup(id: u64) -> Option<Arc<str>> {
    match id {
        1 => Some("/system.slice/nginx.service".into()),
        // 0 is none, 2 has been removed.
        _ => None,
    }
}

fn shape(by: GroupBy) -> LatencyRowOptions {
    let (ts, interval_ns) = (NOW, 2 * SECOND);
    LatencyRowOptions { ts, interval_ns, by, sort: None, top: usize::MAX, buckets: false }
}

fn event(kind: LatencyKind, role: Role, duration: u64) -> LatencyEvent {
    LatencyEvent {
        ts: 0,
        duration,
        flow: flow("192.0.2.10:40022", "198.51.100.7:443"),
        pid: 99,
        comm: comm(b"curl"),
        kind: kind as u8,
        role: role as u8,
        ..LatencyEvent::default()
    }
}

fn events() -> Vec<LatencyEvent> {
    let exchange = |kind, role, duration| LatencyEvent {
        tx_bytes: 310,
        rx_bytes: 14_480,
        retrans: 1,
        ..event(kind, role, duration)
    };
    let failed = |outcome: LatencyOutcome, ns| LatencyEvent {
        outcome: outcome as u8,
        ..event(LatencyKind::Connect, Role::Client, ns)
    };
    vec![
        exchange(LatencyKind::Response, Role::Client, 23 * MS),
        exchange(LatencyKind::Service, Role::Server, 1_234),
        exchange(LatencyKind::Response, Role::Unknown, DURATION_UNKNOWN),
        event(LatencyKind::Rtt, Role::Client, 8_000),
        LatencyEvent { retrans: 2, ..event(LatencyKind::Connect, Role::Client, 3_100 * MS) },
        failed(LatencyOutcome::Refused, 40_000),
        LatencyEvent { retrans: 6, ..failed(LatencyOutcome::TimedOut, 130 * SECOND) },
        LatencyEvent { pid: 0, ..failed(LatencyOutcome::Failed, 5 * MS) },
        LatencyEvent { error: 113, ..failed(LatencyOutcome::Unreachable, 3 * SECOND) },
        LatencyEvent { error: 99, ..failed(LatencyOutcome::NoPort, 5_000) },
        LatencyEvent {
            kind: LatencyKind::Response as u8,
            tx_bytes: 310,
            error: 104,
            ..failed(LatencyOutcome::Reset, 20 * MS)
        },
        LatencyEvent {
            kind: LatencyKind::Response as u8,
            tx_bytes: 310,
            ..failed(LatencyOutcome::GivenUp, 30 * SECOND)
        },
        event(LatencyKind::Accept, Role::Server, 310 * MS),
    ]
}

fn exchanges() -> Vec<Exchange> {
    let cgroup = |event: &LatencyEvent| (event.pid != 0).then(|| "/user.slice".into());
    events().iter().map(|event| Exchange::new(NOW, event, cgroup(event))).collect()
}

fn print_events(printer: &mut Printer) {
    printer.begin::<Exchange>(&TableView::default()).unwrap();
    for row in exchanges() {
        printer.row(&row).unwrap();
    }
}

fn print(printer: &mut Printer, shape: &LatencyRowOptions) {
    latency::print(printer, interval(shape.by), shape, cgroup).unwrap();
}

#[test]
fn table() {
    let table = |shape: LatencyRowOptions| printed(Format::Table, |printer| print(printer, &shape));
    let name = |by: GroupBy| {
        if by == GroupBy::Remote(24, 128) { "remote:24" } else { by.grouping().name() }
    };
    let mut parts: Vec<_> = GROUPINGS
        .into_iter()
        .map(|by| (format!("tcplatency -i 2 --by {}", name(by)), table(shape(by))))
        .collect();
    let top = LatencyRowOptions { top: 1, ..shape(GroupBy::Process) };
    parts.push(("tcplatency -i 2 --top 1".to_owned(), table(top)));
    let nothing = printed(Format::Table, |printer| {
        let (idle, shape) = (LatencyInterval::default(), shape(GroupBy::Process));
        latency::print(printer, idle, &shape, cgroup).unwrap();
    });
    parts.push(("tcplatency, nothing to measure".to_owned(), nothing));
    parts.push(("tcplatency --events".to_owned(), printed(Format::Table, print_events)));
    for width in [120, 80, 40] {
        for by in [GroupBy::Process, GroupBy::Connection] {
            let rows = shape(by).records(interval(by), cgroup);
            let hide = &Latency::hidden(by, &rows);
            let view = TableView { hide, ..TableView::default() };
            let title = format!("tcplatency -i 2 --by {}, {width} columns", name(by));
            parts.push((title, snapshot_on_terminal(width, &view, &rows)));
        }
        let title = format!("tcplatency --events, {width} columns");
        parts.push((title, stream_on_terminal(width, &exchanges())));
    }
    let mut ctx = Ctx::new(0, true);
    let drawn = printed(Format::Table, |printer| {
        let by = GroupBy::Process;
        latency::draw(printer, &mut ctx, interval(by), &shape(by), cgroup).unwrap();
    });
    parts.push(("tcplatency -i 2 --hist".to_owned(), drawn));
    let mut shades = Heatmap::default();
    let lines: String = (0..3)
        .map(|nth| {
            let interval =
                if nth == 1 { LatencyInterval::default() } else { interval(GroupBy::Total) };
            shades.draw(interval, NOW + nth * 2_000_000_000, &mut ctx)
        })
        .collect();
    parts.push(("tcplatency -i 2 --heatmap".to_owned(), lines));
    check("latency.txt", &sections(parts));
}

#[test]
fn json() {
    let mut text: String = GROUPINGS
        .into_iter()
        .map(|by| {
            let shape = LatencyRowOptions { buckets: by == GroupBy::Total, ..shape(by) };
            printed(Format::Json, |printer| print(printer, &shape))
        })
        .collect();
    text.push_str(&printed(Format::Json, print_events));
    check("latency.jsonl", &text);
}
