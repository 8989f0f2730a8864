//! The summary of all sockets.

use tcpscope::kernel::netns_list::Extent;
use tcpscope::report::{Format, TableView};
use tcpscope::states::print_summary;
use tcpscope::states::socket_summary::{SocketSummary, Sockets, SummaryBy};
use tcpscope::tcp_state::TcpState::{
    self, CloseWait, Established, FinWait1, LastAck, Listen, NewSynRecv, SynSent, TimeWait,
};
use tcpscope::wire::{DURATION_UNKNOWN, SockEntry};

use super::{NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal};

const NETNS: u32 = 4_026_531_840;
const GROUPINGS: [Option<SummaryBy>; 5] = [
    None,
    Some(SummaryBy::Process),
    Some(SummaryBy::Remote),
    Some(SummaryBy::Port),
    Some(SummaryBy::Netns),
];

fn entry(state: TcpState, owner: (u32, &str), ends: (&str, &str)) -> SockEntry {
    SockEntry {
        state: state.number(),
        age: DURATION_UNKNOWN,
        at_least: DURATION_UNKNOWN,
        pid: owner.0,
        comm: comm(owner.1.as_bytes()),
        flow: flow(ends.0, ends.1),
        ..SockEntry::default()
    }
}

fn aged(seconds: u64, entry: SockEntry) -> SockEntry {
    SockEntry { age: seconds * SECOND, ..entry }
}

/// The tool saw no start; the last acknowledgement was this many seconds ago.
fn idle(seconds: u64, entry: SockEntry) -> SockEntry {
    SockEntry { at_least: seconds * SECOND, ..entry }
}

fn entries() -> Vec<SockEntry> {
    let (nginx, java, unowned) = ((99, "nginx"), (4_194_304, "java"), (0, ""));
    let web = ("192.0.2.10:443", "198.51.100.7:50000");
    let web6 = ("[2001:db8::1]:443", "[2001:db8:85a3::8a2e:370:7334]:50001");
    let backend = ("10.0.0.1:43210", "10.0.0.200:5432");
    let mut entries = vec![
        entry(Listen, nginx, ("0.0.0.0:443", "0.0.0.0:0")),
        entry(Listen, nginx, ("[::]:443", "[::]:0")),
        aged(5, entry(Established, nginx, web)),
        idle(7200, entry(Established, nginx, web6)),
        entry(Established, java, backend),
        aged(59, entry(TimeWait, unowned, web)),
        entry(NewSynRecv, unowned, web),
        entry(SynSent, (666, "\u{1b}[2J"), ("127.0.0.1:0", "127.0.0.1:1")),
        idle(90_000, entry(CloseWait, java, backend)),
        entry(CloseWait, unowned, web6),
    ];
    // More than the list of the oldest shows.
    entries.extend((1..=10).map(|nr| aged(nr * 125, entry(CloseWait, java, backend))));
    let closing = |state, orphan, unacked, unsent| SockEntry {
        orphan,
        unacked,
        unsent,
        ..entry(state, java, backend)
    };
    entries.extend([
        aged(40, closing(FinWait1, 1, 2_500_000, 2_400_000)),
        aged(3, closing(LastAck, 0, 0, 0)),
    ]);
    entries
}

fn inventory(by: Option<SummaryBy>, entries: &[SockEntry]) -> SocketSummary {
    let mut inventory = SocketSummary::new(NOW, by);
    for entry in entries {
        inventory.add(entry);
    }
    let mut extent = Extent::default();
    extent.add(Some(NETNS));
    inventory.finish(extent, |_| Some("web".into()));
    inventory
}

fn command(by: Option<SummaryBy>) -> String {
    let by = by.map_or(String::new(), |by| format!(" --by {by:?}").to_lowercase());
    format!("tcpstates --summary{by}")
}

fn summary(format: Format, by: Option<SummaryBy>, entries: &[SockEntry]) -> String {
    printed(format, |printer| {
        print_summary(printer, &inventory(by, entries), None, usize::MAX).unwrap();
    })
}

#[test]
fn table() {
    let mut parts: Vec<_> = GROUPINGS
        .into_iter()
        .map(|by| (command(by), summary(Format::Table, by, &entries())))
        .collect();
    parts.push((
        "tcpstates --summary, no CLOSE_WAIT, none that closes".to_owned(),
        summary(Format::Table, None, &[]),
    ));
    let twice = printed(Format::Table, |printer| {
        let inventory = inventory(Some(SummaryBy::Port), &entries()[..3]);
        print_summary(printer, &inventory, None, 1).unwrap();
        print_summary(printer, &inventory, None, 1).unwrap();
    });
    parts.push(("tcpstates --summary --by port --top 1, two intervals".to_owned(), twice));
    for width in [120, 80, 40] {
        let inventory = inventory(Some(SummaryBy::Process), &entries());
        let hide = Sockets::hidden(Some(SummaryBy::Process));
        let sockets = snapshot_on_terminal(
            width,
            &TableView { hide, ..TableView::default() },
            &inventory.sockets(),
        );
        let oldest = snapshot_on_terminal(width, &TableView::default(), &inventory.close_wait());
        let closing = snapshot_on_terminal(width, &TableView::default(), &inventory.closing());
        let title = format!("tcpstates --summary --by process, {width} columns");
        parts.push((title, format!("{sockets}\n{oldest}\n{closing}")));
    }
    check("summary.txt", &sections(parts));
}

#[test]
fn json() {
    let all: String =
        GROUPINGS.into_iter().map(|by| summary(Format::Json, by, &entries())).collect();
    check("summary.jsonl", &all);
}
