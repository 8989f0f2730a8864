//! The findings engine: rules over what the subjects tell. Pure: it knows no kernel, no file, no terminal
//! and no clock. The dashboard and tcpdoctor show what it finds; the same table explains each rule offline.
//!
//! ```text
//! Record ─▶ Model ─▶ rules ─▶ Finding ─▶ dashboard, tcpdoctor
//!                      └▶ title, why, remedy, effect, verify ─▶ --explain, docs/troubleshooting.md
//! ```

mod counters;
mod devices;
mod drops;
mod endings;
mod error_texts;
mod files;
mod finding;
mod kit;
mod listeners;
mod loss;
pub mod page;
mod peers;
mod scenarios;
mod scene;
mod setting;
mod settings;
mod sockets;
mod speed;
mod stalls;
mod watch;
mod windows;

use crate::model::Model;
use crate::report::{Cell, human};

pub use error_texts::{Answer, ERRORS, ErrorText, explain};
pub use finding::{Evidence, Finding, Scope, Severity};
use setting::Setting;
pub use sockets::FEW_PORTS_LEFT;
pub use watch::{Changes, Watch};

/// Looks for one kind of trouble; `None`: there are no data for it.
type Look = fn(&'static Rule, &Model) -> Option<Vec<Finding>>;

/// One kind of trouble: what it is called, what is to be said about it, and how it is found.
#[derive(Debug)]
pub struct Rule {
    /// Its name for good: alerts and scripts refer to it.
    pub id: &'static str,
    /// The heading under which the dashboard says that it was looked for.
    pub topic: &'static str,
    /// How bad it is at its worst.
    pub severity: Severity,
    /// What it is about.
    pub scope: Scope,
    /// What is wrong, in general.
    pub title: &'static str,
    /// Why it is thought so, and what is behind it.
    pub why: &'static str,
    /// What to change.
    pub remedy: &'static str,
    /// What to expect of that.
    pub effect: &'static str,
    /// How to check that it worked.
    pub verify: &'static str,
    /// Settings that the remedy is about.
    settings: &'static [Setting],
    /// What it judges.
    pub needs: &'static str,
    look: Look,
}

/// All rules. Findings of one severity stand in this order, those that say more before those that say less of the
/// same.
pub static RULES: [&Rule; 46] = [
    &kit::EVENTS_LOST,
    &kit::NAMESPACES_CLOSED,
    &kit::ROWS_LEFT_OUT,
    &files::OUT_OF_FILES,
    &listeners::ACCEPT_QUEUE_FULL,
    &listeners::SYN_QUEUE_FULL,
    &listeners::SYN_COOKIES,
    &listeners::CONNECTIONS_DROPPED,
    &listeners::ACCEPT_QUEUE_FILLING,
    &listeners::CLIENT_DROPPED,
    &sockets::CLOSE_WAIT_HELD,
    &sockets::LOCAL_PORTS_USED_UP,
    &sockets::TIME_WAIT_MANY,
    &endings::PORT_TAKEN,
    &counters::CONNECTS_FAILED,
    &peers::PATH_MTU,
    &peers::HALF_OPEN,
    &peers::ORPHANS_WAITING,
    &loss::SEGMENTS_RETRANSMITTED,
    &loss::SYNS_LOST,
    &counters::RESETS_SENT,
    &windows::READER_STUCK,
    &windows::PEER_WINDOW_ZERO,
    &windows::SEND_BUFFER_SHORT,
    &counters::TIME_WAIT_OVERFLOW,
    &counters::ORPHANS,
    &drops::PEERS_GONE,
    &drops::BUFFER_DROPS,
    &drops::REVERSE_PATH,
    &drops::CHECKSUM_ERRORS,
    &devices::INTERFACE_DROPS,
    &devices::CPU_QUEUE_DROPS,
    &endings::SAME_AGE,
    &endings::REQUESTS_UNANSWERED,
    &speed::SLOW_NETWORK,
    &speed::SLOW_SERVICE,
    &speed::SLOW_PEER,
    &speed::BANDWIDTH,
    &settings::CONNTRACK_FULL,
    &settings::TCP_MEMORY,
    &settings::TW_RECYCLE,
    &settings::SYNCOOKIES_OFF,
    &settings::ABORT_ON_OVERFLOW,
    &settings::TW_REUSE_WITHOUT_TIMESTAMPS,
    &settings::PORT_RANGE_NARROW,
    &settings::SOMAXCONN_SHORT,
];

impl Rule {
    /// The rule of this name.
    pub fn named(id: &str) -> Option<&'static Self> {
        RULES.into_iter().find(|rule| rule.id == id)
    }
}

/// What was found, and what was looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Worst first.
    pub found: Vec<Finding>,
    /// Rules that had the data for it.
    pub rules: Vec<&'static str>,
    /// Topics of such rules.
    pub checked: Vec<&'static str>,
    /// Topics of which no rule had.
    pub unchecked: Vec<&'static str>,
}

/// All findings.
pub fn findings(model: &Model) -> Findings {
    let mut all = Findings::default();
    let mut topics: Vec<(&str, bool)> = Vec::new();
    for rule in RULES {
        let found = (rule.look)(rule, model);
        let known = found.is_some();
        match topics.iter_mut().find(|(topic, _)| *topic == rule.topic) {
            Some(topic) => topic.1 |= known,
            None => topics.push((rule.topic, known)),
        }
        if known {
            all.rules.push(rule.id);
        }
        all.found.extend(
            found.into_iter().flatten().map(|one| filled_in(with_settings(one, rule, model))),
        );
    }
    let of = |wanted| topics.iter().filter(move |one| one.1 == wanted).map(|one| one.0);
    all.checked = of(true).collect();
    all.unchecked = of(false).collect();
    speed::name_peers(&mut all.found);
    relate(&mut all.found);
    all
}

/// One event is seen by several rules: what says why it happens goes before what says that it does.
pub(super) fn relate(found: &mut Vec<Finding>) {
    let of = |id: &str, found: &[Finding]| -> Vec<Finding> {
        found.iter().filter(|one| one.rule == id).cloned().collect()
    };
    // Each connect that this machine refused is one of its resets.
    let refused = of(counters::CONNECTS_FAILED.id, found);
    let explained = |reset: &Finding| {
        let others = [reset.number("linger"), reset.number("unread")];
        refused.iter().any(|one| {
            one.netns == reset.netns
                && others == [Some(0); 2]
                && reset.number("resets") <= one.number(counters::REFUSED_HERE)
        })
    };
    found.retain(|one| one.rule != counters::RESETS_SENT.id || !explained(one));
    // A process of this machine that resets leaves its clients without an answer.
    let unanswered = of(endings::REQUESTS_UNANSWERED.id, found);
    for one in found.iter_mut().filter(|one| one.rule == counters::RESETS_SENT.id) {
        let aborts = one.number("linger").unwrap_or(0) + one.number("unread").unwrap_or(0);
        let most = aborts.saturating_mul(2) >= one.number("resets").unwrap_or(0);
        let here = |other: &Finding| {
            let local = scene::is_local(other.raddr);
            local && (one.netns.is_none() || one.netns == other.netns)
        };
        if most && unanswered.iter().any(here) {
            one.severity = Some(endings::REQUESTS_UNANSWERED.severity);
        }
    }
    // Retransmits towards a peer that does not answer are no loss on the way.
    let silent: Vec<_> = [&peers::PATH_MTU, &peers::HALF_OPEN, &peers::ORPHANS_WAITING]
        .into_iter()
        .flat_map(|rule| of(rule.id, found))
        .collect();
    let same = |one: &Finding, other: &Finding| {
        one.raddr.is_some() && one.raddr == other.raddr && one.netns == other.netns
    };
    for one in found.iter_mut().filter(|one| one.rule == loss::SEGMENTS_RETRANSMITTED.id) {
        if silent.iter().any(|other| same(one, other)) {
            one.severity = Some(Severity::Remark);
        }
    }
    let place = |one: &Finding| RULES.iter().position(|rule| rule.id == one.rule);
    found.sort_by_key(|one| (one.weight(), place(one)));
}

/// With what is known in place of what a text leaves open.
fn filled_in(mut finding: Finding) -> Finding {
    let Finding { pid, raddr, device, .. } = finding;
    let pid = pid.map(|pid| pid.to_string());
    let raddr = raddr.map(|raddr| crate::model::text(Cell::addr(Some(raddr), device)));
    for text in [&mut finding.remedy, &mut finding.verify] {
        for (before, open, after, known) in
            [("/", "PID", "/", &pid), ("--pid ", "PID", "", &pid), ("", "ADDRESS", "", &raddr)]
        {
            let place = format!("{before}{open}{after}");
            if let Some(known) = known.as_ref().filter(|_| text.contains(&place)) {
                *text = text.replace(&place, &format!("{before}{known}{after}")).into();
            }
        }
    }
    finding
}

/// What to change, with the values that there are now in the namespace of the finding.
fn with_settings(finding: Finding, rule: &Rule, model: &Model) -> Finding {
    let Some(settings) = model.settings_of(finding.netns) else { return finding };
    let now: Vec<_> = rule.settings.iter().filter_map(|one| one.now(settings)).collect();
    if now.is_empty() {
        return finding;
    }
    let remedy = format!("{}. Now: {}", finding.remedy, now.join(", "));
    Finding { netns: settings.netns, remedy: remedy.into(), ..finding }
}

/// `1 connect`, `2 connects`.
fn several(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A duration as people read it.
fn nanos(ns: u64) -> String {
    let mut out = Vec::new();
    human::nanos(ns, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod more_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
