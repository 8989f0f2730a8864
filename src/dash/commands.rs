//! A row as the command that shows it, and as a filter of tcpdump.

use super::View;
use crate::report::Key;
use crate::{count, latency, listen, ports, states};

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
    let (tool, by) = match view {
        View::Processes | View::Connections | View::Remotes => (&count::TOOL, " --by connection"),
        View::Latency => (&latency::TOOL, ""),
        View::States => (&states::TOOL, ""),
        View::Listeners => (&listen::TOOL, ""),
        View::Ports => (&ports::TOOL, " --all"),
        View::Overview | View::Tool => return None,
    };
    // What has ends is found by them, whoever uses it.
    let flags = if ends.is_empty() { Vec::from_iter(pid) } else { ends };
    let flags: Vec<_> = flags.iter().map(|(flag, value)| format!("{flag} {value}")).collect();
    (!flags.is_empty()).then(|| format!("{}{by} {}", tool.name, flags.join(" ")))
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
#[path = "commands_tests.rs"]
mod tests;
