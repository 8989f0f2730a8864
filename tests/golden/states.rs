//! State transitions.

use std::sync::Arc;

use tcpscope::report::Format;
use tcpscope::states::StateChange;
use tcpscope::tcp_state::TcpState::{
    self, Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
    SynSent, TimeWait,
};
use tcpscope::wire::{DURATION_UNKNOWN, EndCause, Ending, Flow, LifeEnd, StateEvent};

use super::{NOW, check, comm, flow, printed, sections, stream_on_terminal};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

fn event(pid: u32, name: &[u8], flow: Flow, states: (TcpState, TcpState), ns: u64) -> StateEvent {
    StateEvent {
        pid,
        comm: comm(name),
        flow,
        old_state: states.0.number(),
        new_state: states.1.number(),
        duration: ns,
        cookie: 0x1_0000_0001,
        ..StateEvent::default()
    }
}

fn closed_by(event: StateEvent, end: LifeEnd, error: u16) -> StateEvent {
    StateEvent { ending: Ending { end: end as u8, error, ..Ending::default() }, ..event }
}

fn connections() -> Vec<StateEvent> {
    let v4 = flow("192.0.2.10:43210", "198.51.100.7:443");
    let v6 = flow("[2001:db8::1]:22", "[2001:db8:85a3::8a2e:370:7334]:55222");
    let mapped = flow("[::ffff:10.0.0.1]:8080", "[::ffff:10.0.0.200]:60001");
    let longest = flow(
        "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
        "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535",
    );
    vec![
        // The kernel has not chosen a port yet, nor seen the state begin.
        event(4242, b"curl", Flow { lport: 0, ..v4 }, (Close, SynSent), DURATION_UNKNOWN),
        event(4242, b"curl", v4, (SynSent, Established), 12_345 * US),
        event(4242, b"curl", v4, (Established, FinWait1), 1_500 * MS),
        event(812, b"sshd", v6, (SynRecv, Established), 48_100),
        event(4_194_304, b"java", mapped, (Established, CloseWait), 125 * S),
        event(4_194_304, b"java", mapped, (CloseWait, LastAck), 11_520 * S),
        event(7, b"sixteen-bytes-ab", longest, (FinWait1, FinWait2), 999),
        closed_by(event(4242, b"curl", v4, (SynSent, Close), 88 * US), LifeEnd::Refused, 111),
        closed_by(event(812, b"sshd", v6, (Established, Close), 9 * S), LifeEnd::LingerZero, 0),
    ]
}

fn listeners() -> Vec<StateEvent> {
    let v4 = flow("0.0.0.0:80", "0.0.0.0:0");
    let v6 = flow("[::]:80", "[::]:0");
    let unknown = StateEvent { cookie: 0, new_state: 13, ..connections()[1] };
    vec![
        event(99, b"nginx", v4, (Close, Listen), DURATION_UNKNOWN),
        event(99, b"nginx", v6, (Listen, Close), 100_800 * S),
        // Without a process a name means nothing. No kernel known has a state 13.
        StateEvent { pid: 0, comm: comm(b"stale"), ..unknown },
    ]
}

/// Changes of timewait sockets, and whether polling has found them.
fn timewaits() -> Vec<(StateEvent, bool)> {
    let v4 = flow("192.168.100.10:43210", "198.51.100.217:65443");
    let change = |old, new, ns| event(4242, b"curl", v4, (old, new), ns);
    let end = |end_cause| StateEvent { end_cause, ..change(TimeWait, Close, 60_012 * MS) };
    let ended = |cause: EndCause| (end(cause as u8), false);
    let (unknown, reset) = (EndCause::Unknown as u8, EndCause::Reset as u8);
    let unowned = StateEvent { pid: 0, cookie: 0, ..end(unknown) };
    vec![
        (change(FinWait2, TimeWait, 41_007 * US), true),
        (closed_by(change(Closing, TimeWait, 812 * US), LifeEnd::ClosedBoth, 0), false),
        (end(unknown), true),
        (unowned, true),
        (end(unknown), false),
        ended(EndCause::Expired),
        ended(EndCause::ReusedConnect),
        ended(EndCause::ReusedSyn),
        ended(EndCause::Reset),
        // A cause is that of an end, and of one that this version knows.
        (StateEvent { end_cause: reset, ..change(FinWait2, Close, 5 * US) }, false),
        (end(u8::MAX), false),
    ]
}

fn hostile() -> Vec<StateEvent> {
    let v4 = flow("127.0.0.1:1", "127.0.0.1:65535");
    let named = |name: &[u8]| event(666, name, v4, (Established, Close), 0);
    vec![
        named(b"\x1b]0;owned\x07\n"),
        named(b"\xff\xfeutf8\xc3"),
        named("a\u{202e}txt.exe".as_bytes()),
        named(br#"q"uo\te"#),
        named("数据库".as_bytes()),
        named(b""),
    ]
}

fn rows() -> Vec<StateChange> {
    let paths = ["/", "/system.slice/nginx.service", "/user.slice/\x1b[31m\u{202e}"];
    let events = connections().into_iter().chain(listeners()).chain(hostile());
    let events = events.map(|event| (event, false)).chain(timewaits());
    let row = |(nr, (event, polled))| {
        let ts = NOW + 1_234_567 * i64::try_from(nr).unwrap();
        StateChange::new(ts, &event, polled, paths.get(nr).copied().map(Arc::from))
    };
    events.enumerate().map(row).collect()
}

fn stream(format: Format) -> String {
    printed(format, |printer| rows().iter().for_each(|row| printer.row(row).unwrap()))
}

#[test]
fn table() {
    let narrow = |width| {
        (format!("tcpstates, on a terminal of {width} columns"), stream_on_terminal(width, &rows()))
    };
    let wide = ("tcpstates".to_owned(), stream(Format::Table));
    check("states.txt", &sections([wide, narrow(120), narrow(80), narrow(40)]));
}

#[test]
fn json() {
    check("states.jsonl", &stream(Format::Json));
}
