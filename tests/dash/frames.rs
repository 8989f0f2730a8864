//! Every view at two sizes.

use ratatui::style::Color;
use tcpscope::dash::View;
use tcpscope::dash::view::{Palette, Theme};

use super::{dash, press, screen, text};

/// What is on the screen besides the plain views.
const STATES: [(&str, &str); 12] = [
    ("<Enter>", "an open finding"),
    ("<End> <Enter>", "the list of findings, or the last of them"),
    ("2 c <Down> <Space>", "columns are being chosen"),
    ("2 <Down> <Enter>", "details of a process"),
    ("3 <Enter>", "details of a connection"),
    ("4 <Down> <Enter>", "details of a latency"),
    ("5 <Enter>", "details of a socket in CLOSE_WAIT"),
    ("6 <Enter>", "details of a listener"),
    ("9 <Enter>", "details of a destination"),
    ("?", "help"),
    ("2/--rport", "a filter is being typed"),
    ("2/nginx <Space> rport:70000", "a filter that cannot be read"),
];

fn check(name: &str, got: &str) {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dash"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, got);
    });
}

fn frames(width: u16, height: u16, ascii: bool) -> String {
    let mut all = String::new();
    for view in View::ALL {
        let mut dash = dash(width, height);
        dash.ascii = ascii;
        dash.show(view);
        all.extend([format!("## {view:?}\n"), text(&mut dash), "\n".to_owned()]);
    }
    for (keys, title) in STATES {
        let mut dash = dash(width, height);
        dash.ascii = ascii;
        press(&mut dash, keys);
        all.extend([format!("## {title}\n"), text(&mut dash), "\n".to_owned()]);
    }
    all
}

#[test]
fn least() {
    check("frames-40x10", &frames(40, 10, false));
}

/// Little room and a terminal without Unicode: whatever can be cut or replaced is.
#[test]
fn small_in_ascii() {
    check("frames-60x15-ascii", &frames(60, 15, true));
}

#[test]
fn cut_text_ends_in_an_ellipsis() {
    assert!(frames(60, 15, false).contains("redis-serv…"));
}

/// Two columns of panels.
#[test]
fn medium() {
    check("frames-120x35", &frames(120, 35, false));
}

/// Every column and every part of every view.
#[test]
fn large() {
    check("frames-200x60", &frames(200, 60, false));
}

#[test]
fn ascii_frames_have_no_other_character() {
    for (width, height) in [(60, 15), (80, 24), (100, 30), (200, 60)] {
        let frames = frames(width, height, true);
        let foreign: Vec<_> = frames.chars().filter(|c| !c.is_ascii()).collect();
        assert!(foreign.is_empty(), "{width}×{height}: {foreign:?}");
    }
}

#[test]
fn from_80_columns_on_the_overview_has_all_rates_states_and_a_time_axis() {
    for (width, height) in [(80, 24), (100, 23), (100, 24), (120, 30), (150, 24), (200, 60)] {
        let text = text(&mut dash(width, height));
        for part in ["sent ", "retransmits ", "resets ", " now", "TIME_WAIT", "-2m"] {
            assert!(text.contains(part), "{width}×{height}: no {part}\n{text}");
        }
    }
}

/// Whatever a table is sorted by, the mark stands between its heading and a blank.
#[test]
fn a_mark_of_the_order_never_touches_the_next_heading() {
    for width in [40, 60, 80, 120, 200] {
        for view in View::ALL {
            let mut dash = dash(width, 35);
            dash.show(view);
            for _ in 0..25 {
                let text = text(&mut dash);
                for (at, mark) in text.match_indices(['▼', '▲']) {
                    let next = text[at + mark.len()..].chars().next();
                    assert!(next.is_none_or(char::is_whitespace), "{width} {view:?}\n{text}");
                }
                press(&mut dash, ">");
            }
        }
    }
}

/// The owner, the queue, and the port of a destination are what the panels are read for.
#[test]
fn panels_of_the_overview_cut_neither_names_nor_numbers() {
    let mut dash = tcpscope::dash::Dash::new("panels".to_owned(), false);
    let lines = [
        r#"{"kind":"listener","ts":"2026-01-02T03:04:05Z","laddr":"127.0.0.1","lport":33161,"netns":1,"pid":7,"comm":"live-9dc5303c87","interval_ns":1000000000,"accept_now":1,"accept_peak":1,"accept_limit":0,"drops_total":5}"#,
        r#"{"kind":"destination","ts":"2026-01-02T03:04:05Z","laddr":"127.0.0.1","raddr":"127.0.0.1","rport":33161,"netns":1,"family":4,"local_ports_used":28231,"local_ports_time_wait":0,"local_ports":28232}"#,
    ];
    let parse = |line: &&str| tcpscope::record::AnyRecord::parse(line.as_bytes()).unwrap();
    dash.handle(tcpscope::dash::Event::Records(lines.iter().map(parse).collect()));
    dash.handle(tcpscope::dash::Event::Resize(120, 35));
    let wide = text(&mut dash);
    for part in
        ["127.0.0.1:33161 live-9dc5303c87", "████████ 1/1/0", "28231 of 28232 to 127.0.0.1:33161"]
    {
        assert!(wide.contains(part), "no {part}\n{wide}");
    }
    dash.handle(tcpscope::dash::Event::Resize(80, 24));
    let narrow = text(&mut dash);
    let worst = narrow.lines().find(|line| line.starts_with("worst listener")).unwrap();
    assert!(!worst.contains('…') && worst.ends_with(" drops/min, ACCEPT-Q 1/0"), "{worst}");
}

/// Whatever the size, a view has its tabs, its keys, and nothing beyond its lines.
#[test]
fn every_size_from_40_by_10_to_300_by_100_is_drawn() {
    for width in (40..=300).step_by(20) {
        for height in (10..=100).step_by(15) {
            let mut dash = dash(width, height);
            for view in View::ALL {
                dash.show(view);
                let text = text(&mut dash);
                let lines: Vec<_> = text.lines().collect();
                assert_eq!(lines.len(), usize::from(height), "{width}×{height} {view:?}");
                assert!(lines[0].contains(view.name()), "{width}×{height} {view:?}\n{text}");
                assert!(lines[lines.len() - 1].starts_with("q quit"), "{width}×{height}\n{text}");
            }
        }
    }
}

#[test]
fn too_small_says_so() {
    for (width, height) in [(39, 10), (40, 9), (20, 3)] {
        let mut dash = dash(width, height);
        assert!(text(&mut dash).contains("needs 40"), "{width}×{height}");
    }
}

#[test]
fn sixteen_colours_are_enough_and_none_if_not_wanted() {
    for view in View::ALL {
        let mut dash = dash(120, 40);
        dash.show(view);
        let coloured = screen(&mut dash, Theme { palette: Palette::Sixteen, ascii: false });
        for cell in coloured.content() {
            let basic = !matches!(cell.fg, Color::Rgb(..) | Color::Indexed(_));
            // The terminal's own background, and nothing that is lost on a light or a dark one.
            let readable = !matches!(cell.fg, Color::Black | Color::White | Color::Yellow);
            assert!(basic && readable && cell.bg == Color::Reset, "{view:?}: {cell:?}");
        }
        let plain = screen(&mut dash, Theme { palette: Palette::None, ascii: false });
        let colours = plain.content().iter().filter(|cell| cell.fg != Color::Reset);
        assert_eq!(colours.count(), 0, "{view:?}");
    }
}

/// A selected one is reversed, which is readable in any colours.
#[test]
fn themes_use_their_own_colours_and_zeros_are_dim() {
    for palette in [Palette::Dark, Palette::Light] {
        let mut dash = dash(200, 60);
        let screen = screen(&mut dash, Theme { palette, ascii: false });
        let foreign = screen
            .content()
            .iter()
            .map(|cell| cell.fg)
            .find(|colour| !matches!(colour, Color::Reset | Color::Indexed(16..)));
        assert_eq!(foreign, None, "{palette:?}");
    }
    let mut dash = dash(120, 35);
    dash.show(View::States);
    let screen = screen(&mut dash, Theme { palette: Palette::Sixteen, ascii: false });
    let dim = |word: &str, value: &str| {
        let text = tcpscope::dash::view::text(&screen);
        let (y, line) = text
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains(word) && line.contains(value))
            .unwrap();
        let x = line[..line.find(value).unwrap()].chars().count();
        let at = (u16::try_from(x).unwrap(), u16::try_from(y).unwrap());
        screen[at].modifier.contains(ratatui::style::Modifier::DIM)
    };
    assert!(dim("LAST_ACK", "0") && !dim("TIME_WAIT", "12070"));
}

#[test]
fn hostile_names_are_escaped() {
    let mut dash = dash(100, 30);
    dash.show(View::Processes);
    let text = text(&mut dash);
    assert!(text.contains(r"a\x1b[31mb") && !text.contains('\x1b'), "{text}");
}

/// A wide character takes two columns, a combining one none: what stands behind them stays in line.
#[test]
fn wide_and_combining_characters_keep_columns_aligned() {
    let mut dash = tcpscope::dash::Dash::new("wide".to_owned(), false);
    let names = ["plain", "日本語サーバー", "e\u{301}galite\u{301}", "\u{1f980}\u{fe0f}crab"];
    let line = |(pid, name): (usize, &&str)| {
        let line = format!(
            r#"{{"kind":"count","ts":"2026-01-02T03:04:05Z","by":"process","pid":{},"comm":"{name}","interval_ns":1000000000,"tx_bytes":777,"rx_bytes":0}}"#,
            pid + 1
        );
        tcpscope::record::AnyRecord::parse(line.as_bytes()).unwrap()
    };
    let records = names.iter().enumerate().map(line).collect();
    dash.handle(tcpscope::dash::Event::Resize(100, 20));
    dash.handle(tcpscope::dash::Event::Records(records));
    dash.show(View::Processes);
    let screen = screen(&mut dash, Theme::default());
    let sent = |y: u16| -> String { (25..33).map(|x| screen[(x, y)].symbol()).collect() };
    for y in 3..7 {
        assert_eq!(sent(y), "    777B", "{}", tcpscope::dash::view::text(&screen));
    }
}
