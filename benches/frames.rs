//! What a frame of the dashboard costs: `cargo bench --bench frames`. Ten thousand busy
//! connections of two thousand processes, drawn at 200×60, and what it takes to bring their rows
//! up to date when an interval ends. And how long a step back in time takes with three thousand.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tcpscope::count::Count;
use tcpscope::dash::view::{self, Palette, Theme};
use tcpscope::dash::{Dash, Event, KeyPress, View};
use tcpscope::group::Grouping;
use tcpscope::latency::{Latency, LatencyKind};
use tcpscope::listen::ListenerRecord;
use tcpscope::record::AnyRecord;
use tcpscope::report::Ctx;
use tcpscope::report::Ts;
use tcpscope::states::socket_summary::{Socket, Sockets};
use tcpscope::tcp_state::TcpState;

const CONNECTIONS: u32 = 10_000;
const PROCESSES: u32 = 2_000;
/// Connections of the session that goes back in time, its processes, and its intervals.
const BACK: (u32, u32, usize) = (3_000, 300, 100);
const SCREEN: (u16, u16) = (200, 60);
const ROUNDS: usize = 51;
const SECOND: i64 = 1_000_000_000;

fn main() -> Result<()> {
    println!("view          draw, median  slowest  rows anew");
    for view in View::ALL {
        let mut dash = Dash::new("bench".to_owned(), false);
        dash.handle(Event::Resize(SCREEN.0, SCREEN.1));
        dash.show(view);
        let mut terminal = Terminal::new(TestBackend::new(SCREEN.0, SCREEN.1))?;
        let mut ctx = Ctx::new(0, true);
        let theme = Theme { palette: Palette::Sixteen, ascii: false };
        let (mut draws, mut fills) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            dash.handle(Event::Records(interval(round, CONNECTIONS, PROCESSES)));
            let begun = Instant::now();
            dash.refresh();
            fills.push(begun.elapsed());
            let begun = Instant::now();
            terminal.draw(|frame| view::draw(&dash, theme, &mut ctx, frame.buffer_mut()))?;
            draws.push(begun.elapsed());
        }
        if view == View::Connections {
            ensure!(
                dash.tables.connections.rows().len() == CONNECTIONS as usize,
                "rows are missing"
            );
        }
        let (draw, slowest) = median(&mut draws);
        let (fill, _) = median(&mut fills);
        println!("{:<12} {draw:>9.1?} {slowest:>10.1?} {fill:>10.1?}", format!("{view:?}"));
    }
    println!("\nview          [, median  slowest");
    for view in [View::Overview, View::Connections, View::Listeners] {
        let (middle, slowest) = back(view)?;
        println!("{:<12} {middle:>9.1?} {slowest:>10.1?}", format!("{view:?}"));
    }
    Ok(())
}

/// From the key to the frame, of steps back in a live session: the median, and the slowest.
fn back(view: View) -> Result<(Duration, Duration)> {
    let (connections, processes, intervals) = BACK;
    let mut dash = Dash::new("bench".to_owned(), false);
    dash.handle(Event::Resize(SCREEN.0, SCREEN.1));
    dash.show(view);
    for round in 0..intervals {
        let mut records = interval(round, connections, processes);
        records.extend(summary(round, connections, processes));
        dash.handle(Event::Records(records));
    }
    dash.refresh();
    let mut terminal = Terminal::new(TestBackend::new(SCREEN.0, SCREEN.1))?;
    let mut ctx = Ctx::new(0, true);
    let theme = Theme { palette: Palette::Sixteen, ascii: false };
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        dash.handle(Event::Key(KeyPress::Char('[')));
        dash.refresh();
        terminal.draw(|frame| view::draw(&dash, theme, &mut ctx, frame.buffer_mut()))?;
        times.push(begun.elapsed());
    }
    ensure!(dash.ago().is_some(), "it shows the past");
    Ok(median(&mut times))
}

/// The sockets, processes and response times of a live session.
fn summary(round: usize, connections: u32, processes: u32) -> Vec<AnyRecord> {
    let connections = interval(round, connections, processes).into_iter();
    let counts: Vec<_> = connections
        .filter_map(|record| if let AnyRecord::Count(row) = record { Some(*row) } else { None })
        .filter(|row| !row.total)
        .collect();
    let socket = |row: &Count| Socket {
        ts: row.ts,
        pid: row.pid,
        comm: row.comm.clone(),
        laddr: row.laddr,
        lport: row.lport,
        raddr: row.raddr,
        rport: row.rport,
        netns: row.netns,
        state: Some(TcpState::Established),
        age_ns: Some(5),
        ..Socket::default()
    };
    let process = |row: &Count| {
        let by = Some(Grouping::Process);
        let count = Count { by, laddr: None, raddr: None, lport: None, rport: None, ..row.clone() };
        let state = Some(TcpState::Established);
        let sockets =
            Sockets { ts: row.ts, by, pid: row.pid, state, count: Some(10), ..Sockets::default() };
        let latency = Latency {
            ts: row.ts,
            by,
            pid: row.pid,
            comm: row.comm.clone(),
            latency_kind: Some(LatencyKind::Response),
            interval_ns: row.interval_ns,
            count: Some(9),
            p50_ns: Some(1_000),
            p99_ns: Some(2_000),
            buckets: Some((1..20).map(|slot| [slot, slot + 1, 1]).collect()),
            ..Latency::default()
        };
        [AnyRecord::from(count), sockets.into(), latency.into()]
    };
    let sockets = counts.iter().take(2_000).map(|row| AnyRecord::from(socket(row)));
    let rows = counts.iter().take(processes as usize).flat_map(process);
    sockets.chain(rows).collect()
}

/// The median, and the largest.
fn median(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

/// One second of traffic, other in each round.
fn interval(round: usize, connections: u32, processes: u32) -> Vec<AnyRecord> {
    let ts = Ts(SECOND * (1_000_000 + i64::try_from(round).unwrap_or(0)));
    let count = |nr: u32| {
        let noise = u64::from(nr.wrapping_mul(2_654_435_761) >> 16) * (round as u64 + 1) % 100_003;
        let [.., high, low] = nr.to_be_bytes();
        Count {
            ts,
            by: Some(Grouping::Connection),
            pid: Some(1 + nr % processes),
            comm: Some("worker".into()),
            laddr: Some([10, 0, high, low].into()),
            lport: Some(443),
            raddr: Some([192, 0, 2, 1].into()),
            rport: Some(50_000),
            netns: Some(1),
            interval_ns: Some(1_000_000_000),
            tx_bytes: Some(noise),
            rx_bytes: Some(noise / 2),
            tx_calls: Some(noise / 100),
            rx_calls: Some(noise / 100),
            ..Count::default()
        }
    };
    let listener = |port: u16| ListenerRecord {
        ts,
        lport: Some(port),
        accept_now: Some(1),
        accept_limit: Some(128),
        drops_total: Some(u64::from(port % 3)),
        ..ListenerRecord::default()
    };
    let total = Count { total: true, pid: None, lport: None, ..count(0) };
    let counts = (0..connections).map(count).chain([total]);
    let listeners = (1..=500).map(|port| AnyRecord::Listener(Box::new(listener(port))));
    counts.map(|count| AnyRecord::Count(Box::new(count))).chain(listeners).collect()
}
