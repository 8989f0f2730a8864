//! What a frame of the dashboard costs: `cargo bench --bench frames`. Ten thousand busy
//! connections of two thousand processes, drawn at 200×60, and what it takes to bring their rows
//! up to date when an interval ends.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tcpscope::count::Count;
use tcpscope::dash::view::{self, Palette, Theme};
use tcpscope::dash::{Dash, Event, View};
use tcpscope::group::Grouping;
use tcpscope::listen::ListenerRecord;
use tcpscope::record::AnyRecord;
use tcpscope::report::Ctx;
use tcpscope::report::Ts;

const CONNECTIONS: u32 = 10_000;
const PROCESSES: u32 = 2_000;
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
            dash.handle(Event::Records(interval(round)));
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
    Ok(())
}

/// The median, and the largest.
fn median(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

/// One second of traffic, other in each round.
fn interval(round: usize) -> Vec<AnyRecord> {
    let ts = Ts(SECOND * (1_000_000 + i64::try_from(round).unwrap_or(0)));
    let count = |nr: u32| {
        let noise = u64::from(nr.wrapping_mul(2_654_435_761) >> 16) * (round as u64 + 1) % 100_003;
        let [.., high, low] = nr.to_be_bytes();
        Count {
            ts,
            by: Some(Grouping::Connection),
            pid: Some(1 + nr % PROCESSES),
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
    let counts = (0..CONNECTIONS).map(count).chain([total]);
    let listeners = (1..=500).map(|port| AnyRecord::Listener(Box::new(listener(port))));
    counts.map(|count| AnyRecord::Count(Box::new(count))).chain(listeners).collect()
}
