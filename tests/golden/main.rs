//! Records typed by hand go through the models and the printer; the output must be the snapshots
//! beside this file. `INSTA_UPDATE=always cargo test --test golden` writes them: read the diff.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod check;
mod count;
mod drop;
mod finding;
mod latency;
mod life;
mod listen;
mod ports;
mod retrans;
mod stall;
mod states;
mod status;
mod summary;

use std::fs::File;
use std::io::{Read, Seek};
use std::net::SocketAddr;

use tcpscope::report::{Ctx, Format, Printer, Row, Sink, Stop, Table, TableView, Term};
use tcpscope::wire::{COMM_LEN, Flow};
use unicode_width::UnicodeWidthStr as _;

const SECOND: u64 = 1_000_000_000;
/// 2026-01-02 03:04:05.006 UTC
const NOW: i64 = 1_767_323_045_006_000_000;

/// What a tool prints that runs into files: its output, and below a line what it says about
/// itself, if anything.
fn printed(format: Format, print: impl FnOnce(&mut Printer)) -> String {
    let (stop, _wake) = Stop::pair().unwrap();
    let files = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
    let sink = |file: &File| Sink::new(file.try_clone().unwrap().into(), stop.clone()).unwrap();
    let ctx = Ctx::new(SECOND, true);
    let mut printer = Printer::new(sink(&files[0]), sink(&files[1]), format, ctx);
    print(&mut printer);
    printer.flush().unwrap();
    drop(printer);
    let [out, err] = files.map(|mut file| {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    });
    if err.is_empty() { out } else { format!("{out}-- standard error --\n{err}") }
}

/// Output of a terminal with this many columns.
fn on_terminal(width: usize, print: impl FnOnce(&mut Table, &mut Ctx, &mut Vec<u8>)) -> String {
    let term = Term { tty: true, bold: false, width: Some(width), height: None };
    let mut out = Vec::new();
    print(&mut Table::new(term), &mut Ctx::new(SECOND, true), &mut out);
    let text = String::from_utf8(out).unwrap();
    for line in text.lines() {
        // A value wider than the screen stands alone.
        assert!(line.width() <= width || !line.trim().contains(' '), "{width}: {line}");
    }
    text
}

fn stream_on_terminal<R: Row>(width: usize, rows: &[R]) -> String {
    on_terminal(width, |table, ctx, out| {
        for row in rows {
            table.row(row, &TableView::default(), ctx, out);
        }
    })
}

fn snapshot_on_terminal<R: Row>(width: usize, view: &TableView<'_>, rows: &[R]) -> String {
    on_terminal(width, |table, ctx, out| table.snapshot(rows, view, ctx, out))
}

/// Parts of a file, each below the command that would print it.
fn sections(parts: impl IntoIterator<Item = (String, String)>) -> String {
    let section = |(title, text)| format!("## {title}\n{text}\n");
    parts.into_iter().map(section).collect::<Vec<_>>().concat()
}

/// Compares with `NAME.snap` of this folder.
fn check(name: &str, got: &str) {
    if name.ends_with("jsonl") {
        for line in got.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(value["kind"].is_string() && value["ts"].is_string(), "{line}");
        }
    }
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, got);
    });
}

/// A name as the kernel keeps it: cut, or filled up with NUL.
fn comm(name: &[u8]) -> [u8; COMM_LEN] {
    let mut comm = [0; COMM_LEN];
    let len = name.len().min(COMM_LEN);
    comm[..len].copy_from_slice(&name[..len]);
    comm
}

/// A flow as the kernel would hand it over; port 0 is one it has not (yet).
fn flow(local: &str, remote: &str) -> Flow {
    let [local, remote] = [local, remote].map(|text| text.parse::<SocketAddr>().expect(text));
    let octets = |end: SocketAddr| match end {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(v6) => v6.ip().octets(),
    };
    Flow {
        laddr: octets(local),
        raddr: octets(remote),
        lport: local.port(),
        rport: remote.port(),
        netns: 4_026_531_840,
        ..Flow::default()
    }
}
