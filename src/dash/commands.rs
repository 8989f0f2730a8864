//! A row as the command that shows it, and as a filter of tcpdump.

use super::View;
use crate::report::Key;

/// The command of the kit that shows this row of a view, if it has something to go by.
pub fn command(view: View, key: &Key) -> Option<String> {
    let port = |port: Option<u16>| port.map(|port| port.to_string());
    let addr = |addr: Option<std::net::IpAddr>| {
        // A listener at the wildcard address takes any.
        addr.filter(|addr| !addr.to_canonical().is_unspecified())
            .map(|addr| addr.to_canonical().to_string())
    };
    let ends = [
        ("--laddr", addr(key.laddr)),
        ("--lport", port(key.lport)),
        ("--raddr", addr(key.raddr)),
        ("--rport", port(key.rport)),
    ];
    let ends: Vec<_> = ends.into_iter().filter_map(|(flag, value)| Some((flag, value?))).collect();
    let pid = key.pid.map(|pid| ("--pid", pid.to_string()));
    let tool = match view {
        View::Processes | View::Connections | View::Remotes => "tcpcount --by connection",
        View::Latency => "tcplatency",
        View::States => "tcpstates",
        View::Listeners => "listenoverflow",
        View::Overview | View::Tool => return None,
    };
    // What has ends is found by them, whoever uses it.
    let flags = if ends.is_empty() { Vec::from_iter(pid) } else { ends };
    let flags: Vec<_> = flags.iter().map(|(flag, value)| format!("{flag} {value}")).collect();
    (!flags.is_empty()).then(|| format!("{tool} {}", flags.join(" ")))
}

/// The packets of a row for tcpdump, which knows no processes.
pub fn tcpdump(key: &Key) -> Option<String> {
    let hosts = [key.laddr, key.raddr].into_iter().flatten().map(|addr| addr.to_canonical());
    let hosts = hosts.filter(|addr| !addr.is_unspecified()).map(|addr| format!("host {addr}"));
    let ports = [key.lport, key.rport].into_iter().flatten().map(|port| format!("port {port}"));
    let terms: Vec<_> = hosts.chain(ports).collect();
    (!terms.is_empty()).then(|| format!("tcpdump -ni any 'tcp and {}'", terms.join(" and ")))
}

#[cfg(test)]
mod tests {
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
}
