//! Listeners of an interval, their drops, clients, and advice.

use std::collections::BTreeMap;

use tcpscope::listen::{
    Batches, Clients, Coverage, DropClient, DropEvent, Drops, ListenCounters, ListenInterval,
    ListenerRecord, ListenerRowOptions, Listeners, Reading, Sysctls, advise, rows, silent,
};
use tcpscope::report::{Format, Printer, TableView, Ts};
use tcpscope::wire::{
    LISTENER_MATCHES, LISTENER_V6ONLY, ListenCause as Cause, ListenEvent, Listener, ListenerEntry,
    Owner, WaitKey, WaitSlots,
};

use super::{
    NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal, stream_on_terminal,
};

const BY_FUNCTIONS: Coverage = Coverage {
    syn: true,
    ack: true,
    discards: false,
    accepts: true,
    all_accepts: true,
    children: true,
};
const BY_SAMPLING: Coverage = Coverage {
    syn: false,
    ack: false,
    discards: true,
    accepts: false,
    all_accepts: false,
    children: true,
};

fn listener(at: &str, owner: (u32, &[u8]), queues: [u32; 3]) -> Listener {
    let mut listener = Listener::default();
    let [accept_now, accept_limit, syn_now] = queues;
    listener.born = 1;
    listener.flow = flow(at, "[::]:0");
    listener.flow.raddr = [0; 16];
    listener.owner = Owner { pid: owner.0, comm: comm(owner.1), ..Owner::default() };
    (listener.accept_now, listener.accept_limit, listener.syn_now) =
        (accept_now, accept_limit, syn_now);
    listener.flags = LISTENER_MATCHES;
    listener
}

fn entries() -> Vec<ListenerEntry> {
    let mut web = listener("0.0.0.0:80", (99, b"nginx"), [129, 128, 40]);
    web.dropped[Cause::AcceptSyn as usize] = 900;
    web.dropped[Cause::AcceptAck as usize] = 100;
    web.dropped[Cause::Retrans as usize] = 55;
    (web.drops, web.established, web.accepted) = (1_100, 5_129, 5_000);
    (web.accept_peak, web.syn_peak) = ([129, 0], [77, 0]);
    (web.waiting_ns, web.waiting_accepts) = (1_000_000_000, 4_000);
    let mut ssh = listener("[::]:22", (4_194_304, b"sshd\x1b[0m"), [0, 128, 0]);
    ssh.dropped[Cause::Syn as usize] = 3;
    ssh.dropped[Cause::Cookie as usize] = 12;
    (ssh.drops, ssh.syn_peak) = (3, [128, 0]);
    let mut six = listener("[2001:db8::1]:443", (0, b""), [1, 4096, 0]);
    six.flags |= LISTENER_V6ONLY;
    six.flow.netns += 1;
    let idle = listener("127.0.0.1:5432", (7, b"postgres"), [0, 200, 0]);
    let twin = Listener { born: 2, accept_now: 3, dropped: [0; 7], drops: 0, ..web };
    [web, ssh, six, idle, twin]
        .into_iter()
        .zip(1..)
        .map(|(listener, sk)| ListenerEntry { sk, listener })
        .collect()
}

fn readings(mib: ListenCounters) -> BTreeMap<u32, Reading> {
    let sysctls =
        Sysctls { somaxconn: 128, max_syn_backlog: 256, syncookies: 1, abort_on_overflow: false };
    let reading = Reading { before: mib, after: mib, sysctls: Some(sysctls) };
    [(entries()[0].listener.flow.netns, reading)].into()
}

fn interval(coverage: Coverage) -> ListenInterval {
    let mib = ListenCounters {
        overflows: 1_000,
        drops: 1_003,
        syn_drops: 3,
        ..ListenCounters::default()
    };
    let mut slots = WaitSlots::default();
    slots.counts = [10; 16];
    slots.counts[15] = 1;
    let key = WaitKey { sk: 1, born: 1, octave: 11, reserved: 0 };
    let mut model = Listeners::new(coverage, true);
    model.begin(&[], &BTreeMap::new());
    model.interval(0, &entries(), &[(key, slots)], &readings(mib))
}

fn shown(coverage: Coverage, all: bool, group: bool) -> Vec<ListenerRecord> {
    let shape = ListenerRowOptions { time: (NOW, 2 * SECOND), coverage, all, group };
    let mut rows = rows(&interval(coverage), shape, |_| Some("web".into()));
    rows.sort_by_key(ListenerRecord::order);
    rows
}

fn print(printer: &mut Printer, coverage: Coverage, rows: &[ListenerRecord]) {
    printer.set_interval(2 * SECOND);
    let hide = silent(rows, coverage.accepts, false);
    printer.rows(&TableView { hide: &hide, ..TableView::default() }, rows).unwrap();
}

fn event(ts: u64, cause: Cause, client: &str) -> ListenEvent {
    let mut event = ListenEvent::default();
    (event.ts, event.sk, event.born) = (ts, 1, 1);
    event.flow = flow("0.0.0.0:80", client);
    event.cause = cause as u32;
    (event.queue, event.limit) = (129, 128);
    event
}

fn losses_and_clients() -> (Vec<DropEvent>, Vec<DropClient>) {
    let known = entries().iter().map(|entry| (entry.id(), entry.listener)).collect();
    let (mut batches, mut clients) = (Batches::default(), Clients::default());
    for event in [
        event(1_000_000, Cause::AcceptSyn, "192.0.2.7:40000"),
        event(1_400_000, Cause::AcceptSyn, "192.0.2.7:40001"),
        event(1_500_000, Cause::AcceptAck, "198.51.100.9:50000"),
        event(1_600_000, Cause::Retrans, "198.51.100.9:50000"),
        event(3_000_000, Cause::Cookie, "192.0.2.8:40002"),
        event(3_000_001, Cause::Cookie, "192.0.2.9:40003"),
        event(4_000_000, Cause::Syn, "0.0.0.0:0"),
    ] {
        batches.push(&event, &known);
        clients.push(&event);
    }
    let mut rows = batches.take(u64::MAX, &known);
    for (nth, row) in rows.iter_mut().enumerate() {
        row.ts = Ts(NOW + i64::try_from(nth).unwrap() * 1_000_000);
    }
    let some = Some(4);
    let drops = Drops { total: Some(6), accept_syn: some, ..Drops::default() };
    (rows, clients.rows((NOW, SECOND), drops))
}

fn advice(printer: &mut Printer) {
    for coverage in [BY_FUNCTIONS, BY_SAMPLING] {
        for one in &interval(coverage).listeners {
            if let Some(advice) = advise(NOW, 2 * SECOND, one) {
                printer.record(&advice, &advice.text).unwrap();
            }
        }
    }
}

#[test]
fn table() {
    let table = |coverage: Coverage, rows: &[ListenerRecord]| {
        printed(Format::Table, |printer| print(printer, coverage, rows))
    };
    let functions = shown(BY_FUNCTIONS, false, false);
    let grouped = shown(BY_FUNCTIONS, false, true);
    let hide = &["netns", "drops_accept", "wait_p50_ns", "wait_p99_ns", "holders"];
    let narrow = TableView { hide, ..TableView::default() };
    let mut idle = functions.clone();
    for row in &mut idle {
        let nothing = Some(0);
        (row.drops_accept_syn, row.drops_accept_ack, row.drops_syn) = (nothing, nothing, nothing);
        (row.drops_other, row.cookies, row.synack_retrans) = (nothing, nothing, nothing);
    }
    let (events, clients) = losses_and_clients();
    check(
        "listen.txt",
        &sections([
            ("listenoverflow -i 2".to_owned(), table(BY_FUNCTIONS, &functions)),
            ("by looking, --all".to_owned(), table(BY_SAMPLING, &shown(BY_SAMPLING, true, false))),
            ("--group".to_owned(), table(BY_FUNCTIONS, &grouped)),
            ("120 columns".to_owned(), snapshot_on_terminal(120, &narrow, &functions)),
            ("80 columns".to_owned(), snapshot_on_terminal(80, &narrow, &functions)),
            ("40 columns".to_owned(), snapshot_on_terminal(40, &narrow, &functions)),
            ("80 columns, all idle".to_owned(), snapshot_on_terminal(80, &narrow, &idle)),
            ("--events, 80 columns".to_owned(), stream_on_terminal(80, &events)),
            ("--events, 40 columns".to_owned(), stream_on_terminal(40, &events)),
            (
                "--clients, 80 columns".to_owned(),
                snapshot_on_terminal(80, &TableView::default(), &clients),
            ),
            (
                "--events".to_owned(),
                printed(Format::Table, |printer| {
                    for row in &events {
                        printer.row(row).unwrap();
                    }
                }),
            ),
            (
                "--clients".to_owned(),
                printed(Format::Table, |printer| {
                    printer.rows(&TableView::default(), &clients).unwrap();
                }),
            ),
            ("--advise".to_owned(), printed(Format::Table, advice)),
        ]),
    );
}

#[test]
fn json() {
    let (events, clients) = losses_and_clients();
    let text = printed(Format::Json, |printer| {
        for coverage in [BY_FUNCTIONS, BY_SAMPLING] {
            print(printer, coverage, &shown(coverage, true, false));
        }
        for row in &events {
            printer.row(row).unwrap();
        }
        for row in &clients {
            printer.row(row).unwrap();
        }
        advice(printer);
    });
    check("listen.jsonl", &text);
}
