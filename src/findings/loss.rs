//! What is lost on the way, as retransmits say.

use super::counters::FEW;
use super::scene::{Scene, each, most_for, whole};
use super::{Finding, Rule, Scope, Severity, several};
use crate::model::{Metric, Model, process, text as words};
use crate::report::{Cell, Key};
use crate::states::socket_summary::Socket;
use crate::tcp_state::TcpState;

/// Retransmitted segments, percent.
const MANY_RETRANSMITS: f64 = 1.0;
/// After this time a SYN is sent again, ns.
const LOST_SYN: u64 = 1_000_000_000;

pub static SEGMENTS_RETRANSMITTED: Rule = Rule {
    id: "segments-retransmitted",
    topic: "retransmits",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "Many segments are retransmitted",
    why: "TcpRetransSegs grew by 1 % of all segments or more: segments, or their acknowledgements, are lost on \
          the way. Each costs at least a round trip, and the last one of a message 200 ms or more",
    remedy: "tcpretrans --summary --by remote shows whether one destination loses or all do. One: the path or \
             the peer. All: the own link (ethtool -S, ip -s link), its queue, or a CPU that drops (tcpdrop)",
    effect: "throughput grows and the longest responses get shorter",
    verify: "tcpretrans --summary --by remote: RETRANS below 1 % of the segments",
    settings: &[],
    needs: "TcpRetransSegs and TcpOutSegs",
    look: retransmits,
};

pub static SYNS_LOST: Rule = Rule {
    id: "syns-lost",
    topic: "lost SYNs",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "Connects take 1, 3 or 7 s: SYNs or SYN-ACKs are lost",
    why: "TCPSynRetrans grew: no answer came within a second, then two, then four. A full accept or SYN queue \
          of the peer, a firewall that drops, or loss on the way",
    remedy: "SYNs: look at the listener of the destination (listenoverflow there), then at the way. SYN-ACKs: \
             the clients do not get them, or do not exist (a flood)",
    effect: "connects take one round trip",
    verify: "tcplatency --kind connect: P99 below 1 s; nstat TcpExtTCPSynRetrans does not grow",
    settings: &[],
    needs: "TCPSynRetrans",
    look: syns,
};

/// Segments of connections that were sent again; SYNs and SYN-ACKs where the kernel counts them apart.
fn retransmits(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    each(model, |scene| {
        let (again, known) = scene.sum(Metric::Retransmits)?;
        // The kernel counts retransmitted segments apart (TcpOutSegs is without them).
        let all = again + scene.sum(Metric::Segments)?.0;
        let syns = scene.sum(Metric::SynRetransmits).map_or(0.0, |(syns, _)| syns);
        let data = (again - syns).max(0.0);
        let percent = data * 100.0 / all.max(1.0);
        let many = data >= FEW && percent >= MANY_RETRANSMITS;
        let apart =
            if syns > 0.0 { format!(", and {syns:.0} SYNs or SYN-ACKs") } else { String::new() };
        let text = format!(
            "{percent:.1} % of segments retransmitted ({data:.0} of {all:.0} in {known:.0} s{apart})"
        );
        let numbers = [("retransmitted", data), ("segments", all), ("syns", syns)];
        let mut found = scene.one(rule, many, lossy(scene, text), numbers);
        for one in &mut found {
            if let Some(raddr) = one.raddr {
                one.remedy = towards(&words(Cell::addr(Some(raddr), None))).into();
            }
        }
        Some(found)
    })
}

/// What to do where most is lost towards one address.
fn towards(to: &str) -> String {
    format!(
        "look at the way to {to}, and at that host (mtr, ethtool -S and ip -s link there). If this side sends to no other host, \
         check its own link, too. tcpretrans --raddr {to} shows each segment that is sent again"
    )
}

/// A lost SYN costs a second.
fn syns(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    each(model, |scene| {
        let (again, known) = scene.sum(Metric::SynRetransmits)?;
        let (opens, accepts) = scene.opens_and_accepts();
        if again < FEW || again * 100.0 < opens + accepts {
            return Some(Vec::new());
        }
        // The kernel counts both as one; listeners tell the SYN-ACKs.
        let what = match scene.sum(Metric::SynAckRetransmits) {
            Some((synacks, _)) => {
                let of = [(again - synacks, "SYN"), (synacks, "SYN-ACK")];
                let of = of.into_iter().filter(|(count, _)| *count >= 0.5);
                of.map(|(count, what)| several(whole(count), what))
                    .collect::<Vec<_>>()
                    .join(" and ")
            }
            None if accepts < 0.5 && !listens(scene.model) => several(whole(again), "SYN"),
            None => format!("{again:.0} SYNs or SYN-ACKs"),
        };
        let beside = match (opens >= 0.5, accepts >= 0.5) {
            (false, false) => String::new(),
            (_, false) => format!(", with {}", several(whole(opens), "connect")),
            _ => format!(", with {} and {accepts:.0} accepted", several(whole(opens), "connect")),
        };
        let text =
            format!("{what} retransmitted in {known:.0} s{beside}: each costs a second or more");
        let numbers = [("retransmitted", again), ("connects", opens), ("accepted", accepts)];
        // SYN-ACKs are those of listeners.
        let synacks = scene.sum(Metric::SynAckRetransmits).map_or(0.0, |(synacks, _)| synacks);
        let about =
            if again - synacks >= FEW { waiting_for(scene, text) } else { lossy(scene, text) };
        Some(scene.one(rule, true, about, numbers))
    })
}

/// Whether anything listens or is half open; also where that is not known.
fn listens(model: &Model) -> bool {
    let serving = [TcpState::Listen, TcpState::NewSynRecv].map(|state| usize::from(state.number()));
    model
        .look
        .states()
        .is_none_or(|counts| serving.iter().any(|state| counts[*state].unwrap_or(0) > 0))
}

/// Adds the remote address that most is sent again to.
fn lossy(scene: &Scene<'_>, text: String) -> (String, Key) {
    let Some((raddr, _)) = scene.model.again.most(scene.netns) else {
        return (text, Key::default());
    };
    let to = words(Cell::addr(Some(raddr), None));
    (format!("{text}; most to {to}"), Key { raddr: Some(raddr), ..Key::default() })
}

/// Adds the destination that most connects wait for, and whose they are; else who most is sent again to.
fn waiting_for(scene: &Scene<'_>, text: String) -> (String, Key) {
    let waits = |row: &&Socket| {
        let age = row.age_ns.or(row.age_at_least_ns);
        row.state == Some(TcpState::SynSent) && age.is_some_and(|age| age >= LOST_SYN)
    };
    let waiting = scene.model.look.listed().filter(waits);
    let waiting: Vec<_> =
        waiting.filter(|row| scene.holds(row.netns)).map(|row| (row.key(), ())).collect();
    let Some((about, (), count)) = most_for(&waiting) else { return lossy(scene, text) };
    let to = words(Cell::Endpoint(about.raddr, about.device, about.rport));
    let whose = about.pid.map_or(String::new(), |_| format!(" of {}", process(&about)));
    let connects = several(count, "connect");
    (format!("{text}. At the last look {connects}{whose} waited for {to}"), about)
}
