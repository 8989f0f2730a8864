//! What to do about a destination that is short of ports, the best remedy first.

use std::fmt::Write;

use super::record::share;
use super::{PortAdvice, PortSettings, Ports};
use crate::report::{Cell, Ctx, human};

/// The lowest port that needs no right to bind, and the last one.
const WIDEST: (u16, u16) = (1024, 65_535);

/// Advice for a row with the settings of its namespace.
pub fn advise(row: &Ports, settings: &PortSettings) -> PortAdvice {
    let text = Situation { row, settings }.text();
    PortAdvice { ts: row.ts, text: text.into(), ..PortAdvice::about(row.key()) }
}

struct Situation<'a> {
    row: &'a Ports,
    settings: &'a PortSettings,
}

fn shown(cell: &Cell<'_>) -> String {
    let mut out = Vec::new();
    cell.text(&mut Ctx::new(0, true), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn nanos(ns: u64) -> String {
    let mut out = Vec::new();
    human::nanos(ns, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn number(value: Option<impl ToString>) -> String {
    value.map_or("?".to_owned(), |value| value.to_string())
}

impl Situation<'_> {
    fn text(&self) -> String {
        let mut text = self.title();
        let remedies = [
            self.close_last(),
            self.keep(),
            self.no_port(),
            self.addresses(),
            self.wider(),
            self.reuse(),
            "net.ipv4.tcp_tw_recycle is gone since Linux 4.12: it broke clients behind NAT".to_owned(),
            "SO_LINGER with 0 s leaves no TIME_WAIT, but close() then sends a RST: data that is not \
             acknowledged is lost, and the peer gets ECONNRESET"
                .to_owned(),
            self.buckets(),
            format!(
                "net.ipv4.tcp_fin_timeout = {} does not shorten TIME_WAIT, which always takes 60 s: it \
                 is the time for FIN_WAIT2",
                number(self.settings.fin_timeout)
            ),
        ];
        // Writing to a String cannot fail.
        for (nth, remedy) in remedies.iter().enumerate() {
            let _ = writeln!(text, "  {}. {remedy}", nth + 1);
        }
        text
    }

    fn title(&self) -> String {
        let row = self.row;
        let until = match row.empty_in_ns {
            Some(0) => "none is left".to_owned(),
            Some(ns) => format!("none is left in {} at this rate", nanos(ns)),
            None => "they last at this rate".to_owned(),
        };
        format!(
            "{} to {}: {} of {} ports are taken ({} established, {} TIME_WAIT, {} other, {} held by \
             bind()); {until}\n",
            shown(&Cell::addr(row.laddr, row.device)),
            shown(&Cell::Endpoint(row.raddr, row.device, row.rport)),
            shown(&share(row.taken, row.ports)),
            number(row.ports),
            row.established,
            row.time_wait,
            row.others,
            number(row.held),
        )
    }

    fn close_last(&self) -> String {
        let closes = match self.row.closed_us.zip(self.row.closed_peer) {
            Some((us, peer)) if us + peer > 0 => {
                format!("; in this interval this side closed {us} of {} first", us + peer)
            }
            _ => String::new(),
        };
        format!(
            "let the peer close first: TIME_WAIT stays with the side that closes first, and there it \
             takes no port of this side{closes}"
        )
    }

    fn keep(&self) -> String {
        let rate = match self.row.opens.zip(self.row.interval_ns.filter(|ns| *ns > 0)) {
            Some((opens, ns)) => {
                let mut out = Vec::new();
                human::per_second(opens, ns, &mut out);
                format!("; now {} are opened a second", String::from_utf8_lossy(&out))
            }
            None => String::new(),
        };
        format!("keep connections and use them again (keep-alive, a pool){rate}")
    }

    fn no_port(&self) -> String {
        format!(
            "set IP_BIND_ADDRESS_NO_PORT before bind() with port 0: a port that bind() chose is held \
             for all destinations; now {} are held",
            number(self.row.held)
        )
    }

    fn addresses(&self) -> String {
        format!(
            "use more addresses: each further local address, remote address or remote port has {} \
             ports of its own",
            number(self.row.ports)
        )
    }

    fn wider(&self) -> String {
        let (first, last) = self.settings.range;
        let reserved = self.settings.reserved.iter().count();
        let own = (self.row.range_first, self.row.range_last) != (Some(first), Some(last));
        let own = if own { "; the sockets narrow it with IP_LOCAL_PORT_RANGE" } else { "" };
        format!(
            "widen net.ipv4.ip_local_port_range = {first} {last} (at most {} {}), and put ports of \
             servers into net.ipv4.ip_local_reserved_ports (now {reserved}){own}",
            WIDEST.0, WIDEST.1
        )
    }

    fn reuse(&self) -> String {
        let loopback =
            [self.row.laddr, self.row.raddr].into_iter().flatten().any(|ip| ip.is_loopback());
        let effect = match self.settings.reuse_after_ms(loopback) {
            Some(ms) => format!("here connect() takes a port again after {ms} ms in TIME_WAIT"),
            None => "here TIME_WAIT keeps its port for 60 s".to_owned(),
        };
        let delay = match self.settings.tw_reuse_delay {
            Some(ms) => format!("net.ipv4.tcp_tw_reuse_delay = {ms} ms"),
            None => "the delay of 1 s cannot be set on this kernel".to_owned(),
        };
        format!(
            "net.ipv4.tcp_tw_reuse = {} (0: never, 1: always, 2: on loopback): {effect}; {delay}; both \
             ends need TCP timestamps (net.ipv4.tcp_timestamps = {})",
            number(self.settings.tw_reuse),
            number(self.settings.timestamps)
        )
    }

    fn buckets(&self) -> String {
        format!(
            "net.ipv4.tcp_max_tw_buckets = {}: connections beyond it end without TIME_WAIT ({} so far, \
             TCPTimeWaitOverflow); it protects memory and is no remedy",
            number(self.settings.max_tw_buckets),
            number(self.settings.tw_overflow)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_are_in_order_with_the_values_of_the_namespace() {
        let row = Ports {
            laddr: Some("10.0.0.1".parse().unwrap()),
            raddr: Some("10.0.0.2".parse().unwrap()),
            rport: Some(80),
            range_first: Some(40_000),
            range_last: Some(40_009),
            ports: Some(10),
            taken: Some(9),
            held: Some(2),
            used: Some(7),
            time_wait: 7,
            opens: Some(20),
            closed_us: Some(3),
            closed_peer: Some(1),
            interval_ns: Some(2_000_000_000),
            empty_in_ns: Some(4_000_000_000),
            ..Ports::default()
        };
        let settings = PortSettings {
            range: (40_000, 40_009),
            tw_reuse: Some(2),
            tw_reuse_delay: Some(1000),
            timestamps: Some(1),
            max_tw_buckets: Some(4096),
            fin_timeout: Some(60),
            tw_overflow: Some(5),
            ..PortSettings::default()
        };
        let text = advise(&row, &settings).text;
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("10.0.0.1 to 10.0.0.2:80: 90.0% of 10 ports"), "{text}");
        assert!(lines[0].ends_with("none is left in 4.00s at this rate"), "{text}");
        for (line, words) in lines[1..].iter().zip([
            "closed 3 of 4 first",
            "now 10 are opened a second",
            "IP_BIND_ADDRESS_NO_PORT",
            "10 ports of its own",
            "ip_local_port_range = 40000 40009",
            "here TIME_WAIT keeps its port for 60 s",
            "tcp_tw_recycle is gone since Linux 4.12",
            "SO_LINGER",
            "tcp_max_tw_buckets = 4096: connections beyond it end without TIME_WAIT (5 so far",
            "tcp_fin_timeout = 60 does not shorten TIME_WAIT",
        ]) {
            assert!(line.contains(words), "{words}: {line}");
        }
        assert_eq!(lines.len(), 11);
    }
}
