//! Drops.

use std::sync::Arc;

use tcpscope::drop::{DropBy, DropRowOptions, DropSum, Dropped, Names, SegmentDrop};
use tcpscope::group::GroupBy;
use tcpscope::report::{Format, TableView};
use tcpscope::tcp_state::TcpState::{Established, Listen, SynSent};
use tcpscope::wire::{DROP_HAS_FLAGS, DROP_HAS_LEN, DropDirection, DropEvent};

use super::{
    NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal, stream_on_terminal,
};

/// Names as a kernel has them.
struct Kernel;

impl Names for Kernel {
    fn reason(&mut self, number: u32) -> Option<Arc<str>> {
        let known = [(3, "NO_SOCKET"), (12, "NETFILTER_DROP"), (43, "TCP_INVALID_END_SEQUENCE")];
        known.iter().find(|(one, _)| *one == number).map(|(_, name)| Arc::from(*name))
    }

    fn place(&mut self, address: u64) -> Option<Arc<str>> {
        let known = [(1, "tcp_v4_rcv"), (2, "nft_do_chain"), (3, "\u{1b}[2J")];
        known.iter().find(|(one, _)| *one == address).map(|(_, name)| Arc::from(*name))
    }

    fn cgroup(&mut self, id: u64) -> Option<Arc<str>> {
        (id != 0).then(|| Arc::from("/system.slice/nginx.service"))
    }

    fn netns(&mut self, _: u32) -> Option<Arc<str>> {
        Some(Arc::from("web"))
    }
}

fn event(
    owner: (u32, &str),
    ends: (&str, &str),
    cause: (u32, u64),
    (flags, len): (u8, u32),
) -> DropEvent {
    DropEvent {
        pid: owner.0,
        comm: comm(owner.1.as_bytes()),
        flow: flow(ends.0, ends.1),
        reason: cause.0,
        place: cause.1,
        tcp_flags: flags,
        len,
        segs: 1,
        flags: u8::try_from(DROP_HAS_FLAGS | DROP_HAS_LEN).unwrap(),
        ..DropEvent::default()
    }
}

fn events() -> Vec<DropEvent> {
    let (curl, nginx, none) = ((4242, "curl"), (99, "nginx"), (0, ""));
    let v4 = ("192.0.2.10:43210", "198.51.100.7:443");
    let v6 = ("[2001:db8::1]:443", "[2001:db8:85a3::8a2e:370:7334]:50001");
    let (no_socket, firewall) = ((3, 1), (12, 2));
    let out = DropDirection::Out as u8;
    vec![
        event(none, ("192.0.2.10:9", "198.51.100.7:50000"), no_socket, (2, 0)),
        DropEvent { state: Listen.number(), cgroup: 5, ..event(nginx, v6, firewall, (2, 0)) },
        DropEvent {
            state: SynSent.number(),
            direction: out,
            cookie: 77,
            ..event(curl, v4, firewall, (2, 0))
        },
        DropEvent {
            state: Established.number(),
            segs: 44,
            ..event(nginx, v6, (43, 3), (0x18, 63_712))
        },
        // A later fragment, at a place that has no name, on a kernel without reasons.
        DropEvent { flags: 0, ..event(none, ("192.0.2.10:0", "198.51.100.7:0"), (0, 0), (0, 0)) },
        // A packet without flags.
        event((666, "\u{1b}[2J"), v4, no_socket, (0, 1460)),
    ]
}

fn lines() -> Vec<SegmentDrop> {
    let row = |(nr, event): (usize, &DropEvent)| {
        SegmentDrop::new(NOW + 1_234_567 * i64::try_from(nr).unwrap(), event, &mut Kernel)
    };
    events().iter().enumerate().map(row).collect()
}

fn sums(by: DropBy) -> Vec<DropSum> {
    let mut sums = Dropped::new(by);
    for event in &events() {
        sums.add(event);
    }
    let shape =
        DropRowOptions { ts: NOW, interval_ns: SECOND, sort: None, top: 2, hidden: Some(12) };
    sums.rows(&shape, &mut Kernel)
}

const GROUPINGS: [(&str, DropBy); 5] = [
    ("reason", DropBy::Reason),
    ("process", DropBy::Group(GroupBy::Process)),
    ("remote:24", DropBy::Group(GroupBy::Remote(24, 128))),
    ("port", DropBy::Group(GroupBy::Port)),
    ("total", DropBy::Group(GroupBy::Total)),
];

#[test]
fn table() {
    let line = printed(Format::Table, |printer| {
        for row in &lines() {
            printer.row(row).unwrap();
        }
    });
    let events = [160, 120, 80, 40]
        .map(|width| (format!("tcpdrop, {width} columns"), stream_on_terminal(width, &lines())));
    let summaries = [120, 80, 40].into_iter().flat_map(|width| {
        GROUPINGS.map(|(name, by)| {
            let hide = DropSum::hidden(by);
            let view = TableView { hide: &hide, ..TableView::default() };
            let text = snapshot_on_terminal(width, &view, &sums(by));
            (format!("tcpdrop --summary --by {name}, {width} columns"), text)
        })
    });
    let all = [("tcpdrop".to_owned(), line)].into_iter().chain(events).chain(summaries);
    check("drop.txt", &sections(all));
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
    check("drop.jsonl", &text);
}
