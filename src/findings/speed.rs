//! Slow answers: whether the peer, the network or this side takes the time. And who uses the bandwidth.

use std::collections::BTreeMap;

use super::scene::{Scene, is_local, whole, window_begin};
use super::{Finding, Rule, Scope, Severity, nanos};
use crate::count::Count;
use crate::group::Grouping;
use crate::latency::{Latency, LatencyKind, Role};
use crate::model::{Metric, Model, Who, float, process, text as words};
use crate::report::{Cell, Key};

/// Numbers of the evidence.
const RESPONSE: &str = "response_ns";
const SERVICE: &str = "service_ns";
/// Half of the answers take as long, ns: people notice.
const SLOW: u64 = 200_000_000;
/// Fewer answers in the window may be chance.
const FEW: u64 = 5;
/// Bytes per second in both directions, a gigabit: less is no question of bandwidth.
const MUCH: f64 = 125_000_000.0;
/// Of all bytes, in hundredths: those of one process. Where both ends are here, each has half.
const MOST: f64 = 40.0;

pub static SLOW_NETWORK: Rule = Rule {
    id: "slow-network",
    topic: "slow answers",
    severity: Severity::Remark,
    scope: Scope::Destination,
    title: "Answers are slow because the network is",
    why: "half of the answers take 200 ms or more, and the shortest round trip is half of that or more",
    remedy: "fewer round trips: keep connections, send requests together, answer nearer to the client; find the part \
             of the path that delays (mtr), and queues on it",
    effect: "an answer takes the round trips that it needs, and no more",
    verify: "tcplatency --kind response,rtt --by remote: P50 of both",
    settings: &[],
    needs: "latencies by remote address",
    look: |rule, model| slow_answers(rule, model, true),
};

pub static SLOW_PEER: Rule = Rule {
    id: "slow-peer",
    topic: "slow answers",
    severity: Severity::Remark,
    scope: Scope::Destination,
    title: "A peer answers slowly",
    why: "half of its answers take 200 ms or more, and a round trip is much shorter: the time is spent in the peer",
    remedy: "look there: tcplatency --kind service on the peer says whether its process works or waits; listenoverflow \
             --wait whether connections wait for accept()",
    effect: "answers take as long as round trips and the work",
    verify: "tcplatency --kind response --by remote: P50",
    settings: &[],
    needs: "latencies by remote address",
    look: |rule, model| slow_answers(rule, model, false),
};

pub static SLOW_SERVICE: Rule = Rule {
    id: "slow-service",
    topic: "slow answers",
    severity: Severity::Remark,
    scope: Scope::Process,
    title: "A process of this side answers slowly",
    why: "from the arrival of a request to its answer the process takes 200 ms or more in half of all cases: the network \
          is no part of that",
    remedy: "find what it does or waits for: a profiler, its own log, tcplatency --kind response for what it asks of \
             others itself. Long polls are meant to be so",
    effect: "clients get their answers sooner",
    verify: "tcplatency --kind service --by process: P50",
    settings: &[],
    needs: "latencies by process",
    look: slow_service,
};

pub static BANDWIDTH: Rule = Rule {
    id: "bandwidth-of-one-process",
    topic: "bandwidth",
    severity: Severity::Remark,
    scope: Scope::Process,
    title: "One process moves most of the bytes",
    why: "a gigabit per second or more goes through TCP, and most of it is of one process",
    remedy: "if it is in the way of others: limit it (its own settings, or tc with cgroups), move it to another time, or \
             mark it for a queue of its own",
    effect: "others get more of the link and of the CPUs",
    verify: "tcpcount --by process; tcpcount --by remote",
    settings: &[],
    needs: "bytes by process",
    look: bandwidth,
};

/// Measurements of the window, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: u64,
    /// Medians, each weighted by its count.
    weighted: f64,
    min: Option<u64>,
}

impl Sum {
    fn add(&mut self, row: &Latency) {
        let (Some(count @ 1..), Some(median)) = (row.count, row.p50_ns) else { return };
        self.count += count;
        self.weighted += float(median) * float(count);
        self.min = [self.min, row.min_ns].into_iter().flatten().min();
    }

    fn median(&self) -> u64 {
        whole(self.weighted / float(self.count.max(1)))
    }

    fn is_slow(&self) -> bool {
        self.count >= FEW && self.median() >= SLOW
    }
}

/// Measurements of a kind and role in the window by whom they are about; `None`: nothing of the grouping is known.
fn sums(
    model: &Model,
    by: Grouping,
    wanted: impl Fn(&Latency) -> bool,
) -> Option<BTreeMap<Key, Sum>> {
    let begin = window_begin(model);
    let mut sums: Option<BTreeMap<Key, Sum>> = model.live().then(BTreeMap::new);
    for row in model.series.latencies_since(begin).filter(|row| row.by == Some(by) && !row.other) {
        let sums = sums.get_or_insert_default();
        if wanted(row) {
            sums.entry(row.key()).or_default().add(row);
        }
    }
    sums
}

fn is(row: &Latency, kind: LatencyKind, role: Role) -> bool {
    row.latency_kind == Some(kind) && row.role == Some(role)
}

/// Slow answers of peers: those for which the network is to blame, or the others.
fn slow_answers(rule: &'static Rule, model: &Model, network: bool) -> Option<Vec<Finding>> {
    let answers =
        sums(model, Grouping::Remote, |row| is(row, LatencyKind::Response, Role::Client))?;
    let trips = sums(model, Grouping::Remote, |row| row.latency_kind == Some(LatencyKind::Rtt))?;
    let mut found = Vec::new();
    for (key, sum) in answers.into_iter().filter(|(_, sum)| sum.is_slow()) {
        let median = sum.median();
        let trip = trips.get(&key).and_then(|sum| sum.min);
        // Without a measured round trip neither side is to blame.
        let Some(trip) = trip.filter(|trip| (trip.saturating_mul(2) >= median) == network) else {
            continue;
        };
        let from = words(Cell::addr(key.raddr, key.device));
        let (slow, fast) = (nanos(median), nanos(trip));
        let text = if network {
            format!(
                "answers from {from} take {slow}, and its shortest round trip {fast}: the network is slow"
            )
        } else {
            format!(
                "answers from {from} take {slow}, its shortest round trip {fast}: the peer is slow"
            )
        };
        let numbers =
            [(RESPONSE, Some(median)), ("round_trip_ns", Some(trip)), ("answers", Some(sum.count))];
        found.push(Finding::new(rule, key, text).with(numbers));
    }
    Some(found)
}

/// Adds to a slow peer on this host which process takes as long, if that is one only.
pub fn name_peers(found: &mut [Finding]) {
    let slow: Vec<_> = found.iter().filter(|one| one.rule == SLOW_SERVICE.id).cloned().collect();
    let as_long = |peer: &Finding, service: &Finding| {
        let took = peer.number(RESPONSE).zip(service.number(SERVICE));
        let near = took
            .is_some_and(|(response, service)| response / 2 <= service && service / 2 <= response);
        near && (peer.netns.is_none() || service.netns.is_none() || peer.netns == service.netns)
    };
    for one in found.iter_mut().filter(|one| one.rule == SLOW_PEER.id && is_local(one.raddr)) {
        if let [service] =
            slow.iter().filter(|service| as_long(one, service)).collect::<Vec<_>>()[..]
        {
            one.text =
                format!("{}. {} of this host takes as long", one.text, process(&service.key()))
                    .into();
        }
    }
}

fn slow_service(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let served = sums(model, Grouping::Process, |row| is(row, LatencyKind::Service, Role::Server))?;
    let slow = served.into_iter().filter(|(_, sum)| sum.is_slow());
    let found = slow.map(|(key, sum)| {
        let median = sum.median();
        let text = format!(
            "{} takes {} or more to answer a request that has arrived, in half of {} cases",
            process(&key),
            nanos(median),
            sum.count
        );
        let numbers = [(SERVICE, Some(median)), ("answers", Some(sum.count))];
        Finding::new(rule, key, text).with(numbers)
    });
    Some(found.collect())
}

/// The process with most bytes, if they are many.
fn bandwidth(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let scene = Scene::whole(model);
    let (sent, known) = scene.sum(Metric::SentBytes)?;
    let (received, _) = scene.sum(Metric::ReceivedBytes)?;
    let all = (sent + received) / known;
    let begin = window_begin(model);
    // Where points are missing the process moved nothing.
    let of = |points: &crate::model::Points| -> f64 {
        let recent = points.iter().filter(|point| point.ts > begin);
        recent.map(|point| point.values.iter().filter(|rate| rate.is_finite()).sum::<f64>()).sum()
    };
    let processes = model.series.iter().filter_map(|(who, points)| match who {
        Who::Process(Some(pid)) => Some((*pid, of(points))),
        _ => None,
    });
    let sums: Vec<_> = processes.collect();
    let total: f64 = sums.iter().map(|(_, rate)| rate).sum();
    let Some((pid, most)) = sums.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Some(Vec::new());
    };
    let share = most * 100.0 / total.max(1.0);
    if all < MUCH || share < MOST {
        return Some(Vec::new());
    }
    let key = busiest(model, pid);
    let with = key.raddr.map_or(String::new(), |_| {
        let to = |port| words(Cell::Endpoint(key.raddr, key.device, Some(port)));
        let addr = || words(Cell::addr(key.raddr, key.device));
        match (key.lport, key.rport) {
            (Some(port), _) => format!(", most at its port {port} with {}", addr()),
            (_, Some(port)) => format!(", most with {}", to(port)),
            (None, None) => format!(", most with {}", addr()),
        }
    });
    let rate = words(Cell::Bytes(whole(all)));
    let text = format!(
        "{} moves {share:.0} % of all bytes, {rate}B/s sent and received on average of {known:.0} s{with}",
        process(&key)
    );
    let numbers = [("percent", Some(whole(share))), ("bytes_per_second", Some(whole(all)))];
    Some(vec![Finding::new(rule, key, text).with(numbers)])
}

/// A process with its busiest connection, which has the port of the side that serves.
fn busiest(model: &Model, pid: u32) -> Key {
    let last = |by| model.counts.get(&by).into_iter().flat_map(|last| &last.rows);
    let own = |by| last(by).filter(move |row| row.pid == Some(pid));
    let bytes =
        |row: &&crate::count::Count| row.sums().tx_bytes.saturating_add(row.sums().rx_bytes);
    let most = own(Grouping::Connection).max_by_key(bytes);
    let most = most.or_else(|| own(Grouping::Process).max_by_key(bytes));
    let Some(Key { comm, lport, raddr, rport, device, netns, .. }) = most.map(Count::key) else {
        return Key { pid: Some(pid), ..Key::default() };
    };
    let serves = lport < rport;
    let (lport, rport) = (lport.filter(|_| serves), rport.filter(|_| !serves));
    Key { pid: Some(pid), comm, lport, raddr, rport, device, netns, ..Key::default() }
}
