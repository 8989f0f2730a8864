//! The dashboard on a screen in memory: expected frames, keys and their actions, and a
//! hundred thousand of them without sense. And the real terminal, taken and given back.
//!
//! `INSTA_UPDATE=always cargo test --test dash` writes the frames: read the diff.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod findings;
mod frames;
mod hostile;
mod keys;
mod random;
mod recordings;
mod terminal;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use tcpscope::dash::view::{self, Palette, Theme};
use tcpscope::dash::{Dash, Event, KeyPress, Progress};
use tcpscope::record::AnyRecord;
use tcpscope::report::Ctx;

const RECORDING: &str = include_str!("recording.jsonl");

fn records() -> Vec<AnyRecord> {
    RECORDING.lines().map(|line| AnyRecord::parse(line.as_bytes()).expect(line)).collect()
}

/// A dashboard that has seen the whole recording.
fn dash(width: u16, height: u16) -> Dash {
    let mut dash = Dash::new("recording.jsonl".to_owned(), false);
    dash.handle(Event::Resize(width, height));
    let records = records();
    let (first, last) = (records[0].ts(), records[records.len() - 1].ts());
    dash.handle(Event::Records(records));
    dash.handle(Event::Progress(Progress {
        first: Some(first),
        last: Some(last),
        now: last,
        speed: 1.0,
        ended: true,
        ..Progress::default()
    }));
    dash.refresh();
    dash
}

/// The screen as it is drawn.
fn screen(dash: &mut Dash, theme: Theme) -> Buffer {
    let (width, height) = dash.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut ctx = Ctx::new(0, true);
    dash.refresh();
    terminal.draw(|frame| view::draw(dash, theme, &mut ctx, frame.buffer_mut())).unwrap();
    terminal.backend().buffer().clone()
}

fn text(dash: &mut Dash) -> String {
    let theme = Theme { palette: Palette::Sixteen, ascii: dash.ascii };
    view::text(&screen(dash, theme))
}

/// Types keys; names of keys in angle brackets.
fn press(dash: &mut Dash, script: &str) {
    for word in script.split(' ') {
        let key = match word {
            "<Enter>" => KeyPress::Enter,
            "<Esc>" => KeyPress::Esc,
            "<Tab>" => KeyPress::Tab,
            "<BackTab>" => KeyPress::BackTab,
            "<Backspace>" => KeyPress::Backspace,
            "<Up>" => KeyPress::Up,
            "<Down>" => KeyPress::Down,
            "<Left>" => KeyPress::Left,
            "<Right>" => KeyPress::Right,
            "<PageUp>" => KeyPress::PageUp,
            "<PageDown>" => KeyPress::PageDown,
            "<Home>" => KeyPress::Home,
            "<End>" => KeyPress::End,
            "<Space>" => KeyPress::Char(' '),
            text => {
                for c in text.chars() {
                    assert_eq!(dash.handle(Event::Key(KeyPress::Char(c))), None, "{text}");
                    dash.refresh();
                }
                continue;
            }
        };
        dash.handle(Event::Key(key));
        dash.refresh();
    }
}
