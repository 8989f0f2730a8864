//! Local ports.

use std::sync::Arc;

use tcpscope::ports::{
    Choice, Counted, Destinations, PortCounters, PortFail, PortModel, PortPool, PortSettings,
    Ports, PortsBy, PortsShape, advise, group, pools,
};
use tcpscope::report::{Format, TableView};
use tcpscope::tcp_state::TcpState;
use tcpscope::wire::{
    Flow, PORT_HELD, PORT_MATCHES, PORT_TIMESTAMPS, PORT_TIMEWAIT, PortCall, PortEntry, PortEvent,
};

use super::{NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal};

const TO: &str = "198.51.100.7:443";
const V6: &str = "[2001:db8:85a3::8a2e:370:7334]:5432";

fn entry(owner: (u32, &str), ends: (&str, &str), state: TcpState, flags: u32) -> PortEntry {
    PortEntry {
        pid: owner.0,
        comm: comm(owner.1.as_bytes()),
        flow: flow(ends.0, ends.1),
        state: state.number(),
        flags: u8::try_from(flags | PORT_MATCHES).unwrap(),
        left: 42 * SECOND,
        ..PortEntry::default()
    }
}

/// Ten ports of which one is reserved: a proxy uses most of them, a client with a hostile name some.
fn look(more: u16) -> Destinations {
    let (proxy, hostile) = ((4242, "proxy"), (666, "\u{1b}[2J"));
    let mut look = Destinations::default();
    let netns = flow(TO, TO).netns;
    look.settings(
        netns,
        Some(PortSettings {
            range: (40_000, 40_009),
            tw_reuse: Some(2),
            tw_reuse_delay: Some(1000),
            timestamps: Some(1),
            max_tw_buckets: Some(262_144),
            fin_timeout: Some(60),
            tw_overflow: Some(0),
            ..PortSettings::default()
        }),
    );
    let timewait = PORT_TIMEWAIT | PORT_TIMESTAMPS;
    let from = |port: u16| format!("192.0.2.10:{port}");
    for port in 40_000..40_003 + more {
        look.add(&entry(proxy, (&from(port), TO), TcpState::Established, 0));
    }
    look.add(&entry(proxy, (&from(40_007), TO), TcpState::TimeWait, timewait));
    look.add(&entry(hostile, (&from(40_008), TO), TcpState::SynSent, 0));
    look.add(&entry(hostile, ("[2001:db8::1]:40000", V6), TcpState::CloseWait, 0));
    let bound =
        PortEntry { sk: 1, ..entry(hostile, (&from(40_009), TO), TcpState::Close, PORT_HELD) };
    look.add(&PortEntry { flow: Flow { rport: 0, ..bound.flow }, ..bound });
    look
}

fn counted() -> Counted {
    let to = Flow { lport: 0, ..flow("192.0.2.10:1", TO) };
    let counters = PortCounters {
        attempts: 9,
        failed: 4,
        reused: 1,
        closed_us: 2,
        closed_peer: 1,
        users: vec![(4242, comm(b"proxy"), 9, 4)],
        ..PortCounters::default()
    };
    [((to, 0), counters)].into_iter().collect()
}

fn shape(seconds: u64) -> PortsShape {
    PortsShape {
        ts: NOW,
        now: seconds * SECOND,
        interval_ns: (seconds > 0).then_some(SECOND),
        reuse: true,
        cost: false,
    }
}

/// The first look, which knows no rates, and the second.
fn intervals() -> [Vec<tcpscope::ports::DestinationRow>; 2] {
    let mut model = PortModel::default();
    let mut all = Choice { most: usize::MAX, wanted: &mut |_| true };
    let first = model.rows(&look(0), &Counted::default(), shape(0), &mut all);
    [first, model.rows(&look(2), &counted(), shape(1), &mut all)]
}

fn rows() -> Vec<Ports> {
    let named = |row: Ports| Ports { netns_name: Some(Arc::from("blue")), ..row };
    intervals().into_iter().flatten().map(|one| named(one.row)).collect()
}

fn pool_rows() -> Vec<PortPool> {
    let failed = [((flow(TO, TO).netns, flow("192.0.2.10:1", TO).laddr), 3)];
    let seen = pools(&look(2), &Some(failed.into_iter().collect()), (NOW, SECOND));
    seen.into_iter().chain(pools(&look(2), &None, (NOW, SECOND))).collect()
}

fn failures() -> Vec<PortFail> {
    let event = |call: PortCall, error: u16, ends: Flow| PortEvent {
        pid: 4242,
        comm: comm(b"proxy"),
        flow: ends,
        call: call as u8,
        error,
        ..PortEvent::default()
    };
    let ends = flow("192.0.2.10:40000", TO);
    let unnamed = Flow { lport: 0, rport: 0, ..flow("0.0.0.0:1", "0.0.0.0:1") };
    [
        event(PortCall::Connect, 99, Flow { lport: 0, ..ends }),
        event(PortCall::Connect, 99, ends),
        event(PortCall::Bind, 98, unnamed),
    ]
    .map(|event| PortFail::new(NOW, &event, Some(Arc::from("/system.slice"))))
    .into()
}

const GROUPINGS: [(&str, PortsBy); 4] = [
    ("remote", PortsBy::Remote),
    ("process", PortsBy::Process),
    ("local", PortsBy::Local),
    ("netns", PortsBy::Netns),
];

#[test]
fn table() {
    fn view<'a>(hide: &'a [&'static str]) -> TableView<'a> {
        TableView { hide, ..TableView::default() }
    }
    let hidden = Ports::hidden(None, false, true);
    let all = [100, 220].map(|width| {
        (
            format!("tcpports --all, {width} columns"),
            snapshot_on_terminal(width, &view(&hidden), &rows()),
        )
    });
    let groups = GROUPINGS.map(|(name, by)| {
        let hidden = Ports::hidden(Some(by), false, true);
        let rows = group(&intervals()[1], by);
        (format!("tcpports --by {name}"), snapshot_on_terminal(160, &view(&hidden), &rows))
    });
    let pools = snapshot_on_terminal(160, &TableView::default(), &pool_rows());
    let failures = snapshot_on_terminal(160, &TableView::default(), &failures());
    let look = look(2);
    let settings = look.netns.values().next().and_then(|netns| netns.settings.as_ref()).unwrap();
    let advice = advise(&rows()[2], settings).text.to_string();
    let rest = [
        ("ports of a local address", pools),
        ("tcpports --events", failures),
        ("tcpports --advise", advice),
    ];
    let rest = rest.map(|(title, text)| (title.to_owned(), text));
    check("ports.txt", &sections(all.into_iter().chain(groups).chain(rest)));
}

#[test]
fn json() {
    let text = printed(Format::Json, |printer| {
        printer.rows(&TableView::default(), &rows()).unwrap();
        for (_, by) in GROUPINGS {
            printer.rows(&TableView::default(), &group(&intervals()[1], by)).unwrap();
        }
        printer.rows(&TableView::default(), &pool_rows()).unwrap();
        printer.rows(&TableView::default(), &failures()).unwrap();
    });
    check("ports.jsonl", &text);
}
