//! From the first screen to cause, remedy and rows of a trouble, with Enter alone.

use tcpscope::dash::model::{Finding, Findings};
use tcpscope::dash::{Dash, Event, InputMode, View};
use tcpscope::findings::{Evidence, RULES, Rule, Scope};

use super::{dash, press, text};

/// A finding as the rule makes it, about a socket of the recording.
fn finding(rule: &Rule) -> Finding {
    Finding {
        rule: rule.id.into(),
        severity: Some(rule.severity),
        scope: Some(rule.scope),
        pid: Some(812),
        laddr: Some("0.0.0.0".parse().unwrap()),
        lport: Some(80),
        text: rule.title.into(),
        evidence: Evidence(vec![("sockets".into(), 7), ("oldest_ns".into(), 1_500_000_000)]),
        because: rule.why.into(),
        remedy: format!("{}. Now: a.setting = 5", rule.remedy).into(),
        effect: rule.effect.into(),
        verify: rule.verify.into(),
        ..Finding::default()
    }
}

/// A dashboard that has found this.
fn found(size: (u16, u16), rules: &[&Rule]) -> Dash {
    let mut dash = dash(size.0, size.1);
    let found = rules.iter().map(|rule| finding(rule)).collect();
    dash.found.take(Findings { found, ..Findings::default() });
    dash
}

fn rule(id: &str) -> &'static Rule {
    RULES.into_iter().find(|rule| rule.id == id).expect(id)
}

/// The words of a screen, however its lines are broken.
fn words(screen: &str) -> String {
    screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn enter_leads_from_each_trouble_to_cause_remedy_and_rows() {
    for rule in RULES {
        let mut dash = found((100, 40), &[rule]);
        assert!(text(&mut dash).contains("Enter cause and remedy"), "{}", rule.id);
        press(&mut dash, "<Enter>");
        let screen = words(&text(&mut dash));
        for part in [rule.title, "sockets 7, oldest 1.50s", rule.why, rule.remedy, rule.effect] {
            assert!(screen.contains(&words(part)), "{}: no {part}\n{screen}", rule.id);
        }
        for part in ["Now: a.setting = 5", rule.verify, rule.id] {
            assert!(screen.contains(&words(part)), "{}: no {part}\n{screen}", rule.id);
        }
        press(&mut dash, "<Enter>");
        let last = text(&mut dash).lines().last().unwrap().to_owned();
        let none = last.contains("no view has rows of this");
        assert_eq!(dash.view == View::Overview, none, "{}: {last}", rule.id);
        if rule.scope == Scope::Listener && rule.id != "client-dropped" {
            assert_eq!(dash.view, View::Listeners, "{}", rule.id);
            assert_eq!(dash.filter.as_ref().map(|(text, _)| &**text), Some("lport:80"));
        }
        press(&mut dash, "<Esc>");
        assert_eq!(dash.view, View::Overview, "{}: one step back", rule.id);
        assert!(none || (dash.found.open().is_some() && dash.filter.is_none()), "{}", rule.id);
    }
}

#[test]
fn the_rows_of_a_finding_are_shown_and_left() {
    let mut dash = dash(120, 35);
    press(&mut dash, "/ nginx <Enter>");
    let closes = dash.found.all.found.iter().position(|one| one.rule == "close-wait-held").unwrap();
    press(&mut dash, &vec!["<Down>"; closes].join(" "));
    press(&mut dash, "<Enter> <Enter>");
    let filter = dash.filter.as_ref().unwrap().0.clone();
    assert!(filter.starts_with("pid:") && filter.ends_with("state:close_wait"), "{filter}");
    assert_eq!(dash.view, View::Connections);
    let screen = text(&mut dash);
    assert!(screen.contains(&format!("filter: {filter}")), "{screen}");
    assert!(!dash.tables.connections.rows().is_empty(), "{screen}");
    press(&mut dash, "<Esc>");
    assert_eq!((dash.view, dash.filter.as_ref().map(|f| &*f.0)), (View::Overview, Some("nginx")));
    press(&mut dash, "<Esc>");
    assert!(dash.found.open().is_none() && dash.filter.is_some());
    press(&mut dash, "<Esc>");
    assert!(dash.filter.is_none());
}

#[test]
fn what_does_not_fit_is_in_the_list_and_a_long_story_scrolls() {
    let mut dash = found((60, 13), &RULES);
    let screen = text(&mut dash);
    assert!(screen.contains(&format!("+{} more", RULES.len() - 2)), "{screen}");
    press(&mut dash, "<End> <Enter>");
    assert!(dash.found.has_list());
    let screen = text(&mut dash);
    assert!(
        screen.contains(&format!("high   {}", &rule("accept-queue-full").title[..40])),
        "{screen}"
    );
    press(&mut dash, "<End> <Enter>");
    let (open, _) = dash.found.open().unwrap();
    assert_eq!(open.rule, RULES[RULES.len() - 1].id);
    assert!(text(&mut dash).contains("more: ↓"), "{}", text(&mut dash));
    press(&mut dash, "<End>");
    let screen = text(&mut dash);
    assert!(screen.contains("rows ") && !screen.contains("more: ↓"), "{screen}");
    press(&mut dash, "<Left>");
    let (open, top) = dash.found.open().unwrap();
    assert_eq!((&*open.rule, top), (RULES[RULES.len() - 2].id, 0));
    press(&mut dash, "<Esc> <Esc>");
    assert!(dash.found.open().is_none() && !dash.found.has_list());
}

#[test]
fn a_click_opens_a_finding_and_then_its_rows() {
    let [first, second] = ["accept-queue-full", "close-wait-held"].map(rule);
    let mut dash = found((100, 40), &[first, second]);
    let line = |dash: &mut Dash, part: &str| {
        let screen = text(dash);
        let line = screen.lines().position(|line| line.contains(part)).expect(part);
        u16::try_from(line).unwrap()
    };
    let y = line(&mut dash, second.title);
    dash.handle(Event::Click(4, y));
    assert_eq!(dash.found.open().unwrap().0.rule, second.id);
    dash.handle(Event::Click(4, 10));
    dash.refresh();
    assert_eq!(dash.view, View::Connections);
    press(&mut dash, "<Esc> <Esc>");
    let y = line(&mut dash, "top processes");
    dash.handle(Event::Click(4, y));
    assert!(dash.found.open().is_none(), "there is no finding");
    let mut dash = found((60, 15), &RULES);
    let y = line(&mut dash, &format!("+{} more", RULES.len() - 2));
    dash.handle(Event::Click(4, y));
    assert!(dash.found.has_list());
    dash.handle(Event::Wheel(3));
    let y = line(&mut dash, &RULES[3].title[..20]);
    dash.handle(Event::Click(4, y));
    assert_eq!(dash.found.open().unwrap().0.rule, RULES[3].id);
}

/// What was found may be over: the rows say so. A filter that was typed may just be wrong.
#[test]
fn a_finding_without_rows_says_where_they_are() {
    let mut dash = found((80, 24), &[rule("close-wait-held")]);
    press(&mut dash, "<Enter> <Enter>");
    let filter = "pid:812 state:close_wait";
    assert_eq!(dash.filter.as_ref().map(|(text, _)| &**text), Some(filter));
    let none = "no rows match the filter: they have ended, or were not seen at the last look";
    let screen = text(&mut dash);
    assert!(screen.lines().any(|line| line == none), "{screen}");
    press(&mut dash, "<Esc> <Esc> 3/pid:812 <Space> state:close_wait");
    let screen = text(&mut dash);
    assert!(screen.lines().any(|line| line == "no rows match the filter"), "{screen}");
}

#[test]
fn the_count_of_findings_stays_beside_the_checks() {
    let mut dash = found((80, 24), &[rule("close-wait-held"), rule("accept-queue-full")]);
    dash.found.all.checked = vec!["retransmits"];
    let status = |dash: &mut Dash| text(dash).lines().nth(1).unwrap().to_owned();
    assert!(status(&mut dash).ends_with("  finding 1 of 2"), "{}", status(&mut dash));
    press(&mut dash, "<End>");
    assert!(dash.found.on_checks());
    assert!(status(&mut dash).ends_with("  2 findings"), "{}", status(&mut dash));
    dash.found.all.found.pop();
    assert!(status(&mut dash).ends_with("  1 finding"), "{}", status(&mut dash));
}

#[test]
fn enter_opens_and_closes_the_checks_of_a_healthy_machine() {
    let mut dash = found((80, 24), &[]);
    dash.found.all.checked = vec!["retransmits"; 12];
    let keys = |dash: &mut Dash| text(dash).lines().last().unwrap().to_owned();
    assert!(keys(&mut dash).contains("Enter checks"), "{}", keys(&mut dash));
    press(&mut dash, "<Enter>");
    assert!(dash.found.has_list() && keys(&mut dash).contains("Enter close"));
    press(&mut dash, "<Enter>");
    assert!(!dash.found.has_list() && keys(&mut dash).contains("Enter checks"));
}

/// What says less gives way: namespaces that are all there are, the bar, and the end of a long filter.
#[test]
fn a_long_filter_leaves_the_speed_and_the_name_of_the_recording() {
    let mut dash = dash(80, 24);
    let status = |dash: &mut Dash| text(dash).lines().nth(1).unwrap().to_owned();
    for (filter, expected) in [
        ("nginx", "03:04:12  1 namespace  filter: nginx  ██████████ end  recording.jsonl"),
        (
            "pid:812 rport:5000",
            "03:04:12  filter: pid:812 rport:5000  ██████████ end  recording.jsonl",
        ),
        (
            "raddr:127.0.0.1 rport:33161 pid:8",
            "03:04:12  filter: raddr:127.0.0.1 rport:33161 pid:8  end  recording.jsonl",
        ),
        (
            "raddr:127.0.0.1 rport:33161 pid:30766 state:established",
            "03:04:12  filter: raddr:127.0.0.1 rport:33161 pid:30766 s…  end  recording.jsonl",
        ),
    ] {
        dash.set_filter(tcpscope::dash::filter::read(filter).unwrap().map(|f| (filter.into(), f)));
        assert_eq!(status(&mut dash).split("  row").next().unwrap().trim_end(), expected);
    }
}

#[test]
fn columns_are_chosen_by_keys_and_mouse() {
    let mut dash = dash(100, 30);
    press(&mut dash, "2 c");
    assert_eq!(dash.mode, InputMode::Columns(0));
    let screen = text(&mut dash);
    assert!(screen.contains("[x] PID") && screen.contains("[x] TREND"), "{screen}");
    press(&mut dash, "<Down> <Down> <Enter>");
    let headings = |dash: &mut Dash| text(dash).lines().nth(2).unwrap().to_owned();
    assert!(!headings(&mut dash).contains("SENT B/s") && headings(&mut dash).contains("RECVD B/s"));
    assert!(text(&mut dash).contains("[ ] SENT B/s"));
    press(&mut dash, "<Esc>");
    assert_eq!(dash.mode, InputMode::Normal);
    assert!(headings(&mut dash).contains("PID") && headings(&mut dash).contains("TREND"));
    press(&mut dash, "c");
    let screen = text(&mut dash);
    let (y, line) = screen.lines().enumerate().find(|(_, line)| line.contains("[x] PID")).unwrap();
    let x = line[..line.find("[x] PID").unwrap()].chars().count();
    let at = (u16::try_from(x).unwrap(), u16::try_from(y).unwrap());
    let action = dash.handle(Event::Click(at.0, at.1));
    assert_eq!(action, Some(tcpscope::dash::Action::Remember));
    dash.handle(Event::Click(2, 10));
    assert_eq!(dash.mode, InputMode::Normal, "beside the box");
    assert!(!headings(&mut dash).contains("PID"));
    press(&mut dash, "1 c");
    assert_eq!(dash.mode, InputMode::Normal, "the overview has no columns of its own");
}

#[test]
fn rows_have_a_trend_where_there_is_room() {
    for (width, has) in [(80, false), (100, true), (200, true)] {
        let mut dash = dash(width, 30);
        for view in [View::Processes, View::Connections, View::Remotes] {
            dash.show(view);
            let screen = text(&mut dash);
            assert_eq!(screen.lines().nth(2).unwrap().contains("TREND"), has, "{width} {screen}");
            let drawn = screen.lines().skip(3).any(|line| line.contains(['▁', '▃', '█']));
            assert_eq!(drawn, has, "{width} {screen}");
        }
    }
}
