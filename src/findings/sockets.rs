//! What sockets say: who does not close, and where local ports run out.

use super::{Finding, Rule, Scope, Setting, Severity, nanos};
use crate::group::Grouping;
use crate::model::{Model, process, sum, text};
use crate::report::{Cell, Key};
use crate::states::socket_summary::CloseWait;
use crate::tcp_state::TcpState;

/// A socket this long in `CLOSE_WAIT` counts as leaked, ns.
const LONG_CLOSE_WAIT: u64 = 30_000_000_000;
/// So many of one process count as leaked when the oldest is this old, ns.
const MANY_CLOSE_WAIT: u64 = 10;
const SHORT_CLOSE_WAIT: u64 = 5_000_000_000;
/// Sockets in `TIME_WAIT` towards one destination, of a thousand ports, that make a finding.
const MANY_TIME_WAIT: u64 = 500;
/// Local ports in use towards one destination, of a thousand, that make a finding.
pub const FEW_PORTS_LEFT: u64 = 800;

/// So few local ports are a mistake of the range.
const FEW_PORTS: u64 = 1000;
/// What to change first then.
const WIDER: &str = "set net.ipv4.ip_local_port_range = \"32768 60999\", the kernel's default, or wider, and look at \
                     net.ipv4.ip_local_reserved_ports; if those become few, too: keep connections and use them again, or let \
                     the peer close first, or net.ipv4.tcp_tw_reuse = 1 (needs net.ipv4.tcp_timestamps)";

pub static CLOSE_WAIT_HELD: Rule = Rule {
    id: "close-wait-held",
    topic: "CLOSE_WAIT",
    severity: Severity::Warning,
    scope: Scope::Process,
    title: "A process does not close connections that the peer has closed",
    why: "a socket leaves CLOSE_WAIT only when its own process closes it; the kernel has no timeout for that. \
          This long, the process has lost it: a leak",
    remedy: "fix the program: close the socket when a read returns 0 or an error; a restart frees them for a \
             while. No setting of the kernel helps",
    effect: "the sockets and their file descriptors are freed, and the process no longer comes nearer to its limit of \
             open files (EMFILE)",
    verify: "tcpstates --summary: CLOSE_WAIT does not grow",
    settings: &[],
    needs: "sockets by state",
    look: close_wait,
};

pub static LOCAL_PORTS_USED_UP: Rule = Rule {
    id: "local-ports-used-up",
    topic: "free local ports",
    severity: Severity::Bad,
    scope: Scope::Destination,
    title: "The local ports towards a destination are used up, or nearly",
    why: "each connection to the same address and port needs its own local port of ip_local_port_range. One in \
          TIME_WAIT keeps it for 60 s on the side that closed first; with none left connect() fails with \
          EADDRNOTAVAIL (Cannot assign requested address)",
    remedy: "keep connections and use them again, or let the peer close first; else more addresses, a wider \
             net.ipv4.ip_local_port_range, or net.ipv4.tcp_tw_reuse = 1 (needs net.ipv4.tcp_timestamps)",
    effect: "fewer local ports are in use at the same rate of connections, or there are more of them",
    verify: "tcpports: SHARE stays below 80 % and FAILED/s at 0",
    settings: &[Setting::PortRange, Setting::TwReuse, Setting::Timestamps],
    needs: "local ports by destination",
    look: ports,
};

pub static TIME_WAIT_MANY: Rule = Rule {
    id: "time-wait-many",
    topic: "free local ports",
    severity: Severity::Remark,
    scope: Scope::Destination,
    title: "Many connections to a destination are in TIME_WAIT",
    why: "this side closes first: each connection then keeps its local port for 60 s, and half of the ports or more that \
          the kernel may choose towards this destination wait so. With SO_LINGER 0 none would, but the peer would get \
          a reset in place of the end of the stream",
    remedy: "keep connections and use them again, or let the peer close first; net.ipv4.tcp_tw_reuse = 1 (needs \
             net.ipv4.tcp_timestamps) lets connect() take such ports after a second",
    effect: "the rate of new connections can grow before ports run out",
    verify: "tcpports: TIME-WAIT and SHARE of the destination",
    settings: &[Setting::PortRange, Setting::TwReuse, Setting::Timestamps, Setting::MaxTwBuckets],
    needs: "local ports by destination",
    look: time_wait,
};

fn close_wait(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let age = |row: &&CloseWait| row.age_ns.or(row.age_at_least_ns);
    let holders = model.look.holders(TcpState::CloseWait, Grouping::Process);
    let held = |row: &CloseWait| {
        sum(holders.iter().filter(|(key, _)| key.pid == row.pid).map(|(_, count)| *count))
    };
    let is_old = |row: &&CloseWait| {
        let least = if held(row) >= MANY_CLOSE_WAIT { SHORT_CLOSE_WAIT } else { LONG_CLOSE_WAIT };
        age(row).is_some_and(|ns| ns >= least)
    };
    let Some(oldest) = model.look.held().filter(is_old).max_by_key(age) else {
        return model.look.states().map(|_| Vec::new());
    };
    let count = held(oldest);
    let sockets = match count {
        0 => "a socket".to_owned(),
        1 => "1 socket".to_owned(),
        n => format!("{n} sockets"),
    };
    let bound = if oldest.age_ns.is_some() { "" } else { "at least " };
    let text = format!(
        "{} holds {sockets} in CLOSE_WAIT (peer closed, process did not); the oldest for {bound}{}",
        process(&oldest.key()),
        nanos(age(&oldest).unwrap_or(0)),
    );
    let about =
        Key { pid: oldest.pid, comm: oldest.comm.clone(), netns: oldest.netns, ..Key::default() };
    let numbers = [("sockets", Some(count.max(1))), ("oldest_ns", age(&oldest))];
    Some(vec![Finding::new(rule, about, text).with(numbers)])
}

/// Local ports towards each destination, against those that the kernel chooses from.
fn ports(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    let mut known = model.sees_ports();
    for row in model.look.destinations() {
        known = true;
        let (Some(permille), Some(used), Some(ports)) =
            (row.permille(), row.local_ports_used, row.local_ports)
        else {
            continue;
        };
        if permille < FEW_PORTS_LEFT {
            continue;
        }
        let to = text(Cell::Endpoint(row.raddr, row.device, row.rport));
        let whose = row.pid.map_or(String::new(), |_| format!(", most of {}", process(&row.key())));
        let waiting = row.local_ports_time_wait.unwrap_or(0);
        // Those in TIME_WAIT may be taken again, as tcp_tw_reuse says.
        let fails = if used.saturating_sub(waiting) >= ports {
            "each further connect fails"
        } else {
            "a connect that finds no free port fails"
        };
        let severity = if used >= ports { Severity::Bad } else { Severity::Warning };
        let text = format!(
            "{used} of {ports} local ports in use towards {to}, {waiting} of them in TIME_WAIT{whose}: \
             {fails} with EADDRNOTAVAIL"
        );
        let finding = Finding::new(rule, row.key(), text).weighing(severity).with([
            ("local_ports_used", Some(used)),
            ("local_ports_time_wait", Some(waiting)),
            ("local_ports", Some(ports)),
        ]);
        let narrow = ports < FEW_PORTS;
        found.push(if narrow { Finding { remedy: WIDER.into(), ..finding } } else { finding });
    }
    known.then_some(found)
}

/// Sockets in `TIME_WAIT` towards a destination, before its ports become few.
fn time_wait(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    let mut known = model.sees_ports();
    for row in model.look.destinations() {
        known = true;
        let (Some(waiting), Some(ports @ 1..)) = (row.local_ports_time_wait, row.local_ports)
        else {
            continue;
        };
        let few = row.permille().is_some_and(|permille| permille >= FEW_PORTS_LEFT);
        if few || waiting.saturating_mul(1000) < ports.saturating_mul(MANY_TIME_WAIT) {
            continue;
        }
        let to = text(Cell::Endpoint(row.raddr, row.device, row.rport));
        let whose = row.pid.map_or(String::new(), |_| format!(", most of {}", process(&row.key())));
        let text = format!(
            "{waiting} connections to {to} are in TIME_WAIT, of {ports} local ports{whose}: this side \
             closes first"
        );
        found.push(Finding::new(rule, row.key(), text).with([
            ("local_ports_time_wait", Some(waiting)),
            ("local_ports_used", row.local_ports_used),
            ("local_ports", Some(ports)),
        ]));
    }
    known.then_some(found)
}
