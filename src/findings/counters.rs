//! What the kernel's own counters say.

use std::collections::BTreeMap;

use super::scene::{SECOND, Scene, each, is_local, most_for, whole, window_begin};
use super::{Finding, Rule, Scope, Setting, Severity, several};
use crate::group::Grouping;
use crate::latency::LatencyKind;
use crate::model::{Metric, Model, float, process, text as words};
use crate::report::{Cell, Key};
use crate::wire::LifeEnd;

/// Number of the evidence: connects that this machine refused.
pub(super) const REFUSED_HERE: &str = "refused_here";
/// So few of anything may be chance.
pub(super) const FEW: f64 = 5.0;
/// Failed connects that are worth knowing although most succeed.
const SOME: f64 = 10.0;
/// From this part of `tcp_max_orphans` on the kernel may reset orphans (`tcp_too_many_orphans`).
const ORPHANS_SHARE: u64 = 4;

pub static CONNECTS_FAILED: Rule = Rule {
    id: "connects-failed",
    topic: "failed connects",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "Many connects fail",
    why: "TcpAttemptFails counts connects that were refused or given up, and half-open connections that were \
          reset; it grew by a tenth of all connections or more, or most of the failed ones lead to the same place",
    remedy: "refused: start what should listen there, or correct the address and port in the program; a firewall may \
             reject too. Timed out: a firewall drops, the host is down, or its listener is full. tcplife --end \
             'refused,timeout_connect,unreachable*' shows each",
    effect: "connects succeed",
    verify: "nstat TcpAttemptFails: it does not grow",
    settings: &[],
    needs: "TcpAttemptFails",
    look: failed,
};

pub static RESETS_SENT: Rule = Rule {
    id: "resets-sent",
    topic: "resets",
    severity: Severity::Remark,
    scope: Scope::Netns,
    title: "This side sends many resets",
    why: "TcpOutRsts grew: a segment came to a port where nothing listens, or a process closed with unread data, \
          with SO_LINGER 0, or was killed. The peer gets ECONNRESET (connection reset by peer) or ECONNREFUSED",
    remedy: "tcplife shows connections that ended by a reset, with their process; in it, read what has come \
             before close(), and shut down with shutdown() instead of SO_LINGER 0",
    effect: "peers see an end of the stream in place of an error",
    verify: "nstat TcpOutRsts: it does not grow",
    settings: &[],
    needs: "TcpOutRsts",
    look: resets,
};

pub static TIME_WAIT_OVERFLOW: Rule = Rule {
    id: "time-wait-overflow",
    topic: "TIME_WAIT overflow",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "Connections end without TIME_WAIT: tcp_max_tw_buckets is reached",
    why: "TCPTimeWaitOverflow grew. A late segment of such a connection may reach a new one with the same ports, \
          and a lost last ACK is answered with a reset",
    remedy: "raise net.ipv4.tcp_max_tw_buckets (a bucket takes about 256 bytes), or close fewer connections \
             first on this side",
    effect: "the kernel log has no more \"time wait bucket table overflow\"",
    verify: "nstat TcpExtTCPTimeWaitOverflow: it does not grow",
    settings: &[Setting::MaxTwBuckets],
    needs: "TCPTimeWaitOverflow",
    look: time_wait_overflow,
};

pub static ORPHANS: Rule = Rule {
    id: "orphans",
    topic: "orphans",
    severity: Severity::Bad,
    scope: Scope::Machine,
    title: "Too many connections that no process has any more",
    why: "an orphan is closed by its process and still sends, or waits for the peer's end (FIN_WAIT1, LAST_ACK, \
          CLOSING). From a quarter of tcp_max_orphans on, or without memory for TCP, the kernel resets them: \
          data that was not acknowledged is lost",
    remedy: "find peers that vanished or do not read (tcpstates --summary --by remote); a lower \
             net.ipv4.tcp_orphan_retries gives up sooner, a higher net.ipv4.tcp_max_orphans holds more",
    effect: "the kernel log has no more \"too many orphaned sockets\"",
    verify: "/proc/net/sockstat: orphan; nstat TcpExtTCPAbortOnMemory does not grow",
    settings: &[],
    needs: "orphans or TCPAbortOnMemory",
    look: orphans,
};

/// Begins the names of ends by a reset of this side.
const SENT: &str = "reset_sent_";

/// What to do about resets that answer segments to closed ports.
const CLOSED_PORTS: &str = "tcpdrop --reason NO_SOCKET shows which port the segments come for, and from where: start what \
                            should listen there, or correct the clients; a scan of ports looks the same";

/// Connects that were refused or given up, and half-open connections that were reset.
fn failed(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    each(model, |scene| {
        let (failed, known) = scene.sum(Metric::AttemptFails)?;
        let (opens, accepts) = scene.opens_and_accepts();
        let many = failed * 10.0 >= opens + accepts;
        if failed < if many { FEW } else { SOME } {
            return Some(Vec::new());
        }
        let text = format!(
            "{failed:.0} connects or half-open connections failed in {known:.0} s (TcpAttemptFails), \
             of {opens:.0} connects and {accepts:.0} accepted"
        );
        let numbers = [("failed", failed), ("connects", opens), ("accepted", accepts)];
        let failing = failing_to(scene, failed, text);
        // Beside many that succeed, those are worth knowing that mostly fail in the same way.
        let reason = many || failing.how.is_some();
        let mut found = scene.one(rule, reason, (failing.text, failing.about), numbers);
        for one in &mut found {
            if !many {
                one.severity = Some(Severity::Remark);
            }
            if failing.here > 0 {
                one.evidence.0.push((REFUSED_HERE.into(), failing.here));
            }
            if let Some(how) = failing.how {
                one.remedy = remedy_for(how).into();
            }
        }
        Some(found)
    })
}

const REFUSES: &str = "refuses them";

const SILENT: &str = "does not answer";
const UNREACHABLE: &str = "is unreachable";

/// What a destination did to a connect that ended so; `None`: it is no failed connect.
fn how_failed(end: LifeEnd) -> Option<&'static str> {
    match end {
        LifeEnd::Refused => Some(REFUSES),
        LifeEnd::TimeoutConnect => Some(SILENT),
        LifeEnd::UnreachableNet | LifeEnd::UnreachableHost => Some(UNREACHABLE),
        _ => None,
    }
}

/// What to do where most connects fail for the same reason.
fn remedy_for(how: &str) -> &'static str {
    match how {
        REFUSES => {
            "start what should listen there, or correct the address and port in the program; a firewall may reject, too. \
             tcplife --end refused shows each"
        }
        SILENT => {
            "a firewall drops, the host is down, or its listener is full: look there (ping, listenoverflow). tcplife --end \
             timeout_connect shows each"
        }
        _ => {
            "correct the address in the program, or the route to it (ip route get ADDRESS). tcplife --end 'unreachable*' \
             shows each"
        }
    }
}

/// Where most failed connects lead.
struct Failing {
    text: String,
    about: Key,
    /// How many of them this machine refused, and sent a reset for.
    here: u64,
    how: Option<&'static str>,
}

/// Adds where most failed connects lead, whose they are, and why they fail.
fn failing_to(scene: &Scene<'_>, failed: f64, text: String) -> Failing {
    let model = scene.model;
    // The seconds of the counters begin up to an interval earlier.
    let begin = window_begin(model) - SECOND;
    let recent = model.ended.rows().filter(|one| one.ts > begin && scene.holds(one.key.netns));
    let sample: Vec<_> =
        recent.filter_map(|one| Some((one.key.clone(), how_failed(one.end?)?))).collect();
    // Half of them at least, or it says nothing about the others.
    let found = most_for(&sample).filter(|(_, _, count)| float(*count) * 2.0 >= failed);
    let Some((about, how, count)) = found else {
        let (text, about) = failing_by_latency(model, failed, text);
        return Failing { text, about, here: 0, how: None };
    };
    let to = words(Cell::Endpoint(about.raddr, about.device, about.rport));
    let whose = about.pid.map_or(String::new(), |_| format!(" of {}", process(&about)));
    let here = how == REFUSES && is_local(about.raddr);
    let text = format!("{text}; most{whose}: {to} {how}");
    Failing { text, about, here: if here { count.min(whole(failed)) } else { 0 }, how: Some(how) }
}

/// The same by the sums of latencies, which have no ports.
fn failing_by_latency(model: &Model, failed: f64, mut text: String) -> (String, Key) {
    let mut about = Key::default();
    // Half of them at least, or it says nothing about the others.
    let enough = |(_, count): &(Key, u64)| float(*count) * 2.0 >= failed;
    if let Some((key, _)) = failing(model, Grouping::Remote).filter(enough) {
        text = format!("{text}; most to {}", words(Cell::addr(key.raddr, key.device)));
        (about.raddr, about.device) = (key.raddr, key.device);
    }
    if let Some((key, _)) = failing(model, Grouping::Process).filter(enough) {
        text = format!("{text}; most by {}", process(&key));
        (about.pid, about.comm) = (key.pid, key.comm);
    }
    (text, about)
}

/// Who has most connects that failed in the window, and how many.
fn failing(model: &Model, by: Grouping) -> Option<(Key, u64)> {
    let begin = window_begin(model);
    let mut sums: BTreeMap<Key, u64> = BTreeMap::new();
    let connects = model
        .series
        .latencies_since(begin)
        .filter(|row| row.latency_kind == Some(LatencyKind::Connect) && row.by == Some(by));
    for row in connects {
        *sums.entry(row.key()).or_default() += row.failed_connects();
    }
    sums.into_iter().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 0)
}

fn resets(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    each(model, |scene| {
        let (resets, known) = scene.sum(Metric::Resets)?;
        let of = |metric| scene.sum(metric).map_or(0.0, |(sum, _)| sum);
        let many = resets >= 10.0 && resets > of(Metric::Opens) / 10.0;
        let (linger, unread) = (of(Metric::DataAborts), of(Metric::CloseAborts));
        let refused = (resets - linger - unread).max(0.0);
        let mut text = format!("{resets:.0} resets sent in {known:.0} s");
        for (count, what) in [
            (linger, "by close() with SO_LINGER 0, or for data that came after it"),
            (unread, "by close() with unread data, or as a process ended with some"),
            (
                refused,
                "to segments without a connection: closed ports, or connections that are gone",
            ),
        ] {
            if count >= 1.0 {
                text = format!("{text}; {count:.0} {what}");
            }
        }
        let begin = window_begin(model);
        let mut about = Key::default();
        if let Some((key, end, count)) = model.endings.most(SENT, begin) {
            let how = end.strip_prefix(SENT).unwrap_or(end).replace('_', " ");
            text = format!("{text}; most by {}: {how}", process(&key));
            // Half of them at least, or it says nothing about the others.
            if float(count) * 2.0 >= resets {
                about = key;
            }
        }
        let numbers = [("resets", resets), ("linger", linger), ("unread", unread)];
        let mut found = scene.one(rule, many, (text, about), numbers);
        if refused * 2.0 > resets {
            for one in &mut found {
                one.remedy = CLOSED_PORTS.into();
            }
        }
        Some(found)
    })
}

/// `tcp_max_tw_buckets` is reached.
fn time_wait_overflow(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    each(model, |scene| {
        let (left_out, known) = scene.sum(Metric::TimeWaitOverflow)?;
        let text = format!(
            "{} went without TIME_WAIT in {known:.0} s (TCPTimeWaitOverflow): \
             tcp_max_tw_buckets is reached",
            several(whole(left_out), "connection")
        );
        let numbers = [("without_time_wait", left_out)];
        Some(scene.one(rule, left_out >= 1.0, (text, Key::default()), numbers))
    })
}

/// Sockets that their process has closed, and TCP has not.
fn orphans(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    let aborted = Scene::whole(model).sum(Metric::MemoryAborts);
    if let Some((aborted @ 1.0.., known)) = aborted {
        let text = format!(
            "{} reset in {known:.0} s (TCPAbortOnMemory): too many orphans, or no \
             memory for TCP",
            several(whole(aborted), "connection")
        );
        let numbers = [("reset", Some(whole(aborted)))];
        found.push(Finding::new(rule, Key::default(), text).with(numbers));
    }
    let orphans = model.orphans();
    if let Some((orphans, limit)) = orphans
        && orphans.saturating_mul(ORPHANS_SHARE) >= limit
        && orphans > 0
    {
        let text = format!(
            "{orphans} orphans (closed by their process, unfinished in TCP) of tcp_max_orphans {limit}: \
             the kernel resets them from a quarter of it on"
        );
        let numbers = [("orphans", Some(orphans)), ("max_orphans", Some(limit))];
        let finding = Finding::new(rule, Key::default(), text).with(numbers);
        found.push(finding.weighing(Severity::Warning));
    }
    (aborted.is_some() || orphans.is_some()).then_some(found)
}
