//! What listeners drop, and how full their queues are.

use super::files::exhausted;
use super::{Finding, Rule, Scope, Setting, Severity, nanos, several};
use crate::listen::{Drops, ListenerRecord};
use crate::model::{Model, listener_name};
use crate::report::Key;

const TOPIC: &str = "drops and queues of listeners";

pub static ACCEPT_QUEUE_FULL: Rule = Rule {
    id: "accept-queue-full",
    topic: TOPIC,
    severity: Severity::Bad,
    scope: Scope::Listener,
    title: "A listener drops connections: its accept queue is full",
    why: "the kernel has finished more handshakes than the process has taken with accept(): the queue holds \
          min(backlog of listen(), net.core.somaxconn) + 1 connections, and what comes then is dropped",
    remedy: "accept faster (more threads or processes, no work between two accept() calls, more file \
             descriptors if accept() fails with EMFILE); for short peaks a longer queue: raise the backlog of \
             listen() and net.core.somaxconn, then restart the program",
    effect: "clients no longer wait 1, 3 or 7 s for a retransmitted SYN, and none gets a reset",
    verify: "listenoverflow --advise: ACCEPT-Q stays below its limit and FULL@SYN and FULL@ACK at 0",
    settings: &[Setting::Somaxconn, Setting::AbortOnOverflow],
    needs: "listeners",
    look: accept_queue,
};

pub static SYN_QUEUE_FULL: Rule = Rule {
    id: "syn-queue-full",
    topic: TOPIC,
    severity: Severity::Bad,
    scope: Scope::Listener,
    title: "A listener drops SYNs: its SYN queue is full",
    why: "more handshakes are half open than the queue holds: a flood of SYNs, or clients that do not get or \
          do not answer the SYN-ACK",
    remedy: "set net.ipv4.tcp_syncookies = 1, so that a full queue drops no SYN; against slow clients raise \
             net.ipv4.tcp_max_syn_backlog and the backlog of listen(); look for the clients with \
             listenoverflow --clients",
    effect: "new clients connect although the queue is full",
    verify: "listenoverflow: SYN FULL stays at 0",
    settings: &[Setting::Syncookies, Setting::MaxSynBacklog, Setting::Somaxconn],
    needs: "listeners",
    look: syn_queue,
};

pub static SYN_COOKIES: Rule = Rule {
    id: "syn-cookies-sent",
    topic: TOPIC,
    severity: Severity::Warning,
    scope: Scope::Listener,
    title: "A listener answers with SYN cookies: its SYN queue is full",
    why: "more handshakes are half open than the queue holds: a flood of SYNs, or many slow clients. Cookies keep \
          the listener open; connections made with them lack some options (window scaling without timestamps)",
    remedy: "find the clients (listenoverflow --clients); if they are real, raise net.ipv4.tcp_max_syn_backlog, \
             net.core.somaxconn and the backlog of listen()",
    effect: "handshakes find room in the queue",
    verify: "listenoverflow: COOKIES stays at 0",
    settings: &[Setting::Syncookies, Setting::MaxSynBacklog, Setting::Somaxconn],
    needs: "listeners",
    look: cookies,
};

pub static CONNECTIONS_DROPPED: Rule = Rule {
    id: "connections-dropped",
    topic: TOPIC,
    severity: Severity::Bad,
    scope: Scope::Listener,
    title: "A listener drops connections, and no queue is known to be full",
    why: "the kernel counts drops of the listener: no memory, no route back, a security policy, or a listener \
          that closed before accept()",
    remedy: "listenoverflow --advise names the cause where the kernel exposes it; tcpdrop shows each dropped \
             segment with its reason",
    effect: "depends on the cause",
    verify: "listenoverflow: DROPS stays at 0",
    settings: &[],
    needs: "listeners",
    look: dropped,
};

pub static ACCEPT_QUEUE_FILLING: Rule = Rule {
    id: "accept-queue-filling",
    topic: TOPIC,
    severity: Severity::Warning,
    scope: Scope::Listener,
    title: "An accept queue is nearly full",
    why: "at its peak four fifths of the queue were in use: a little more load, or a pause of the process, \
          and connections are dropped",
    remedy: "accept faster, or raise the backlog of listen() and net.core.somaxconn, then restart the program",
    effect: "peaks of the same size leave the queue half empty",
    verify: "listenoverflow: the peak of ACCEPT-Q against its limit",
    settings: &[Setting::Somaxconn],
    needs: "listeners",
    look: filling,
};

pub static CLIENT_DROPPED: Rule = Rule {
    id: "client-dropped",
    topic: TOPIC,
    severity: Severity::Bad,
    scope: Scope::Destination,
    title: "Listeners drop connections of one client more than of others",
    why: "the drops are counted by the client's address",
    remedy: "find out what the client does: many connections at once, no answer to the SYN-ACK, or a flood",
    effect: "the other clients get its place in the queues",
    verify: "listenoverflow --clients",
    settings: &[],
    needs: "clients of listeners (listenoverflow --clients)",
    look: client,
};

/// Listeners with what each has dropped in the last minute; `None`: none is known.
fn all(model: &Model) -> Option<Vec<(&ListenerRecord, Drops)>> {
    let all: Vec<_> = model.all_listeners().map(|row| (row, model.recent_drops(row))).collect();
    (model.live() || !all.is_empty() || model.clients.rows().next().is_some()).then_some(all)
}

fn lost(drops: &Drops) -> Option<u64> {
    drops.total.filter(|total| *total > 0)
}

/// Whose queue was full in most cases.
#[derive(PartialEq)]
enum Full {
    Accept,
    Syn,
    None,
}

fn full(drops: &Drops) -> Full {
    let (accept, syn) = (drops.accept.unwrap_or(0), drops.syn.unwrap_or(0));
    let other = drops.other.unwrap_or(0);
    if accept > 0 && accept >= syn.max(other) {
        Full::Accept
    } else if syn > 0 && syn >= other {
        Full::Syn
    } else {
        Full::None
    }
}

/// Whether no connection more would have found room in its accept queue.
fn is_full(row: &ListenerRecord) -> bool {
    let peak = row.accept_peak.or(row.accept_now);
    peak.zip(row.accept_limit).is_some_and(|(peak, limit)| peak > limit)
}

/// What `listen()` made of its backlog, and the settings of now allow, where that is more.
fn backlog(row: &ListenerRecord, model: &Model) -> Option<(u64, u64)> {
    let somaxconn = u64::from(model.settings_of(row.netns)?.somaxconn?);
    Some((row.accept_limit?, somaxconn)).filter(|(limit, most)| limit < most)
}

/// A finding about a queue that `listen()` has made so short.
fn limited(finding: Finding, first: &str, (limit, most): (u64, u64)) -> Finding {
    let remedy = format!(
        "{first} a longer queue: give listen() a backlog above {limit} in the program's configuration, up to {most} \
         (net.core.somaxconn), and restart it; if it asks for more already, somaxconn was lower as it started: restart it"
    );
    Finding { remedy: remedy.into(), ..finding }
}

/// What comes before a longer queue.
const FASTER: &str = "accept faster (more threads or processes, no work between two accept() calls); for short peaks";
const COOKIES: &str = "find the clients (listenoverflow --clients). Against a flood: net.ipv4.tcp_syncookies = 1, with which a \
                       full queue drops no SYN. For slow clients";
const CLIENTS: &str = "find the clients (listenoverflow --clients); if they are real,";

/// The backlog limits the SYN queue, and not `tcp_max_syn_backlog`.
fn limits_syns(row: &ListenerRecord) -> bool {
    row.syn_limit.is_some() && row.syn_limit == row.accept_limit
}

fn drops(rule: &'static Rule, model: &Model, wanted: &Full) -> Option<Vec<Finding>> {
    let rows = all(model)?;
    let found = rows.iter().filter(|(_, drops)| full(drops) == *wanted);
    let found = found.filter_map(|(row, recent)| {
        let drops = lost(recent)?;
        let cause = recent.worst().map_or(String::new(), |cause| format!(": {cause}"));
        let name = listener_name(row);
        let attempts = several(drops, "attempt");
        let text = format!("{name} dropped {attempts} to connect in the last minute{cause}");
        let finding = Finding::new(rule, row.key(), text).with([
            ("drops", recent.total),
            ("drops_accept", recent.accept),
            ("drops_syn", recent.syn),
            ("drops_other", recent.other),
            // Of the last interval: then it may have had room again.
            ("accept_peak", row.accept_peak.or(row.accept_now).filter(|_| is_full(row))),
            ("accept_limit", row.accept_limit),
        ]);
        Some(match (backlog(row, model), wanted) {
            (Some(limit), Full::Accept) => limited(finding, FASTER, limit),
            (Some(limit), Full::Syn) if limits_syns(row) => limited(finding, COOKIES, limit),
            _ => finding,
        })
    });
    Some(found.collect())
}

fn accept_queue(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let mut found = drops(rule, model, &Full::Accept)?;
    // Of some the cause is known, and is a finding of its own.
    let rows: Vec<_> =
        model.listeners.rows().filter(|row| exhausted(model, row).is_some()).collect();
    found.retain(|one| !rows.iter().any(|row| row.key() == one.key()));
    Some(found)
}

fn syn_queue(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    drops(rule, model, &Full::Syn)
}

fn cookies(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let rows = all(model)?;
    // With 2 they are always sent, whatever the queue.
    let always = |row: &ListenerRecord| {
        model.settings_of(row.netns).is_some_and(|one| one.syncookies.is_some_and(|on| on > 1))
    };
    let found = rows.iter().filter(|(row, _)| !always(row)).filter_map(|(row, recent)| {
        let cookies = recent.cookies.filter(|cookies| *cookies > 0)?;
        let name = listener_name(row);
        let syns = several(cookies, "SYN");
        let text = format!("{name} answered {syns} with cookies in the last minute");
        let numbers =
            [("cookies", Some(cookies)), ("syn_peak", row.syn_peak), ("syn_limit", row.syn_limit)];
        let finding = Finding::new(rule, row.key(), text).with(numbers);
        Some(match backlog(row, model).filter(|_| limits_syns(row)) {
            Some(limit) => limited(finding, CLIENTS, limit),
            None => finding,
        })
    });
    Some(found.collect())
}

fn dropped(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    drops(rule, model, &Full::None)
}

fn filling(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let rows = all(model)?;
    let well = |row: &ListenerRecord, drops: &Drops| {
        lost(drops).is_none() && exhausted(model, row).is_none()
    };
    let found = rows.iter().filter(|(row, drops)| well(row, drops)).filter_map(|(row, _)| {
        let peak = row.accept_peak.or(row.accept_now)?;
        let limit = row.accept_limit.filter(|limit| *limit > 0)?;
        let name = listener_name(row);
        let text = || {
            let text = format!("{name}: accept queue at {peak} of {limit}");
            let numbers = [("accept_peak", Some(peak)), ("accept_limit", Some(limit))];
            Finding::new(rule, row.key(), text).with(numbers)
        };
        (peak.saturating_mul(10) >= limit.saturating_mul(8)).then(text)
    });
    Some(found.collect())
}

/// The client with the most drops, if clients are known.
fn client(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let worst = model.clients.rows().max_by_key(|client| client.drops_total)?;
    let Some(drops @ 1..) = worst.drops_total else { return Some(Vec::new()) };
    let who = worst.raddr.map_or("unknown clients".to_owned(), |raddr| raddr.to_string());
    let time = worst.interval_ns.map_or(String::new(), |ns| format!(" in {}", nanos(ns)));
    let dropped = several(drops, "connection");
    let text = format!("listeners dropped {dropped} from {who}{time}");
    let about = Key { raddr: worst.raddr, device: worst.device, ..Key::default() };
    Some(vec![Finding::new(rule, about, text).with([("drops", Some(drops))])])
}
