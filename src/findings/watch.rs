//! Findings over time: when each begins and ends.

use super::listeners::{ACCEPT_QUEUE_FILLING, ACCEPT_QUEUE_FULL};
use super::{Finding, Rule, relate};
use crate::report::{Key, Ts};

/// A finding ends when it has not been there for so many ns: it must not flicker.
const HOLD: i64 = 15_000_000_000;
/// Ended findings that are kept.
const ENDED: usize = 1000;

/// Rules that warn of what the other one finds.
static WARNINGS: [(&Rule, &Rule); 1] = [(&ACCEPT_QUEUE_FILLING, &ACCEPT_QUEUE_FULL)];

/// What identifies a finding: its rule, whom it is about, and the how-many-eth of these it is.
type Name = (String, Key, usize);

/// One that has been there.
#[derive(Clone, Debug)]
struct Seen {
    name: Name,
    /// At its worst.
    finding: Finding,
    began: i64,
    last: i64,
}

impl Seen {
    fn with_times(&self, ended: bool) -> Finding {
        let ended = ended.then_some(Ts(self.last));
        let began_ts = Some(Ts(self.began));
        Finding { began_ts, ended_ts: ended, ..self.finding.clone() }
    }
}

/// All that have been there.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    there: Vec<Seen>,
    over: Vec<Finding>,
}

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Findings that are new.
    pub begun: Vec<Finding>,
    /// Findings that are over.
    pub ended: Vec<Finding>,
}

impl Watch {
    /// Takes in what is found at wall-clock `now` (ns).
    pub fn take(&mut self, now: i64, found: Vec<Finding>) -> Changes {
        let mut changes = Changes::default();
        let mut names: Vec<Name> = Vec::new();
        for mut finding in found {
            finding.ts = Ts(now);
            let name = name(&finding, &names);
            names.push(name.clone());
            if let Some(seen) = self.there.iter_mut().find(|seen| seen.name == name) {
                seen.last = now;
                if is_worse(&finding, &seen.finding) {
                    seen.finding = finding;
                }
            } else {
                let seen = Seen { name, finding, began: now, last: now };
                changes.begun.push(seen.with_times(false));
                self.there.push(seen);
            }
        }
        let over = |seen: &mut Seen| now.saturating_sub(seen.last) > HOLD;
        changes.ended.extend(self.there.extract_if(.., over).map(|seen| seen.with_times(true)));
        let room = ENDED.saturating_sub(self.over.len());
        self.over.extend(changes.ended.iter().take(room).cloned());
        changes
    }

    /// All that have been there, at their worst, the worst first.
    pub fn all(&self) -> Vec<Finding> {
        let there = self.there.iter().map(|seen| seen.with_times(false));
        let all: Vec<_> = there.chain(self.over.iter().cloned()).collect();
        let mut all: Vec<_> = all.iter().filter(|one| !has_come(one, &all)).cloned().collect();
        relate(&mut all);
        all
    }
}

fn name(finding: &Finding, before: &[Name]) -> Name {
    let key = finding.place();
    let same = before.iter().filter(|(rule, other, _)| *rule == finding.rule && *other == key);
    (finding.rule.to_string(), key.clone(), same.count())
}

/// Whether what a finding warns of has come.
fn has_come(warning: &Finding, all: &[Finding]) -> bool {
    let come = WARNINGS.iter().find(|(early, _)| warning.rule == early.id).map(|(_, come)| come.id);
    come.is_some_and(|id| all.iter().any(|one| one.rule == id && one.place() == warning.place()))
}

/// The first number is the one that counts.
fn is_worse(new: &Finding, old: &Finding) -> bool {
    let size = |finding: &Finding| finding.evidence.0.first().map(|(_, value)| *value);
    (new.weight(), std::cmp::Reverse(size(new))) <= (old.weight(), std::cmp::Reverse(size(old)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::RULES;

    const SECOND: i64 = 1_000_000_000;

    fn found(resets: u64) -> Finding {
        let text = format!("{resets} resets");
        Finding::new(RULES[0], Key::default(), text).with([("resets", Some(resets))])
    }

    #[test]
    fn a_finding_begins_once_and_ends_after_a_while() {
        let mut watch = Watch::default();
        assert_eq!(watch.take(SECOND, vec![found(7)]).begun.len(), 1);
        assert_eq!(watch.take(2 * SECOND, vec![found(9)]), Changes::default());
        assert_eq!(watch.take(3 * SECOND, vec![]), Changes::default());
        assert_eq!(
            watch.take(4 * SECOND, vec![found(2)]),
            Changes::default(),
            "it was away shortly"
        );
        let ended = watch.take(20 * SECOND, vec![]).ended;
        let times = (ended[0].began_ts, ended[0].ended_ts);
        assert_eq!(times, (Some(Ts(SECOND)), Some(Ts(4 * SECOND))));
        assert_eq!(&*ended[0].text, "9 resets", "as it was at its worst");
        assert_eq!(watch.all(), ended);
    }

    #[test]
    fn two_about_the_same_are_two() {
        let mut watch = Watch::default();
        assert_eq!(watch.take(SECOND, vec![found(7), found(1)]).begun.len(), 2);
        assert_eq!(watch.take(2 * SECOND, vec![found(7), found(1)]), Changes::default());
    }

    #[test]
    fn a_warning_is_not_listed_beside_what_it_warned_of() {
        let about = |lport| Key { lport: Some(lport), ..Key::default() };
        let of = |rule, lport| Finding::new(rule, about(lport), String::new());
        let mut watch = Watch::default();
        watch.take(SECOND, vec![of(&ACCEPT_QUEUE_FILLING, 80), of(&ACCEPT_QUEUE_FILLING, 81)]);
        watch.take(2 * SECOND, vec![of(&ACCEPT_QUEUE_FULL, 80), of(&ACCEPT_QUEUE_FILLING, 81)]);
        let left: Vec<_> =
            watch.all().iter().map(|one| (one.rule.to_string(), one.lport)).collect();
        let expected = [(&ACCEPT_QUEUE_FULL, 80), (&ACCEPT_QUEUE_FILLING, 81)];
        assert_eq!(left, expected.map(|(rule, lport)| (rule.id.to_owned(), Some(lport))));
    }
}
