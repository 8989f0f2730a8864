//! Counts of intervals.

use std::sync::Arc;

use tcpscope::count::{
    self, Count, CountInterval, CountRowOptions, CountSums, Counter, Counts, GroupBy,
};
use tcpscope::report::{Format, Printer};
use tcpscope::wire::{CountValue, GroupKey, Record as _};

use super::{NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal};

const GROUPINGS: [GroupBy; 8] = [
    GroupBy::Process,
    GroupBy::Connection,
    GroupBy::Remote(32, 128),
    GroupBy::Remote(24, 128),
    GroupBy::Port,
    GroupBy::Cgroup,
    GroupBy::Netns,
    GroupBy::Total,
];

/// Two CPUs' values of a key; only the first knows the owner.
fn counter(key: GroupKey, owner: (u32, &[u8]), traffic: [u64; 8]) -> Counter {
    let [tx_calls, tx_bytes, rx_calls, rx_bytes, segs_in, errors, eagain, retrans_segs] = traffic;
    let first = CountValue {
        tx_calls,
        tx_bytes,
        errors,
        eagain,
        owner_since: u64::from(owner.0),
        pid: owner.0,
        comm: comm(owner.1),
        ..CountValue::default()
    };
    let second = CountValue { rx_calls, rx_bytes, segs_in, retrans_segs, ..CountValue::default() };
    Counter::read(key.as_bytes(), [first.as_bytes(), second.as_bytes()]).unwrap()
}

/// What the kernel keeps of a connection in a key of this grouping.
fn key(by: GroupBy, nr: u32, local: &str, remote: &str) -> GroupKey {
    let flow = flow(local, remote);
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
        GroupBy::Port => key.flow.lport = flow.lport,
        GroupBy::Cgroup => key.cgroup = nr.into(),
        GroupBy::Netns => key.flow.netns = flow.netns + nr,
        GroupBy::Total => {}
    }
    key
}

fn counters(by: GroupBy) -> Vec<Counter> {
    let has_process = matches!(by, GroupBy::Process | GroupBy::Connection);
    let owner = |pid, name| if has_process { (pid, name) } else { (0, &b""[..]) };
    vec![
        counter(
            key(by, 1, "192.0.2.10:443", "198.51.100.7:50000"),
            owner(99, b"nginx"),
            [1_234, 5 << 20, 1_300, 123_456, 2_500, 17, 15, 31],
        ),
        counter(
            key(by, 2, "[2001:db8::1]:22", "[2001:db8:85a3::8a2e:370:7334]:55222"),
            owner(4_194_304, b"sshd\x1b[0m"),
            [3, 1_023, 2, 36, 5, 0, 0, 1],
        ),
        counter(
            key(by, 3, "[::ffff:10.0.0.1]:8080", "[::ffff:10.0.0.200]:60001"),
            owner(0, b""),
            [0, 0, 0, 0, 1, 0, 0, 0],
        ),
    ]
}

fn other() -> CountSums {
    CountSums { tx_calls: 40_000, tx_bytes: 3 << 30, segs_in: 9, ..CountSums::default() }
}

fn cgroup(id: u64) -> Option<Arc<str>> {
    match id {
        1 => Some("/system.slice/nginx.service".into()),
        2 => Some("/user.slice/\u{202e}\u{1b}c".into()),
        // 0 is none, 3 has been removed.
        _ => None,
    }
}

fn shape(by: GroupBy) -> CountRowOptions {
    CountRowOptions {
        ts: NOW,
        interval_ns: 2 * SECOND,
        by,
        sort: None,
        top: usize::MAX,
        cumulative: false,
        light: false,
    }
}

fn interval(
    counts: &mut Counts,
    counters: Vec<Counter>,
    other: CountSums,
    now: u64,
) -> CountInterval {
    let mut interval = CountInterval::new(usize::MAX);
    for counter in counters {
        counts.take_in(&mut interval, counter, now);
    }
    counts.end(&mut interval, other);
    interval
}

/// One interval, then one in which only (other) has grown.
fn print(printer: &mut Printer, shape: &CountRowOptions) {
    let mut counts = Counts::new(shape.cumulative);
    let counters = if shape.by == GroupBy::Total { Vec::new() } else { counters(shape.by) };
    for round in 1..=2 {
        let other = (0..round).fold(CountSums::default(), |sums, _| sums.plus(other()));
        let interval = interval(&mut counts, counters.clone(), other, round);
        let ts = shape.ts + i64::try_from(round * shape.interval_ns).unwrap();
        count::print(printer, &interval, &CountRowOptions { ts, ..*shape }, cgroup, |_| {
            Some("blue".into())
        })
        .unwrap();
    }
}

fn command(by: GroupBy) -> String {
    let prefix = if by == GroupBy::Remote(24, 128) { ":24" } else { "" };
    format!("tcpcount -i 2 --by {}{prefix}", by.grouping().name())
}

#[test]
fn table() {
    let table = |shape: CountRowOptions| printed(Format::Table, |printer| print(printer, &shape));
    let mut parts: Vec<_> =
        GROUPINGS.into_iter().map(|by| (command(by), table(shape(by)))).collect();
    let process = shape(GroupBy::Process);
    for (flags, shape) in [
        ("--top 1", CountRowOptions { top: 1, ..process }),
        ("--light", CountRowOptions { light: true, ..process }),
        ("--cumulative", CountRowOptions { cumulative: true, ..process }),
        ("--by total --cumulative", CountRowOptions { cumulative: true, ..shape(GroupBy::Total) }),
    ] {
        parts.push((format!("tcpcount -i 2 {flags}"), table(shape)));
    }
    for width in [120, 80, 40] {
        let busy = interval(&mut Counts::new(false), counters(GroupBy::Connection), other(), 0);
        let connection = shape(GroupBy::Connection);
        let view = Count::view(GroupBy::Connection);
        let text = snapshot_on_terminal(width, &view, &connection.rows(&busy, cgroup));
        parts.push((format!("tcpcount -i 2 --by connection, {width} columns"), text));
    }
    let nothing = printed(Format::Table, |printer| {
        let idle = interval(&mut Counts::new(false), Vec::new(), CountSums::default(), 0);
        count::print(printer, &idle, &process, cgroup, |_| Some("blue".into())).unwrap();
    });
    parts.push(("tcpcount, nothing to count".to_owned(), nothing));
    check("count.txt", &sections(parts));
}

#[test]
fn json() {
    let json = |by| printed(Format::Json, |printer| print(printer, &shape(by)));
    check("count.jsonl", &GROUPINGS.into_iter().map(json).collect::<String>());
}
