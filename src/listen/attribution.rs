//! Drops of the listeners of a namespace in an interval, by cause.

use super::ListenCounters;
use crate::hooks::CHILD;
use crate::hooks::{ACCEPT_RETURN, FINAL_ACK, SYN};
use crate::kernel::attach::AttachMethod;
use crate::kernel::plan::Plan;
use crate::wire::ListenCause as Cause;

/// What one listener has counted in an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// By [`Cause`], where programs see it.
    pub dropped: [u64; Cause::COUNT],
    /// `sk_drops`.
    pub sk_drops: u64,
    /// Segments discarded, where programs see them.
    pub discarded: u64,
    /// Completed handshakes, if storage links a child to its listener.
    pub established: u64,
    /// Children that `accept()` returned, where programs see it.
    pub accepted: u64,
    /// Lost ACKs have a drop reason of their own.
    pub knows_ack: bool,
}

impl Counted {
    fn unsplit(&self, total: Option<u64>, accept_ack: Option<u64>) -> Drops {
        if total == Some(0) {
            return Drops { discards: Some(self.sk_drops), ..Drops::NONE };
        }
        let discards = total.map(|total| self.sk_drops.saturating_sub(total));
        Drops { accept_ack, total, discards, ..Drops::default() }
    }
}

/// How the plan lets us know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a hook that is served or not")]
pub struct Coverage {
    /// Programs see what becomes of a SYN.
    pub syn: bool,
    /// Programs see that a final ACK makes no child.
    pub ack: bool,
    /// Programs see every segment that a listener discards.
    pub discards: bool,
    /// Programs see `accept()` return.
    pub accepts: bool,
    /// And it is the function: also for `io_uring` and MPTCP, which return from no system call that
    /// takes the listener.
    pub all_accepts: bool,
    /// Programs see each child as it is queued.
    pub children: bool,
}

impl Coverage {
    /// Those of a plan. `may_copy`: programs can read the queues of a child's listener.
    pub fn of(plan: &Plan, may_copy: bool) -> Self {
        let functions = [AttachMethod::Fentry, AttachMethod::Kprobe].map(Some);
        let ack = plan.method_of(&FINAL_ACK);
        let accept = plan.method_of(&ACCEPT_RETURN);
        Self {
            syn: functions.contains(&plan.method_of(&SYN)),
            ack: functions.contains(&ack),
            discards: ack == Some(AttachMethod::Tracepoint),
            accepts: accept.is_some(),
            all_accepts: functions.contains(&accept),
            children: plan.method_of(&CHILD).is_some() || (may_copy && !plan.use_hash),
        }
    }
}

/// Connections that one listener dropped, by cause; `None`: unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// The accept queue was full at a SYN or a final ACK: its part of
    /// `ListenOverflows`.
    pub accept: Option<u64>,
    /// The accept queue was full when a SYN came.
    pub accept_syn: Option<u64>,
    /// The accept queue was full at a final ACK.
    pub accept_ack: Option<u64>,
    /// The SYN queue was full.
    pub syn: Option<u64>,
    /// The SYN queue was full, and a cookie was sent: nothing is lost yet.
    pub cookies: Option<u64>,
    /// None of these, but dropped.
    pub other: Option<u64>,
    /// All that was dropped: its part of `ListenDrops`.
    pub total: Option<u64>,
    /// Segments that `sk_drops` counts beyond that: no connection was lost with them.
    pub discards: Option<u64>,
    /// Connections in the accept queue that were reset as the listener closed; not in `total`.
    pub closed: Option<u64>,
}

impl Drops {
    /// A listener that has dropped nothing.
    pub const NONE: Self = Self {
        accept: Some(0),
        accept_syn: Some(0),
        accept_ack: Some(0),
        syn: Some(0),
        cookies: Some(0),
        other: Some(0),
        total: Some(0),
        discards: Some(0),
        closed: Some(0),
    };

    /// All connections lost.
    pub fn lost(&self) -> Option<u64> {
        add(self.total, self.closed)
    }

    /// The accept queue was never full: so it caused none of them.
    #[must_use]
    pub fn without_accept_queue(self) -> Self {
        let (accept_syn, accept_ack) = (self.accept_syn.or(Some(0)), self.accept_ack.or(Some(0)));
        Self { accept: add(accept_syn, accept_ack), accept_syn, accept_ack, ..self }
    }

    /// Of two listeners together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            accept: add(self.accept, other.accept),
            accept_syn: add(self.accept_syn, other.accept_syn),
            accept_ack: add(self.accept_ack, other.accept_ack),
            syn: add(self.syn, other.syn),
            cookies: add(self.cookies, other.cookies),
            other: add(self.other, other.other),
            total: add(self.total, other.total),
            discards: add(self.discards, other.discards),
            closed: add(self.closed, other.closed),
        }
    }

    /// The causes in words, each with how many; the first is the sum of the two that follow.
    pub fn causes(&self) -> [(&'static str, Option<u64>); 6] {
        [
            ("accept queue full", self.accept),
            ("accept queue full at the SYN", self.accept_syn),
            ("accept queue full at the final ACK", self.accept_ack),
            ("SYN queue full", self.syn),
            ("other causes", self.other),
            ("listener closed before accept()", self.closed),
        ]
    }

    /// What most of them are due to, in words.
    pub fn worst(&self) -> Option<&'static str> {
        let split = self.accept_syn.is_some() && self.accept_ack.is_some();
        let reported = self.causes().into_iter().skip(usize::from(split));
        let known = reported.filter(|(_, count)| count.is_some_and(|n| n > 0));
        known.max_by_key(|(_, count)| *count).map(|(words, _)| words)
    }
}

/// What is not known of one is not known of both.
pub fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.saturating_add(b?))
}

/// Splits up what the listeners of one namespace have dropped. `mib` is what the namespace counted
/// in the same time; `None` where it cannot be read, or has moved while we read.
pub fn split(ones: &[Counted], mib: Option<&ListenCounters>, coverage: Coverage) -> Vec<Drops> {
    let mut drops = split_counted(ones, mib, coverage);
    for (loss, one) in drops.iter_mut().zip(ones) {
        loss.closed = Some(one.dropped[Cause::Closed as usize]);
    }
    drops
}

/// Those that the kernel's counters have too.
fn split_counted(ones: &[Counted], mib: Option<&ListenCounters>, coverage: Coverage) -> Vec<Drops> {
    if coverage.syn && coverage.ack {
        return ones.iter().map(by_programs).collect();
    }
    let totals = totals(ones, mib, coverage);
    let acks: Vec<_> =
        ones.iter().zip(&totals).map(|(one, total)| acks(one, *total, mib, coverage)).collect();
    let mut drops: Vec<_> = ones
        .iter()
        .zip(totals.iter().zip(&acks))
        .map(|(one, (total, ack))| one.unsplit(*total, *ack))
        .collect();
    if let Some(mib) = mib {
        at_syns(&mut drops, mib);
    }
    for (loss, one) in drops.iter_mut().zip(ones) {
        if coverage.syn {
            loss.accept_syn = Some(one.dropped[Cause::AcceptSyn as usize]);
            loss.syn = Some(one.dropped[Cause::Syn as usize]);
            loss.cookies = Some(one.dropped[Cause::Cookie as usize]);
        } else {
            loss.cookies = match mib {
                Some(mib) if mib.cookies == 0 || ones.len() == 1 => Some(mib.cookies),
                _ => None,
            };
        }
    }
    overflows(&mut drops, mib);
    drops
}

/// Programs have seen each decision.
fn by_programs(one: &Counted) -> Drops {
    let of = |cause: Cause| one.dropped[cause as usize];
    let total =
        [Cause::Other, Cause::AcceptSyn, Cause::AcceptAck, Cause::Syn].map(of).iter().sum::<u64>();
    Drops {
        accept: Some(of(Cause::AcceptSyn) + of(Cause::AcceptAck)),
        accept_syn: Some(of(Cause::AcceptSyn)),
        accept_ack: Some(of(Cause::AcceptAck)),
        syn: Some(of(Cause::Syn)),
        cookies: Some(of(Cause::Cookie)),
        other: Some(of(Cause::Other)),
        total: Some(total),
        discards: Some(one.sk_drops.saturating_sub(total)),
        closed: None,
    }
}

/// Each listener's part of `ListenDrops`. `sk_drops` counts discarded segments too, like a SYN sent
/// again while its request waits; the lost ACK of a handshake it counts twice.
fn totals(ones: &[Counted], mib: Option<&ListenCounters>, coverage: Coverage) -> Vec<Option<u64>> {
    let sum: u64 = ones.iter().map(|one| one.sk_drops).sum();
    let dropping = ones.iter().filter(|one| one.sk_drops > 0).count();
    let total = |one: &Counted| match mib {
        _ if one.sk_drops == 0 => Some(0),
        Some(mib) if mib.drops == sum => Some(one.sk_drops),
        Some(mib) if mib.drops == 0 => Some(0),
        Some(mib) if dropping == 1 => Some(mib.drops.min(one.sk_drops)),
        _ if coverage.discards => Some(one.sk_drops.saturating_sub(one.discarded)),
        _ => None,
    };
    ones.iter().map(total).collect()
}

/// Of these, the final ACKs of handshakes. Each of them is discarded too, unless it came with a
/// cookie: where nothing was, there were none.
fn acks(
    one: &Counted,
    total: Option<u64>,
    mib: Option<&ListenCounters>,
    coverage: Coverage,
) -> Option<u64> {
    if coverage.ack {
        return Some(one.dropped[Cause::AcceptAck as usize]);
    }
    let total = total?;
    if total == 0 {
        return Some(0);
    }
    if mib?.cookies_back > 0 {
        return None;
    }
    if coverage.discards && one.knows_ack {
        return Some(one.dropped[Cause::AcceptAck as usize]);
    }
    (one.sk_drops == total).then_some(0)
}

/// Drops at SYNs. If the namespace has counted only one cause, it applies to every listener; if
/// only one listener has dropped any, the counters are its own.
fn at_syns(drops: &mut [Drops], mib: &ListenCounters) {
    let all_acks = drops.iter().map(|loss| loss.accept_ack).sum::<Option<u64>>();
    let Some(all_acks) = all_acks else { return };
    let Some(all) = drops.iter().map(|loss| loss.total).sum::<Option<u64>>() else { return };
    let accept_syn = mib.overflows.saturating_sub(all_acks);
    let other = mib.drops.saturating_sub(mib.overflows + mib.syn_drops);
    let causes = [accept_syn, mib.syn_drops, other];
    let alone = causes.iter().filter(|count| **count > 0).count() == 1;
    let rest = |loss: &Drops| Some(loss.total?.saturating_sub(loss.accept_ack?));
    let dropping = drops.iter().filter(|loss| rest(loss).is_some_and(|rest| rest > 0)).count();
    let exact = all == mib.drops;
    for loss in drops {
        let Some(rest) = rest(loss) else { continue };
        let share = match causes.map(|count| count > 0) {
            _ if rest == 0 => Some([0; 3]),
            is if alone => Some(is.map(|is| if is { rest } else { 0 })),
            _ if dropping == 1 && exact => Some(causes),
            _ => None,
        };
        let Some([accept_syn, syn, other]) = share else { continue };
        (loss.accept_syn, loss.syn, loss.other) = (Some(accept_syn), Some(syn), Some(other));
    }
}

/// Each overflow of an accept queue is counted among the drops too. So where all drops were
/// overflows, or none, that applies to every listener; if only one has dropped any, all are its own.
fn overflows(drops: &mut [Drops], mib: Option<&ListenCounters>) {
    let all = drops.iter().map(|loss| loss.total).sum::<Option<u64>>();
    let dropping = drops.iter().filter(|loss| loss.total != Some(0)).count();
    for loss in drops {
        let parts = loss.accept_syn.zip(loss.accept_ack).map(|(syn, ack)| syn + ack);
        let counted =
            mib.filter(|mib| all == Some(mib.drops)).and_then(|mib| match mib.overflows {
                0 => Some(0),
                overflows if overflows == mib.drops => loss.total,
                overflows if dropping == 1 && loss.total != Some(0) => Some(overflows),
                _ => None,
            });
        loss.accept = parts.or(counted);
        if loss.accept.is_some() && loss.accept == loss.total {
            (loss.syn, loss.other) = (Some(0), Some(0));
        }
    }
}

#[cfg(test)]
#[path = "attribution_tests.rs"]
mod tests;
