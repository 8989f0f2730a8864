//! Latencies of intervals, one by one, and drawn.

use std::sync::Arc;

use tcpscope::group::By;
use tcpscope::hist::{SUBS, slot_of};
use tcpscope::latency::{ExchangeRow, Interval, Kind, Latencies, Role, Shades, Shape};
use tcpscope::report::{Ctx, Format, Printer, View};
use tcpscope::wire::{
    DURATION_UNKNOWN, GroupKey, LATENCY_HEAD, LatencyEvent, LatencyHead, LatencyKey, LatencyValue,
};

use super::{NOW, SECOND, check, comm, flow, printed, sections};

const GROUPINGS: [By; 7] = [
    By::Process,
    By::Connection,
    By::Remote(32, 128),
    By::Remote(24, 128),
    By::Port,
    By::Cgroup,
    By::Total,
];

const MS: u64 = 1_000_000;

/// What the kernel keeps of a connection in a key of this grouping.
fn key(by: By, nr: u32, role: Role) -> GroupKey {
    let flow = if nr == 1 {
        flow("192.0.2.10:443", "198.51.100.7:50000")
    } else {
        flow("[2001:db8::1]:40022", "[2001:db8:85a3::8a2e:370:7334]:5432")
    };
    let mut key = GroupKey::zeroed();
    match by {
        By::Process => key.pid = nr,
        By::Connection => key.flow = flow,
        By::Remote(v4, _) => {
            key.flow.raddr = flow.raddr;
            if v4 == 24 && flow.family() == 4 {
                key.flow.raddr[15] = 0;
            }
        }
        By::Port if role == Role::Client => key.flow.rport = flow.rport,
        By::Port => key.flow.lport = flow.lport,
        By::Cgroup => key.cgroup = nr.into(),
        By::Netns | By::Total => {}
    }
    key
}

/// Puts durations into the entries that the programs would have made of them.
fn put(
    all: &mut Latencies,
    by: By,
    (nr, kind, role): (u32, Kind, Role),
    durations: &[(u64, u32)],
    head: LatencyHead,
) {
    let other = nr == 0 || by == By::Total;
    let mut id = LatencyKey::zeroed();
    id.group = if other { GroupKey::zeroed() } else { key(by, nr, role) };
    (id.kind, id.role) = (kind as u8, role as u8);
    for &(ns, count) in durations {
        let slot = slot_of(ns);
        id.octave = u8::try_from(slot / SUBS).unwrap();
        let mut value = LatencyValue::zeroed();
        (value.min, value.max) = (ns, ns);
        value.slots[slot % SUBS] = count;
        all.take(id.as_bytes(), [value.as_bytes()], other).unwrap();
    }
    id.octave = LATENCY_HEAD;
    all.take(id.as_bytes(), [head.as_bytes()], other).unwrap();
}

fn owner(by: By, pid: u32, name: &[u8]) -> LatencyHead {
    let mut head = LatencyHead::zeroed();
    if matches!(by, By::Process | By::Connection) {
        (head.pid, head.comm) = (pid, comm(name));
    }
    head
}

fn interval(by: By) -> Interval {
    let mut all = Latencies::default();
    let nginx = owner(by, 99, b"nginx");
    let client = owner(by, 4_194_304, b"psql\x1b[0m");
    let service = [(90_000, 9_000), (2 * MS, 900), (35 * MS, 90), (1_500 * MS, 3)];
    put(&mut all, by, (1, Kind::Service, Role::Server), &service, nginx);
    let untimed = LatencyHead { untimed: 2, retrans: 7, ..client };
    put(&mut all, by, (2, Kind::Response, Role::Client), &[(12 * MS, 40)], untimed);
    put(&mut all, by, (2, Kind::Rtt, Role::Unknown), &[(850, 12)], client);
    let failed = LatencyHead { refused: 3, timed_out: 1, failed: 20_000, syn_retries: 5, ..client };
    put(&mut all, by, (2, Kind::Connect, Role::Client), &[], failed);
    put(&mut all, by, (1, Kind::Accept, Role::Server), &[(310 * MS, 1)], nginx);
    put(&mut all, by, (0, Kind::Service, Role::Server), &[(5 * MS, 4)], LatencyHead::zeroed());
    all.finish()
}

fn cgroup(id: u64) -> Option<Arc<str>> {
    match id {
        1 => Some("/system.slice/nginx.service".into()),
        // 0 is none, 2 has been removed.
        _ => None,
    }
}

fn shape(by: By) -> Shape {
    let (ts, interval_ns) = (NOW, 2 * SECOND);
    Shape { ts, interval_ns, by, sort: None, top: usize::MAX, buckets: false }
}

fn event(kind: Kind, role: Role, duration: u64) -> LatencyEvent {
    LatencyEvent {
        ts: 0,
        duration,
        flow: flow("192.0.2.10:40022", "198.51.100.7:443"),
        pid: 99,
        comm: comm(b"curl"),
        kind: kind as u8,
        role: role as u8,
        ..LatencyEvent::zeroed()
    }
}

fn events() -> Vec<LatencyEvent> {
    let exchange = |kind, role, duration| LatencyEvent {
        tx_bytes: 310,
        rx_bytes: 14_480,
        retrans: 1,
        ..event(kind, role, duration)
    };
    vec![
        exchange(Kind::Response, Role::Client, 23 * MS),
        exchange(Kind::Service, Role::Server, 1_234),
        exchange(Kind::Response, Role::Unknown, DURATION_UNKNOWN),
        event(Kind::Rtt, Role::Client, 8_000),
        LatencyEvent { retrans: 2, ..event(Kind::Connect, Role::Client, 3_100 * MS) },
        LatencyEvent { outcome: 1, ..event(Kind::Connect, Role::Client, 40_000) },
        LatencyEvent { outcome: 2, retrans: 6, ..event(Kind::Connect, Role::Client, 130 * SECOND) },
        LatencyEvent { outcome: 3, pid: 0, ..event(Kind::Connect, Role::Client, 5 * MS) },
        event(Kind::Accept, Role::Server, 310 * MS),
    ]
}

fn print_events(printer: &mut Printer) {
    printer.begin::<ExchangeRow>(&View::default()).unwrap();
    for event in events() {
        let cgroup = (event.pid != 0).then(|| "/user.slice".into());
        printer.row(&ExchangeRow { ts: NOW, event, cgroup }).unwrap();
    }
}

fn print(printer: &mut Printer, shape: &Shape) {
    interval(shape.by).print(printer, shape, cgroup).unwrap();
}

#[test]
fn table() {
    let table = |shape: Shape| printed(Format::Table, |printer| print(printer, &shape));
    let name = |by: By| if by == By::Remote(24, 128) { "remote:24" } else { by.name() };
    let mut parts: Vec<_> = GROUPINGS
        .into_iter()
        .map(|by| (format!("tcplatency -i 2 --by {}", name(by)), table(shape(by))))
        .collect();
    let top = Shape { top: 1, ..shape(By::Process) };
    parts.push(("tcplatency -i 2 --top 1".to_owned(), table(top)));
    let nothing = printed(Format::Table, |printer| {
        Interval::default().print(printer, &shape(By::Process), cgroup).unwrap();
    });
    parts.push(("tcplatency, nothing to measure".to_owned(), nothing));
    parts.push(("tcplatency --events".to_owned(), printed(Format::Table, print_events)));
    let mut ctx = Ctx::new(0, true);
    let drawn = printed(Format::Table, |printer| {
        interval(By::Process).draw(printer, &mut ctx, &shape(By::Process), cgroup).unwrap();
    });
    parts.push(("tcplatency -i 2 --hist".to_owned(), drawn));
    let mut shades = Shades::default();
    let lines: String = (0..3)
        .map(|nth| {
            let interval = if nth == 1 { Interval::default() } else { interval(By::Total) };
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
            let shape = Shape { buckets: by == By::Total, ..shape(by) };
            printed(Format::Json, |printer| print(printer, &shape))
        })
        .collect();
    text.push_str(&printed(Format::Json, print_events));
    check("latency.jsonl", &text);
}
