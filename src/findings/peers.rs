//! Peers that do not answer any more, and paths that let only small segments through.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::stalls::{self, Group};
use super::{Finding, Rule, Scope, Severity, nanos};
use crate::group::Grouping;
use crate::model::Model;
use crate::stall::{Stall, Why};
use crate::tcp_state::TcpState;

/// Orphans that make a finding: one or two are of peers that have just gone.
const MANY_ORPHANS: u64 = 3;
/// Retransmits of a full segment without an answer.
const TRIES: u32 = 2;

pub static HALF_OPEN: Rule = Rule {
    id: "half-open",
    topic: "peers that do not answer",
    severity: Severity::Warning,
    scope: Scope::Destination,
    title: "Connections are half-open: the peer does not answer any more",
    why: "retransmits or keepalive probes got no answer, two at least. The peer has lost power, its network or its \
          state, or a firewall or NAT on the way has forgotten the connection; a peer that runs would have answered \
          with a RST",
    remedy: "find out whether the peer is there (ping, its console). The process learns of it when the kernel gives \
             up, after about 15 min with net.ipv4.tcp_retries2 = 15; TCP_USER_TIMEOUT or net.ipv4.tcp_retries2 = 8 make \
             that sooner, SO_KEEPALIVE with a short net.ipv4.tcp_keepalive_time finds idle ones",
    effect: "the process gets ETIMEDOUT soon, and can connect again",
    verify: "tcpstall: no peer_gone and no keepalive",
    settings: &[],
    needs: "connections as tcpstall sees them",
    look: half_open,
};

pub static ORPHANS_WAITING: Rule = Rule {
    id: "orphans-waiting",
    topic: "peers that do not answer",
    severity: Severity::Warning,
    scope: Scope::Destination,
    title: "Closed connections cannot end: their peer does not answer",
    why: "their process has closed them (FIN_WAIT1, LAST_ACK, CLOSING), data or the FIN is sent again and again, and no \
          answer comes. Each holds its send buffer, and they count against net.ipv4.tcp_max_orphans",
    remedy: "find out what became of the peer; a lower net.ipv4.tcp_orphan_retries (0 means 8) gives up sooner",
    effect: "memory and local ports are free again",
    verify: "tcpstates --summary: FIN_WAIT1 and LAST_ACK go back to 0",
    settings: &[],
    needs: "connections as tcpstall sees them",
    look: waiting,
};

pub static PATH_MTU: Rule = Rule {
    id: "path-mtu-black-hole",
    topic: "peers that do not answer",
    severity: Severity::Warning,
    scope: Scope::Destination,
    title: "Full segments are lost on the way while small ones arrive",
    why: "to this address full segments are sent again without an answer, while others of its connections get answers, \
          and none has got a large one through. A link on the way has a smaller MTU, and its ICMP messages \
          (fragmentation needed, packet too big) do not arrive: a firewall drops them, or a tunnel sends none",
    remedy: "let ICMP type 3 code 4 and ICMPv6 type 2 through; or net.ipv4.tcp_mtu_probing = 1, or a smaller MSS on the \
             route (ip route change ... advmss 1360)",
    effect: "large requests and answers get through",
    verify: "ping -M do -s 1472 ADDRESS (IPv6: 1452); tcpstall: no loss and no peer_gone towards it",
    settings: &[],
    needs: "connections as tcpstall sees them",
    look: black_hole,
};

/// It is closed here, and not yet over.
fn is_closed(one: &Stall) -> bool {
    matches!(one.state, Some(TcpState::FinWait1 | TcpState::LastAck | TcpState::Closing))
}

fn is_silent(one: &Stall) -> bool {
    matches!(one.why, Some(Why::PeerGone | Why::Keepalive))
}

fn half_open(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    if !model.sees_stalls() {
        return None;
    }
    let holes = holes(model);
    let gone = |one: &Stall| is_silent(one) && !is_closed(one) && !is_in(&holes, one);
    let found = stalls::groups(model, gone);
    Some(found.iter().map(|group| silent(rule, group, "gets no answer", "get no answer")).collect())
}

fn waiting(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    if !model.sees_stalls() {
        return None;
    }
    let found = stalls::groups(model, |one| is_silent(one) && is_closed(one));
    let many = found.iter().filter(|group| group.count >= MANY_ORPHANS);
    let words = ("is closed and gets no answer", "are closed and get no answer");
    Some(many.map(|group| silent(rule, group, words.0, words.1)).collect())
}

fn silent(rule: &'static Rule, group: &Group, one: &str, many: &str) -> Finding {
    let end = group.dies_in.map_or(String::new(), |ns| {
        format!("; the kernel gives up in {}, if none comes", nanos(ns))
    });
    let text = format!(
        "{}{} from {}, for {}{end}",
        group.whose(),
        group.counted(one, many),
        group.remote(),
        nanos(group.longest)
    );
    Finding::new(rule, group.key.clone(), text).with([
        ("connections", Some(group.count)),
        ("longest_ns", Some(group.longest)),
        ("dies_in_ns", group.dies_in),
        ("unacked_bytes", Some(group.bytes)),
    ])
}

/// A remote address in a namespace.
type Place = (Option<u32>, Option<IpAddr>);

fn is_in(places: &BTreeSet<Place>, one: &Stall) -> bool {
    places.contains(&(one.netns, one.raddr))
}

/// It waits for the answer to a full segment.
fn is_full(one: &Stall) -> bool {
    let lost = matches!(one.why, Some(Why::PeerGone | Why::Loss));
    let flight = one.unacked_bytes.saturating_sub(one.unsent_bytes);
    lost && one.attempt.unwrap_or(0) >= TRIES && one.mss > 0 && flight >= one.mss
}

/// Addresses that answer small segments and no full one.
fn holes(model: &Model) -> BTreeSet<Place> {
    let stuck: BTreeSet<Place> =
        model.look.stalls().filter(|one| is_full(one)).map(|one| (one.netns, one.raddr)).collect();
    if stuck.is_empty() {
        return stuck;
    }
    let rows = model.counts.get(&Grouping::Connection).into_iter().flat_map(|last| &last.rows);
    let (mut answered, mut passed) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.filter(|row| !row.other && !row.total) {
        let place = (row.netns, row.raddr);
        let is_stuck = model.look.stalls().any(|one| {
            (one.netns, one.lport, one.raddr, one.rport)
                == (row.netns, row.lport, row.raddr, row.rport)
        });
        if is_stuck || !stuck.contains(&place) || row.segs_in == 0 {
            continue;
        }
        answered.insert(place);
        if row.tx_bytes.unwrap_or(0) >= LARGE {
            passed.insert(place);
        }
    }
    stuck.into_iter().filter(|at| answered.contains(at) && !passed.contains(at)).collect()
}

/// Bytes sent in an interval that need a full segment.
const LARGE: u64 = 16_384;

fn black_hole(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    if !model.sees_stalls() {
        return None;
    }
    let holes = holes(model);
    let found = stalls::groups(model, |one| is_full(one) && is_in(&holes, one));
    let row = |group: &Group| {
        let text = format!(
            "{}{} for {} towards {}, while smaller segments get an answer",
            group.whose(),
            group.counted("sends a full segment in vain", "send full segments in vain"),
            nanos(group.longest),
            group.remote()
        );
        Finding::new(rule, group.key.clone(), text).with([
            ("connections", Some(group.count)),
            ("longest_ns", Some(group.longest)),
            ("unacked_bytes", Some(group.bytes)),
        ])
    };
    Some(found.iter().map(row).collect())
}
