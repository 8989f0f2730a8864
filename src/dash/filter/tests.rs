use super::*;
use crate::report::Comm;

fn key() -> Key {
    Key {
        pid: Some(7),
        comm: Some(Comm::from("api-server")),
        laddr: Some("10.1.2.3".parse().unwrap()),
        lport: Some(8443),
        raddr: Some("2001:db8::7".parse().unwrap()),
        rport: Some(50_000),
        netns: Some(4_026_531_840),
        ..Key::default()
    }
}

#[test]
fn words_fields_and_flags_select() {
    let passes = |text: &str| read(text).unwrap().unwrap().passes(&key(), Some(TcpState::TimeWait));
    for text in [
        "api",
        "i-s",
        "!nginx",
        "api*",
        "8443",
        "50000",
        "10.0.0.0/8",
        "10.1.",
        "db8::7]:50",
        "comm:server",
        "rport:50000",
        "lport:8000-9000",
        "state:time_wait",
        "state:TIME",
        "state:listen,time-wait",
        "netns:4026531840",
        "raddr:2001:db8::/32",
        "pid:7",
        "!pid:8",
        "!state:established",
        "api 8443 !rport:443",
        "-c api* --rport 50000",
        "'api' --port 8443 ",
    ] {
        assert!(passes(text), "{text}");
    }
    for text in ["!api", "nginx", "443", "!8443", "10.2.", "api !8443", "state:listen", "pid:8"] {
        assert!(!passes(text), "{text}");
    }
    assert!(read("  ").unwrap().is_none());
}

#[test]
fn errors_are_one_line_and_say_where() {
    for (text, at, part) in [
        ("api rport:70000", 4..15, "65535"),
        ("xport:1 api", 0..7, "unknown field; fields are comm, state"),
        ("rport:", 0..6, "a value behind rport:"),
        ("state:open", 0..10, "states are close, listen"),
        ("a !", 2..3, "missing after !"),
        ("--port 70000", 0..12, "65535"),
        ("--magic", 0..7, "--magic"),
        ("comm:[a", 0..7, "no matching ]"),
        ("a --comm", 2..8, "a value is required"),
        ("b 'a", 2..4, "not closed"),
        ("--ipv4 --addr ::1", 0..17, "exclude each other"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.text.contains(part) && !error.text.contains('\n'), "{text}: {error:?}");
        assert_eq!(error.at, at, "{text}");
    }
}
