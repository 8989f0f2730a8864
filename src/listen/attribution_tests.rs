use super::*;

const SAMPLING: Coverage = Coverage {
    syn: false,
    ack: false,
    discards: true,
    accepts: false,
    all_accepts: false,
    children: true,
};

/// A listener with this `sk_drops`, discards and dropped ACKs.
fn one(sk_drops: u64, discarded: u64, acks: u64) -> Counted {
    let mut one = Counted { sk_drops, discarded, knows_ack: true, ..Counted::default() };
    one.dropped[Cause::AcceptAck as usize] = acks;
    one
}

fn mib(overflows: u64, drops: u64, syn_drops: u64) -> ListenCounters {
    ListenCounters { overflows, drops, syn_drops, ..ListenCounters::default() }
}

fn causes(drops: &Drops) -> [Option<u64>; 5] {
    [drops.accept_syn, drops.accept_ack, drops.syn, drops.other, drops.total]
}

#[test]
fn a_listener_without_sk_drops_has_no_drops() {
    let drops = split(&[one(0, 0, 0), one(9, 0, 0)], Some(&mib(4, 9, 5)), SAMPLING);
    assert_eq!(causes(&drops[0]), [Some(0); 5]);
}

#[test]
fn a_single_cause_in_the_namespace_applies_to_all_listeners() {
    let drops = split(&[one(7, 0, 0), one(3, 0, 0)], Some(&mib(10, 10, 0)), SAMPLING);
    assert_eq!(causes(&drops[0]), [Some(7), Some(0), Some(0), Some(0), Some(7)]);
    assert_eq!(causes(&drops[1]), [Some(3), Some(0), Some(0), Some(0), Some(3)]);
}

#[test]
fn the_counters_are_those_of_the_only_listener_that_dropped() {
    let drops = split(&[one(10, 0, 0), one(0, 0, 0)], Some(&mib(4, 10, 5)), SAMPLING);
    assert_eq!(causes(&drops[0]), [Some(4), Some(0), Some(5), Some(1), Some(10)]);
}

#[test]
fn two_causes_and_two_listeners_are_ambiguous() {
    let drops = split(&[one(6, 0, 0), one(4, 0, 0)], Some(&mib(5, 10, 5)), SAMPLING);
    assert_eq!(causes(&drops[0]), [None, Some(0), None, None, Some(6)]);
}

/// Each lost ACK counts twice in `sk_drops`, once of that as a discard.
#[test]
fn dropped_acks_are_distinguished_from_syns() {
    let drops = split(&[one(19, 8, 8)], Some(&mib(11, 11, 0)), SAMPLING);
    assert_eq!(causes(&drops[0]), [Some(3), Some(8), Some(0), Some(0), Some(11)]);
    assert_eq!(drops[0].discards, Some(8));
    let back = ListenCounters { cookies_back: 1, ..mib(11, 11, 0) };
    let drops = split(&[one(19, 8, 8)], Some(&back), SAMPLING);
    assert_eq!(causes(&drops[0]), [None, None, Some(0), Some(0), Some(11)]);
}

#[test]
fn without_counters_or_discards_most_causes_are_unknown() {
    let blind = Coverage { discards: false, ..SAMPLING };
    let drops = split(&[one(19, 0, 0), one(3, 0, 0)], Some(&mib(11, 11, 0)), blind);
    assert_eq!(causes(&drops[0]), [None; 5]);
    let drops = split(&[one(19, 0, 0)], None, SAMPLING);
    assert_eq!(drops[0].total, Some(19));
    assert_eq!(drops[0].accept_syn, None);
    assert_eq!(drops[0].cookies, None);
    let sums_agree = split(&[one(8, 0, 0), one(3, 0, 0)], Some(&mib(11, 11, 0)), blind);
    assert_eq!(causes(&sums_agree[1]), [Some(3), Some(0), Some(0), Some(0), Some(3)]);
}

#[test]
fn programs_that_see_each_decision_need_no_counters() {
    let coverage = Coverage { syn: true, ack: true, discards: false, ..SAMPLING };
    let mut counted = Counted { sk_drops: 20, ..Counted::default() };
    counted.dropped = [1, 2, 3, 4, 5, 6, 0];
    let drops = split(&[counted], None, coverage);
    assert_eq!(causes(&drops[0]), [Some(2), Some(3), Some(4), Some(1), Some(10)]);
    assert_eq!((drops[0].cookies, drops[0].discards), (Some(5), Some(10)));
}

/// A kernel that counts an ACK more than once without a reason.
#[test]
fn overflows_are_known_without_the_syn_ack_split() {
    let silent = |sk_drops| Counted { knows_ack: false, ..one(sk_drops, 4, 0) };
    let accepts = |ones: &[Counted], mib: &ListenCounters| -> Vec<_> {
        split(ones, Some(mib), SAMPLING).iter().map(|loss| loss.accept).collect()
    };
    // All drops are overflows.
    let drops = split(&[silent(14)], Some(&mib(10, 10, 0)), SAMPLING);
    assert_eq!(drops[0].accept, Some(10));
    assert_eq!(causes(&drops[0]), [None, None, Some(0), Some(0), Some(10)]);
    assert_eq!(accepts(&[silent(14), silent(9)], &mib(15, 15, 0)), [Some(10), Some(5)]);
    // Some are, and only one listener has any.
    assert_eq!(accepts(&[silent(14), one(0, 0, 0)], &mib(7, 10, 3)), [Some(7), Some(0)]);
    // Some are, of two; none is.
    assert_eq!(accepts(&[silent(14), silent(9)], &mib(12, 15, 3)), [None, None]);
    assert_eq!(accepts(&[silent(14), silent(9)], &mib(0, 15, 3)), [Some(0), Some(0)]);
}
