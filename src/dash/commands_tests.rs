use super::*;

#[test]
fn a_row_is_found_by_its_ends_else_by_its_process() {
    let key = Key {
        pid: Some(7),
        laddr: Some("::ffff:10.0.0.1".parse().unwrap()),
        lport: Some(50_000),
        raddr: Some("2001:db8::1".parse().unwrap()),
        rport: Some(443),
        ..Key::default()
    };
    assert_eq!(
        command(View::Connections, &key).unwrap(),
        "tcpcount --by connection --laddr 10.0.0.1 --lport 50000 --raddr 2001:db8::1 --rport 443"
    );
    assert_eq!(
        tcpdump(&key).unwrap(),
        "tcpdump -ni any 'tcp and host 10.0.0.1 and host 2001:db8::1 and port 50000 and port 443'"
    );
    let process = Key { pid: Some(7), ..Key::default() };
    assert_eq!(command(View::Latency, &process).unwrap(), "tcplatency --pid 7");
    assert_eq!(tcpdump(&process), None);
    let wildcard = "0.0.0.0".parse().ok();
    let listener = Key { laddr: wildcard, lport: Some(80), ..process };
    assert_eq!(command(View::Listeners, &listener).unwrap(), "listenoverflow --lport 80");
    assert_eq!(tcpdump(&listener).unwrap(), "tcpdump -ni any 'tcp and port 80'");
    assert_eq!(command(View::Processes, &Key::default()), None);
}
