//! Scripted keys.

use tcpscope::dash::rows::TableRow;
use tcpscope::dash::{Action, Control, Dash, Event, InputMode, KeyPress, View};
use tcpscope::record::AnyRecord;

use super::{dash, press, text};

fn order(dash: &mut Dash, key: KeyPress) -> Option<Action> {
    dash.handle(Event::Key(key))
}

#[test]
fn numbers_and_tab_change_the_view() {
    let mut dash = dash(100, 30);
    for (key, view) in ('1'..='9').zip(View::ALL) {
        press(&mut dash, &key.to_string());
        assert_eq!(dash.view, view);
    }
    press(&mut dash, "<Tab>");
    assert_eq!(dash.view, View::Overview);
    press(&mut dash, "<BackTab> <BackTab>");
    assert_eq!(dash.view, View::Remotes);
}

#[test]
fn sorting_finds_the_process_with_most_time_wait() {
    let mut dash = dash(100, 30);
    press(&mut dash, "2 >>>");
    let screen = text(&mut dash);
    assert!(screen.contains("TIME_WAIT▼"), "{screen}");
    let first = screen.lines().nth(3).unwrap();
    assert!(first.contains("4194304 curl"), "{first}");
    press(&mut dash, "r");
    assert!(text(&mut dash).contains("TIME_WAIT▲"));
}

#[test]
fn a_click_sorts_selects_and_changes_the_view() {
    let mut dash = dash(100, 30);
    dash.handle(Event::Click(View::tabs(dash.view, 100)[1].columns.start, 0));
    dash.refresh();
    assert_eq!(dash.view, View::Processes);
    let heading = text(&mut dash).lines().nth(2).unwrap().find("TIME_WAIT").unwrap();
    dash.handle(Event::Click(u16::try_from(heading).unwrap(), 2));
    dash.refresh();
    assert_eq!(dash.tables.processes.rows()[0].key.pid, Some(4_194_304));
    dash.handle(Event::Click(5, 4));
    assert_eq!(dash.tables.processes.cursor(), 1);
    dash.handle(Event::Click(5, 28));
    assert_eq!(dash.tables.processes.cursor(), 1, "there is no row");
}

#[test]
fn the_wheel_moves_the_selection_and_narrow_tabs_can_be_clicked() {
    let mut dash = dash(40, 10);
    dash.handle(Event::Click(4, 0));
    assert_eq!(dash.view, View::Overview, "that is its name");
    dash.handle(Event::Click(View::tabs(dash.view, 40)[2].columns.start, 0));
    dash.refresh();
    assert_eq!(dash.view, View::Connections);
    dash.handle(Event::Wheel(3));
    assert_eq!(dash.tables.connections.cursor(), 3);
    dash.handle(Event::Wheel(-1));
    assert_eq!(dash.tables.connections.cursor(), 2);
}

#[test]
fn a_filter_can_be_typed_rejected_corrected_and_removed() {
    let mut dash = dash(100, 30);
    press(&mut dash, "2 / --rport <Space> 70000 <Enter>");
    assert!(text(&mut dash).lines().last().unwrap().contains("65535"));
    assert!(
        matches!(&dash.mode, InputMode::Filter(line) if line.text() == "--rport 70000" && line.error.is_some())
    );
    press(&mut dash, "<Backspace> <Backspace> <Backspace> <Backspace> <Backspace> 50002 <Enter>");
    let pids: Vec<_> = dash.tables.processes.rows().iter().map(|row| row.key.pid).collect();
    assert_eq!(pids, [Some(4_194_304)]);
    assert!(text(&mut dash).lines().nth(1).unwrap().contains("filter: --rport 50002"));
    press(&mut dash, "/");
    order(&mut dash, KeyPress::Ctrl('u'));
    press(&mut dash, "<Enter>");
    assert!(dash.filter.is_none() && dash.tables.processes.rows().len() > 5);
}

#[test]
fn escape_goes_back_one_step_and_never_quits() {
    let mut dash = dash(100, 30);
    press(&mut dash, "2 / nginx <Enter> <Enter>");
    dash.handle(Event::Key(KeyPress::F1));
    assert_eq!(dash.mode, InputMode::Help(0));
    press(&mut dash, "<Esc>");
    assert!(dash.mode == InputMode::Normal && dash.has_detail());
    press(&mut dash, "<Esc>");
    assert!(!dash.has_detail() && dash.filter.is_some());
    press(&mut dash, "<Esc>");
    assert!(dash.filter.is_none() && dash.view == View::Processes);
    assert_eq!(order(&mut dash, KeyPress::Esc), None, "nothing is open, and the history stays");
    assert_eq!(order(&mut dash, KeyPress::Char('q')), Some(Action::Quit));
    press(&mut dash, "/");
    assert_eq!(order(&mut dash, KeyPress::Char('q')), None, "it is a letter of the filter");
    assert_eq!(order(&mut dash, KeyPress::Ctrl('c')), Some(Action::Quit));
}

/// The last filter that could be read stays in force, and the line says what is wrong with this one.
#[test]
fn a_filter_that_cannot_be_read_says_where_and_keeps_the_last() {
    let mut dash = dash(120, 30);
    press(&mut dash, "3 / rport:50002 <Enter>");
    let rows = dash.tables.connections.rows().len();
    assert!(rows > 0);
    press(&mut dash, "/ <Space> state:tim");
    assert!(text(&mut dash).lines().nth(1).unwrap().contains("filter: rport:50002 state:tim"));
    press(&mut dash, "<Backspace> <Backspace> <Backspace> open");
    let InputMode::Filter(line) = &dash.mode else { panic!("{:?}", dash.mode) };
    let error = line.error.clone().unwrap();
    assert_eq!(&line.text()[error.at], "state:open");
    let screen = text(&mut dash);
    assert!(screen.lines().last().unwrap().contains("unknown TCP state"), "{screen}");
    assert!(screen.lines().nth(1).unwrap().contains("filter: rport:50002 state:t "), "{screen}");
    order(&mut dash, KeyPress::Home);
    press(&mut dash, "! <Esc>");
    assert_eq!(dash.filter.as_ref().map(|(text, _)| &**text), Some("rport:50002"));
    assert_eq!(dash.tables.connections.rows().len(), rows);
}

#[test]
fn a_recording_can_be_paused_stepped_and_seeked() {
    let mut dash = dash(100, 30);
    let mut play = |c| match order(&mut dash, KeyPress::Char(c)) {
        Some(Action::Play(control)) => control,
        other => panic!("{c}: {other:?}"),
    };
    assert_eq!(play(' '), Control::Pause(true));
    assert_eq!(play('n'), Control::Step);
    assert_eq!(play('['), Control::Back);
    assert_eq!(play(']'), Control::Step);
    assert_eq!((play('+'), play('-')), (Control::Faster, Control::Slower));
    assert_eq!(play(','), Control::Seek(-10_000_000_000));
    assert_eq!(play('0'), Control::Start);
}

#[test]
fn a_live_session_is_paused_and_keeps_counting() {
    let mut dash = dash(100, 30);
    dash.progress = None;
    dash.interval = std::time::Duration::from_secs(1);
    press(&mut dash, "2 <Space>");
    assert!(dash.paused());
    let rows = |dash: &mut Dash| text(dash).lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    let before = rows(&mut dash);
    let line = r#"{"kind":"count","ts":"2026-01-02T03:05:05Z","pid":1,"by":"connection","comm":"init","interval_ns":1000000000}"#;
    dash.handle(Event::Records(vec![AnyRecord::parse(line.as_bytes()).unwrap()]));
    assert_eq!(rows(&mut dash), before, "the view is paused");
    assert!(text(&mut dash).contains("PAUSED 53.0s ago"));
    press(&mut dash, "<Space>");
    assert!(text(&mut dash).contains("init"));
    let interval = |order| matches!(order, Some(Action::Interval(time)) if time.as_secs() == 2);
    assert!(interval(order(&mut dash, KeyPress::Char('+'))));
    assert_eq!(order(&mut dash, KeyPress::Char('n')), None, "there is no next sample yet");
}

/// A live session that has counted for twenty seconds, each with a connection more.
fn live() -> Dash {
    let mut dash = Dash::new("host".to_owned(), false);
    dash.interval = std::time::Duration::from_secs(1);
    dash.handle(Event::Resize(120, 35));
    for second in 1..=20 {
        let row = |port| {
            let line = format!(
                r#"{{"kind":"count","ts":"2026-01-02T03:04:{second:02}Z","pid":7,"comm":"curl","by":"connection","laddr":"10.0.0.1","lport":{port},"raddr":"10.0.0.2","rport":443,"netns":1,"interval_ns":1000000000,"tx_calls":1,"tx_bytes":{port}}}"#
            );
            AnyRecord::parse(line.as_bytes()).unwrap()
        };
        dash.handle(Event::Records((1..=second).map(|n| row(50_000 + n)).collect()));
    }
    dash.refresh();
    dash
}

#[test]
fn a_live_session_goes_back_and_ahead_in_time() {
    let mut dash = live();
    press(&mut dash, "3");
    let rows = |dash: &Dash| dash.tables.connections.rows().len();
    assert_eq!(rows(&dash), 20);
    press(&mut dash, "[[[");
    assert_eq!((rows(&dash), dash.paused(), dash.ago()), (17, true, Some(3_000_000_000)));
    assert!(text(&mut dash).lines().nth(1).unwrap().contains("03:04:17  PAUSED 3.00s ago"));
    press(&mut dash, "]");
    assert_eq!(rows(&dash), 18);
    press(&mut dash, ",");
    assert_eq!(rows(&dash), 8);
    press(&mut dash, "(");
    assert_eq!(rows(&dash), 1, "the oldest there is");
    press(&mut dash, "[");
    assert_eq!(rows(&dash), 1);
    press(&mut dash, "$");
    assert_eq!((rows(&dash), dash.paused()), (20, false));
    press(&mut dash, "0");
    assert_eq!(rows(&dash), 1);
    press(&mut dash, "<Space>");
    assert_eq!((rows(&dash), dash.paused()), (20, false));
}

#[test]
fn a_process_or_namespace_is_entered_and_left() {
    let mut dash = dash(120, 35);
    let all = |dash: &Dash| dash.tables.connections.rows().len();
    press(&mut dash, "3");
    let before = all(&dash);
    press(&mut dash, "<Enter>");
    let pid = dash.current().unwrap().pid.unwrap();
    press(&mut dash, "<Enter>");
    assert!(!dash.has_detail() && all(&dash) < before && all(&dash) > 0);
    assert!(dash.tables.connections.rows().iter().all(|row| row.key.pid == Some(pid)));
    let status = text(&mut dash).lines().nth(1).unwrap().to_owned();
    assert!(status.contains("› ") && status.contains(&format!("({pid})")), "{status}");
    press(&mut dash, "N");
    assert_eq!(dash.scope.len(), 2);
    press(&mut dash, "2");
    assert_eq!(dash.tables.processes.rows().len(), 1);
    press(&mut dash, "<Backspace> <Backspace> 3");
    assert_eq!((all(&dash), dash.scope.len()), (before, 0));
    press(&mut dash, "<Backspace>");
    assert_eq!(all(&dash), before);
}

#[test]
fn a_row_is_shown_as_a_command_and_as_a_filter_of_tcpdump() {
    let mut dash = live();
    press(&mut dash, "3 y");
    let last = |dash: &mut Dash| text(dash).lines().last().unwrap().to_owned();
    let shown = last(&mut dash);
    assert!(
        shown.starts_with("tcpcount --by connection --laddr 10.0.0.1 --lport 50020"),
        "{shown}"
    );
    press(&mut dash, "<Enter>");
    let screen = text(&mut dash);
    assert!(
        screen.contains("tcpdump -ni any 'tcp and host 10.0.0.1 and host 10.0.0.2"),
        "{screen}"
    );
    press(&mut dash, "1 y");
    assert!(last(&mut dash).contains("no row"));
}

#[test]
fn processes_and_remotes_are_two_groups_of_latencies() {
    let mut dash = dash(120, 35);
    press(&mut dash, "4");
    let of = |dash: &Dash| -> Vec<_> {
        dash.tables.latencies.rows().iter().filter_map(|row| row.row.by).collect()
    };
    let first = of(&dash);
    assert!(!first.is_empty() && first.iter().all(|by| *by == first[0]), "{first:?}");
    press(&mut dash, "b");
    let second = of(&dash);
    assert!(second.iter().all(|by| *by == second[0] && *by != first[0]), "{second:?}");
    press(&mut dash, "b");
    assert_eq!(of(&dash), first);
}

#[test]
fn rows_are_in_the_order_of_all_their_bytes() {
    let mut dash = dash(120, 35);
    for view in ["2", "3", "8"] {
        press(&mut dash, view);
        let screen = text(&mut dash);
        let headings = screen.lines().nth(2).unwrap();
        assert!(headings.contains("SENT B/s▼") && headings.contains("RECVD B/s▼"), "{screen}");
    }
    let sums: Vec<_> = dash.tables.processes.rows().iter().map(TableRow::busy).collect();
    assert!(sums.windows(2).all(|pair| pair[0] >= pair[1]), "{sums:?}");
}

#[test]
fn the_view_keeps_its_row_when_the_order_changes() {
    let mut dash = dash(60, 15);
    press(&mut dash, "2 <Down> <Down>");
    let chosen = dash.tables.processes.selected().unwrap().key.pid;
    press(&mut dash, "> > > r <");
    assert_eq!(dash.tables.processes.selected().unwrap().key.pid, chosen);
    dash.handle(Event::Rewind);
    dash.refresh();
    assert!(dash.tables.processes.rows().is_empty());
    dash.handle(Event::Records(super::records()));
    dash.refresh();
    assert_eq!(dash.tables.processes.selected().unwrap().key.pid, chosen);
}

/// As somebody types it on call: no Enter, and only a part of the name.
#[test]
fn a_part_of_a_name_filters_as_it_is_typed() {
    let mut dash = dash(100, 30);
    press(&mut dash, "2 / edis");
    let names = |dash: &Dash| -> Vec<String> {
        let rows = dash.tables.processes.rows().iter();
        rows.map(|row| format!("{:?}", row.key.comm)).collect()
    };
    assert!(
        matches!(&dash.mode, InputMode::Filter(line) if line.text() == "edis" && line.error.is_none())
    );
    let found = names(&dash);
    assert!(found.len() == 1 && found[0].contains("redis-server"), "{found:?}");
    press(&mut dash, "<Esc>");
    assert!(dash.filter.is_none() && names(&dash).len() > 5, "Esc brings back what was before");
    press(&mut dash, "/ !edis <Enter> / x <Esc>");
    assert!(dash.filter.as_ref().is_some_and(|(text, _)| text == "!edis"));
    let found = names(&dash);
    assert!(found.len() > 5 && !found.iter().any(|name| name.contains("redis")), "{found:?}");
}

/// However small the screen, it says that there is more than it shows.
#[test]
fn findings_that_do_not_fit_are_counted() {
    for height in 15..40 {
        let mut dash = dash(60, height);
        let screen = text(&mut dash);
        let all = dash.found.all.found.len();
        let severities = ["high ", "medium ", "low "];
        let is_finding = |line: &&str| severities.iter().any(|word| line.starts_with(word));
        let shown = screen.lines().filter(is_finding).count();
        let more = screen.lines().find_map(|line| line.trim().strip_prefix('+')?.split(' ').next());
        let more: usize = more.map_or(0, |number| number.parse().unwrap());
        assert_eq!(shown + more, all, "{height}: {screen}");
    }
}
