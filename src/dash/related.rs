//! Where the rows are that a finding is about: a view, what to filter it by, and its order.

use super::View;
use super::model::Finding;
use crate::findings::Scope;
use crate::group::Grouping;

/// Rows of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// The view.
    pub view: View,
    /// A filter, as it is typed; empty: all.
    pub filter: String,
    /// The key of the column to sort by.
    pub sort: Option<&'static str>,
    /// What latencies are grouped by.
    pub by: Grouping,
}

impl Related {
    /// `Conns, filter pid:7 state:close_wait`
    pub fn words(&self) -> String {
        let name = self.view.name();
        if self.filter.is_empty() {
            name.to_owned()
        } else {
            format!("{name}, filter {}", self.filter)
        }
    }
}

/// The rows that belong to a finding; `None` where no view has any.
pub fn related(finding: &Finding) -> Option<Related> {
    let rows = |view, filter: String| Related { view, filter, sort: None, by: Grouping::default() };
    let connections = |state: &str| {
        let filter = [remote(finding), process(finding), state.to_owned()];
        let filter = filter.into_iter().filter(|term| !term.is_empty()).collect::<Vec<_>>();
        rows(View::Connections, filter.join(" "))
    };
    Some(match &*finding.rule {
        "close-wait-held" => connections("state:close_wait"),
        "orphans" => connections("state:fin_wait1,closing,last_ack"),
        "segments-retransmitted" | "syns-lost" | "peers-gone" => {
            Related { sort: Some("retrans_segs"), ..connections("") }
        }
        "peer-window-zero" | "reader-stuck" | "receive-buffer-drops" | "tcp-memory" => {
            connections("state:established")
        }
        "connects-failed" => {
            let (by, filter) = match (finding.raddr, finding.pid) {
                // Latencies by remote address have no ports.
                (Some(_), _) => {
                    (Grouping::Remote, remote(&Finding { rport: None, ..finding.clone() }))
                }
                _ => (Grouping::Process, process(finding)),
            };
            Related { sort: Some("failed"), by, ..rows(View::Latency, filter) }
        }
        "local-ports-used-up" => rows(View::Ports, remote(finding)),
        "slow-network" | "slow-peer" | "slow-service" => {
            let (by, filter) = match finding.raddr {
                Some(_) => (Grouping::Remote, remote(finding)),
                None => (Grouping::Process, process(finding)),
            };
            Related { by, ..rows(View::Latency, filter) }
        }
        "bandwidth-of-one-process" => rows(View::Processes, process(finding)),
        "resets-sent" => Related { sort: Some("failed"), ..rows(View::Processes, String::new()) },
        "client-dropped" | "syncookies-off" | "abort-on-overflow" | "somaxconn-short" => {
            rows(View::Listeners, String::new())
        }
        "time-wait-many"
        | "time-wait-overflow"
        | "tw-reuse-without-timestamps"
        | "port-range-narrow" => rows(View::States, String::new()),
        _ => match finding.scope {
            Some(Scope::Listener) => rows(View::Listeners, listener(finding)),
            Some(Scope::Process | Scope::Destination) => connections(""),
            Some(Scope::Tool) => rows(View::Tool, String::new()),
            _ => return None,
        },
    })
}

fn process(finding: &Finding) -> String {
    finding.pid.map_or(String::new(), |pid| format!("pid:{pid}"))
}

fn remote(finding: &Finding) -> String {
    let raddr = finding.raddr.map(|raddr| format!("raddr:{}", raddr.to_canonical()));
    let rport = finding.rport.map(|rport| format!("rport:{rport}"));
    raddr.into_iter().chain(rport).collect::<Vec<_>>().join(" ")
}

/// A listener at the wildcard address is found by its port.
fn listener(finding: &Finding) -> String {
    let laddr = finding.laddr.map(|laddr| laddr.to_canonical());
    let laddr = laddr.filter(|laddr| !laddr.is_unspecified());
    let laddr = laddr.map(|laddr| format!("laddr:{laddr}"));
    let lport = finding.lport.map(|lport| format!("lport:{lport}"));
    laddr.into_iter().chain(lport).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dash::filter;
    use crate::dash::tables::Tables;
    use crate::findings::RULES;

    /// Rules of the machine whose numbers no view has.
    const WITHOUT: [&str; 7] = [
        "namespaces-closed",
        "interface-drops",
        "cpu-queue-drops",
        "reverse-path-drops",
        "checksum-errors",
        "conntrack-full",
        "tw-recycle",
    ];

    #[test]
    fn the_rows_of_every_rule_can_be_shown() {
        let tables = Tables::default();
        for rule in RULES {
            let finding = Finding {
                rule: rule.id.into(),
                scope: Some(rule.scope),
                pid: Some(7),
                laddr: Some("::".parse().unwrap()),
                lport: Some(8080),
                raddr: Some("2001:db8::1".parse().unwrap()),
                rport: Some(443),
                ..Finding::default()
            };
            let rows = related(&finding);
            assert_eq!(rows.is_none(), WITHOUT.contains(&rule.id), "{}", rule.id);
            let Some(rows) = rows else { continue };
            assert!(filter::read(&rows.filter).is_ok(), "{}: {}", rule.id, rows.filter);
            assert!(rows.view == View::Tool || tables.of(rows.view).is_some(), "{}", rule.id);
        }
    }

    #[test]
    fn a_listener_at_any_address_is_found_by_its_port() {
        let at = |laddr: &str| {
            let laddr = Some(laddr.parse().unwrap());
            listener(&Finding { laddr, lport: Some(80), ..Finding::default() })
        };
        assert_eq!(at("::"), "lport:80");
        assert_eq!(at("::ffff:10.0.0.1"), "laddr:10.0.0.1 lport:80");
    }
}
