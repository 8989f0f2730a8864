//! How connections end; and ports that are taken and not used.

use std::collections::BTreeMap;

use super::scene::is_local;
use super::{Finding, Rule, Scope, Severity, nanos};
use crate::model::{Ending, Model, process, text as words};
use crate::report::{Cell, Key};
use crate::wire::LifeEnd;

/// So many endings of one kind are no chance.
const MANY: usize = 5;
/// Part of them that must be of the same age, in hundredths, and how much their ages may differ.
const MOST: usize = 80;
const SPREAD: u64 = 5;
/// Younger connections end together for many reasons, ns.
const YOUNG: u64 = 1_000_000_000;

pub static SAME_AGE: Rule = Rule {
    id: "same-age-endings",
    topic: "how connections end",
    severity: Severity::Warning,
    scope: Scope::Destination,
    title: "Connections die at the same age, or after the same time without traffic",
    why: "they were reset, timed out, or closed by the other side, not by us, and the time since they were opened or last \
          used is the same: an idle timeout or a lifetime of the peer, a load balancer, a NAT or a firewall",
    remedy: "find the timeout (of the peer: keepalive_timeout and the like; of devices on the way), and stay below it: close \
             idle connections sooner on this side; against a device on the way also SO_KEEPALIVE with \
             net.ipv4.tcp_keepalive_time below it",
    effect: "no request is sent on a connection that is already dead",
    verify: "tcplife: END and LIFE of the connections",
    settings: &[],
    needs: "endings of connections",
    look: same_age,
};

pub static REQUESTS_UNANSWERED: Rule = Rule {
    id: "requests-unanswered",
    topic: "how connections end",
    severity: Severity::Warning,
    scope: Scope::Destination,
    title: "Connections end while a request waits for its answer",
    why: "data was sent, nothing came back, and the connection was reset, closed by the peer or timed out: the peer's \
          process died or gave up, or a device on the way cut the connection",
    remedy: "look at the peer: its log, restarts, its timeouts; requests that may be repeated are best repeated on another \
             connection",
    effect: "clients get answers in place of errors",
    verify: "tcplife: no connection ends with waiting in NOTE",
    settings: &[],
    needs: "endings of connections",
    look: unanswered,
};

pub static PORT_TAKEN: Rule = Rule {
    id: "port-bound-not-listening",
    topic: "bound ports",
    severity: Severity::Remark,
    scope: Scope::Process,
    title: "A port is in use, and nothing listens on it",
    why: "a process has bound it, for 4 s or more, and has not called listen(): others that want the port get EADDRINUSE \
          (Address already in use), and clients ECONNREFUSED. ss -l does not show it, ss --bound-inactive does",
    remedy: "look at what the process does between bind() and listen() (its log, /proc/PID/stack), or which child it has left \
             the socket to. End it, or let it listen",
    effect: "the port can be bound again, and clients connect",
    verify: "ss --bound-inactive -tnp: empty",
    settings: &[],
    needs: "sockets that are bound and not used, which Linux lists since 6.8",
    look: port_taken,
};

/// Its port is above the other side's. A client closes as it likes, and the last data is the answer it got.
fn is_client(one: &Ending) -> bool {
    one.key.lport > one.key.rport
}

/// The other side, the way or the kernel has ended it, and this side did not count on it.
fn is_cut(one: &Ending) -> bool {
    match one.end {
        Some(LifeEnd::ClosedPeer) => is_client(one),
        Some(
            LifeEnd::Reset
            | LifeEnd::TimeoutData
            | LifeEnd::TimeoutKeepalive
            | LifeEnd::TimeoutUser,
        ) => true,
        _ => false,
    }
}

/// Process and destination.
fn place(one: &Ending) -> Key {
    let Key { pid, comm, raddr, rport, device, netns, lport, .. } = one.key.clone();
    // A server's clients have ports of their own.
    let rport = rport.filter(|port| lport.is_none_or(|own| own > *port));
    Key { pid, comm, raddr, rport, device, netns, ..Key::default() }
}

/// Endings by process and destination.
fn groups(model: &Model, wanted: impl Fn(&Ending) -> bool) -> BTreeMap<Key, Vec<&Ending>> {
    let mut groups: BTreeMap<Key, Vec<&Ending>> = BTreeMap::new();
    for one in model.ended.rows().filter(|one| wanted(one)) {
        groups.entry(place(one)).or_default().push(one);
    }
    groups
}

fn whose(key: &Key) -> String {
    let with = words(Cell::Endpoint(key.raddr, key.device, key.rport));
    match key.pid {
        Some(_) => format!("{} with {with}", process(key)),
        None => format!("connections with {with}"),
    }
}

/// Whether an age is nearly the median.
fn is_near(age: u64, median: u64) -> bool {
    age.abs_diff(median).saturating_mul(100) <= median.saturating_mul(SPREAD)
}

/// Which time of a connection.
type Age = fn(&Ending) -> Option<u64>;

/// The median of ages, if most of them are nearly as much.
fn common(mut ages: Vec<u64>) -> Option<(u64, usize)> {
    ages.sort_unstable();
    let median = *ages.get(ages.len() / 2)?;
    let same = ages.iter().filter(|age| is_near(**age, median)).count();
    let enough = ages.len() >= MANY && median >= YOUNG && same * 100 >= ages.len() * MOST;
    enough.then_some((median, same))
}

/// Who may have ended connections.
#[derive(Clone, Copy, Default)]
struct Ends {
    closed: usize,
    reset: usize,
    timed_out: usize,
    /// The other side is on this host.
    local: bool,
}

impl Ends {
    fn of(key: &Key, endings: &[&Ending]) -> Self {
        let mut ends = Self { local: is_local(key.raddr), ..Self::default() };
        for one in endings {
            *match one.end {
                Some(LifeEnd::ClosedPeer) => &mut ends.closed,
                Some(LifeEnd::Reset) => &mut ends.reset,
                _ => &mut ends.timed_out,
            } += 1;
        }
        ends
    }

    /// It was the peer, and no device on the way: those do not close, and none is within a host.
    fn by_peer(self) -> bool {
        self.timed_out == 0 && (self.local || self.reset == 0)
    }

    /// Which of the stories it is.
    fn story(self) -> usize {
        match (self.closed + self.reset, self.by_peer()) {
            (0, _) => 2,
            (_, true) => 0,
            (_, false) => 1,
        }
    }

    /// `closed by the other side`, `reset`, or what else they have in common.
    fn words(self) -> &'static str {
        match (self.closed, self.reset, self.timed_out) {
            (_, 0, 0) => "closed by the other side",
            (0, _, 0) => "reset",
            (0, 0, _) => "given up for lack of an answer",
            _ if self.by_peer() => "ended by the other side",
            _ => "ended by the other side or on the way",
        }
    }
}

/// Why connections end after the same time without traffic, and what to do: if the peer ends them, something on the way may,
/// or the kernel gives them up.
const IDLE: [(&str, &str); 3] = [
    (
        "the other side ends them, not this one, and the time since they were last used is the same: an idle timeout of \
         the peer (a load balancer is one, too)",
        "find the timeout of the peer (keepalive_timeout and the like) and raise it, or stay below it: close idle connections \
         sooner on this side. Keepalive probes do not count as use",
    ),
    (
        "this side did not end them, and the time since they were last used is the same: an idle timeout of the peer, a load \
         balancer, a NAT or a firewall",
        "find the timeout (of the peer: keepalive_timeout and the like; of devices on the way), and stay below it: close idle \
         connections sooner on this side; against a device on the way also SO_KEEPALIVE with net.ipv4.tcp_keepalive_time \
         below it",
    ),
    GIVEN_UP,
];
/// The same of those that were in use.
const AGED: [(&str, &str); 3] = [
    (
        "the other side ends them, not this one, and the time since they were opened is the same, however they were used: a \
         lifetime that the peer gives them",
        "find what ends them at that age (keepalive_time, max_connection_age and the like of the peer), and replace \
         connections on this side before: keepalive probes do not help",
    ),
    (
        "this side did not end them, and the time since they were opened is the same, however they were used: a lifetime that \
         the peer, a load balancer or a firewall gives them",
        "find what ends them at that age (keepalive_time, max_connection_age and the like of the peer; devices on the way), \
         and replace connections on this side before: keepalive probes do not help",
    ),
    GIVEN_UP,
];
/// The same of those that the kernel of this side has ended.
const GIVEN_UP: (&str, &str) = (
    "the peer answered neither data nor keepalive probes, and the kernel of this side gave each up after the same time, which \
     net.ipv4.tcp_retries2, keepalive or TCP_USER_TIMEOUT set: the peer is gone, or a device on the way has forgotten the \
     connections",
    "find out whether the peer is there (ping, its console); if it is, find the device on the way (NAT, firewall) and its idle \
     timeout, and let net.ipv4.tcp_keepalive_time be below it",
);

fn same_age(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    if model.ended.is_empty() && !model.live() {
        return None;
    }
    let mut found = Vec::new();
    for (key, endings) in groups(model, is_cut) {
        let of = |age: Age| common(endings.iter().filter_map(|one| age(one)).collect());
        // An idle timeout ends connections of any age.
        let (what, (age, same), (of_age, stories)): (_, _, (Age, _)) =
            match (of(|one| one.idle_ns), of(|one| one.life_ns)) {
                (Some(idle), _) => ("without traffic for", idle, (|one| one.idle_ns, IDLE)),
                (None, Some(life)) => ("at an age of", life, (|one| one.life_ns, AGED)),
                (None, None) => continue,
            };
        let of_one_age = endings.iter().copied();
        let of_one_age = of_one_age.filter(|one| of_age(one).is_some_and(|one| is_near(one, age)));
        let ends = Ends::of(&key, &of_one_age.collect::<Vec<_>>());
        let (why, remedy) = stories[ends.story()];
        let text = format!(
            "{same} connections of {} were {}, {what} {}",
            whose(&key),
            ends.words(),
            nanos(age)
        );
        let numbers = [("connections", Some(same as u64)), ("age_ns", Some(age))];
        let finding = Finding::new(rule, key, text).with(numbers);
        found.push(Finding { because: why.into(), remedy: remedy.into(), ..finding });
    }
    Some(found)
}

/// Why the peer itself ends them.
const GAVE_UP: &str = "data was sent, nothing came back, and the peer has ended the connection: its process died, gave up, \
                       or refused the request";

fn unanswered(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    if model.ended.is_empty() && !model.live() {
        return None;
    }
    let groups = groups(model, |one| is_cut(one) && is_client(one) && one.waiting);
    let found = groups.into_iter().filter(|(_, endings)| endings.len() >= MANY);
    let found = found.map(|(key, endings)| {
        let ends = Ends::of(&key, &endings);
        let text = format!(
            "{} connections of {} were {} while a request waited for its answer",
            endings.len(),
            whose(&key),
            ends.words()
        );
        let longest = endings.iter().filter_map(|one| one.idle_ns).max().filter(|ns| *ns > 0);
        let numbers = [("connections", Some(endings.len() as u64)), ("longest_ns", longest)];
        let finding = Finding::new(rule, key, text).with(numbers);
        if ends.by_peer() { Finding { because: GAVE_UP.into(), ..finding } } else { finding }
    });
    Some(found.collect())
}

fn port_taken(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let found = model.bound()?.map(|row| {
        let at = words(Cell::Endpoint(row.laddr, None, row.lport));
        let text = format!(
            "{} has bound {at} and does not listen: others that bind it get EADDRINUSE",
            process(&row.key())
        );
        Finding::new(rule, row.key(), text).with([("port", row.lport.map(u64::from))])
    });
    Some(found.collect())
}
