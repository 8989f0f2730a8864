//! Records typed by hand: times are `CLOCK_MONOTONIC` ns, `at(5)` is 5 s after boot.

use super::*;
use crate::tcp_state::TcpState::{
    self, Close, CloseWait, Closing, Established, FinWait2, SynSent, TimeWait,
};
use crate::wire::{DURATION_UNKNOWN, Flow};

const NETNS: u32 = 7;
const MS: u64 = 1_000_000;
const ALL: TimeWaitFilter = TimeWaitFilter { states: 0, from: 0, to: 0, slower: 0 };

fn at(seconds: u64) -> u64 {
    seconds * 1_000_000_000
}

fn flow(lport: u16) -> Flow {
    Flow { lport, rport: 443, netns: NETNS, ..Flow::default() }
}

fn event(ts: u64, lport: u16, old: TcpState, new: TcpState) -> StateEvent {
    StateEvent {
        ts,
        flow: flow(lport),
        pid: 42,
        duration: 5 * MS,
        old_state: old.number(),
        new_state: new.number(),
        ..StateEvent::default()
    }
}

fn closing(ts: u64, lport: u16) -> StateEvent {
    let flags = u8::try_from(STATE_MAY_TIMEWAIT).unwrap();
    StateEvent { flags, ..event(ts, lport, FinWait2, Close) }
}

/// A timewait socket that a poll found at `ktime`; `stamp` is when its state began.
fn entry(ktime: u64, lport: u16, state: TcpState, stamp: impl Into<Option<u64>>) -> SockEntry {
    // As dump_sockets() counts.
    let age = |stamp: u64| (ktime / MS - stamp / MS) * MS;
    SockEntry {
        ktime,
        age: stamp.into().map_or(DURATION_UNKNOWN, age),
        flow: flow(lport),
        state: state.number(),
        timewait: 1,
        ..SockEntry::default()
    }
}

/// A change in short: seconds, port, states, ms in the old state, polled.
type Change = (f64, u16, TcpState, TcpState, Option<u64>, bool);

fn shown(waits: &mut TimeWaits) -> Vec<Change> {
    let mut ready = Vec::new();
    waits.take_ready(&mut ready);
    while waits.take_found(NETNS, 1, &mut ready) {}
    let state = |number| TcpState::from_number(number).unwrap();
    ready
        .iter()
        .map(|Shown { event, polled }| {
            let ms = (event.duration != DURATION_UNKNOWN).then_some(event.duration / MS);
            let seconds = std::time::Duration::from_nanos(event.ts).as_secs_f64();
            let [old, new] = [event.old_state, event.new_state].map(state);
            (seconds, event.flow.lport, old, new, ms, *polled)
        })
        .collect()
}

/// A poll that ends 1 ms after `now` and finds these.
fn poll(waits: &mut TimeWaits, now: u64, entries: &[SockEntry]) -> Vec<Change> {
    waits.begin_look(NETNS);
    for entry in entries {
        waits.see(entry);
    }
    waits.end_look(NETNS, now + MS);
    shown(waits)
}

fn polling(wanted: TimeWaitFilter) -> TimeWaits {
    TimeWaits::new(wanted, true, at(1))
}

#[test]
fn found_sockets_enter_time_wait_and_others_close() {
    let mut waits = polling(ALL);
    waits.take(&closing(at(5), 1));
    waits.take(&closing(at(5) + 1, 2));
    assert_eq!(shown(&mut waits), [], "held back");
    let found = poll(&mut waits, at(6), &[entry(at(6), 1, TimeWait, at(5))]);
    let expected = [
        (5.0, 1, FinWait2, TimeWait, Some(5), true),
        (5.000_000_001, 2, FinWait2, Close, None, false),
    ];
    assert_eq!(found, expected);
    assert_eq!(waits.adjustments(), Adjustments::default());
    assert_eq!(poll(&mut waits, at(7), &[entry(at(7), 1, TimeWait, at(5))]), []);
    let ended = poll(&mut waits, at(65), &[]);
    assert_eq!(ended, [(65.001, 1, TimeWait, Close, Some(60_001), true)]);
    assert_eq!(waits.adjustments(), Adjustments { found: 1, ..Adjustments::default() });
    assert!(waits.namespaces().is_empty(), "nothing is left to poll");
}

#[test]
fn a_poll_ignores_closes_that_arrive_during_it() {
    let mut waits = polling(ALL);
    waits.begin_look(NETNS);
    // It may have closed before the poll began, with its event still in the ring buffer.
    waits.take(&closing(at(5), 1));
    waits.take(&closing(at(5), 2));
    waits.see(&entry(at(6), 2, TimeWait, at(5)));
    waits.end_look(NETNS, at(7));
    assert_eq!(shown(&mut waits), [(5.0, 2, FinWait2, TimeWait, Some(5), true)]);
    assert_eq!(poll(&mut waits, at(8), &[]).len(), 2);
}

#[test]
fn the_owner_is_kept_across_states() {
    let mut waits = polling(ALL);
    let closing = StateEvent { cookie: 9, cgroup: 8, ..closing(at(5), 1) };
    waits.take(&closing);
    let met = [entry(at(6), 1, TimeWait, at(5))];
    waits.begin_look(NETNS);
    waits.see(&met[0]);
    waits.end_look(NETNS, at(6));
    let mut ready = Vec::new();
    while waits.take_found(NETNS, 1, &mut ready) {}
    waits.begin_look(NETNS);
    waits.end_look(NETNS, at(7));
    while waits.take_found(NETNS, 1, &mut ready) {}
    assert_eq!(ready.len(), 2);
    for Shown { event, .. } in ready {
        assert_eq!((event.pid, event.cookie, event.cgroup), (42, 9, 8));
    }
}

#[test]
fn an_orphan_waits_for_the_fin_of_its_peer() {
    let mut waits = polling(ALL);
    for lport in [1, 2, 3] {
        waits.take(&closing(at(5), lport));
    }
    let orphans = [1, 2, 3].map(|lport| entry(at(6), lport, FinWait2, at(5)));
    assert_eq!(poll(&mut waits, at(6), &orphans), [], "no change of state yet");
    let found = poll(
        &mut waits,
        at(7),
        // The peer's FIN came after 1.5 s.
        &[entry(at(7), 1, TimeWait, at(6) + 500 * MS), entry(at(7), 3, FinWait2, at(5))],
    );
    let expected = [
        (6.5, 1, FinWait2, TimeWait, Some(1_505), true),
        (7.001, 2, FinWait2, Close, Some(2_006), true),
    ];
    assert_eq!(found, expected);
    waits.give_up();
    assert_eq!(waits.adjustments(), Adjustments { void: 1, ..Adjustments::default() });
    let left = poll(&mut waits, at(8), &[]);
    assert_eq!(left, [(8.001, 1, TimeWait, Close, Some(1_501), true)]);
}

#[test]
fn without_a_timestamp_the_poll_time_is_used() {
    let mut waits = polling(ALL);
    waits.take(&closing(at(5), 1));
    let found = poll(&mut waits, at(6), &[entry(at(6), 1, TimeWait, None)]);
    assert_eq!(found, [(6.0, 1, FinWait2, TimeWait, Some(1_005), true)]);
}

#[test]
fn older_timewait_sockets_are_shown_when_they_end() {
    let old = [entry(at(1), 1, TimeWait, at(0)), entry(at(1), 2, FinWait2, at(0))];
    let unknown = entry(at(1), 3, TimeWait, None);
    let mut waits = polling(ALL);
    assert!(waits.wants_older());
    assert_eq!(poll(&mut waits, at(1), &[old[0], old[1], unknown]), []);
    let found = poll(&mut waits, at(2), &[entry(at(2), 2, TimeWait, at(1) + 500 * MS)]);
    let expected =
        [(1.5, 2, FinWait2, TimeWait, None, true), (2.001, 1, TimeWait, Close, Some(2_001), true)];
    assert_eq!(found, expected);
    assert_eq!(waits.adjustments(), Adjustments { found: 2, ..Adjustments::default() });

    let mut owned = TimeWaits::new(ALL, true, 0);
    assert!(!owned.wants_older());
    poll(&mut owned, at(1), &old);
    assert_eq!(poll(&mut owned, at(2), &[]), [], "their owner is unknown");
}

#[test]
fn timewait_without_seen_start_is_ignored_later() {
    let mut waits = polling(ALL);
    waits.take(&closing(at(5), 1));
    poll(&mut waits, at(6), &[entry(at(6), 1, TimeWait, at(5))]);
    // The event of the second was lost or filtered.
    let both = [entry(at(7), 1, TimeWait, at(5)), entry(at(7), 2, TimeWait, at(6))];
    assert_eq!(poll(&mut waits, at(7), &both), []);
    assert_eq!(poll(&mut waits, at(8), &both[..1]), []);
    // The same for one that replaced the first.
    let ended = poll(&mut waits, at(9), &[entry(at(9), 1, TimeWait, at(8) + 500 * MS)]);
    assert_eq!(ended, [(9.001, 1, TimeWait, Close, Some(4_001), true)]);
    assert_eq!(poll(&mut waits, at(10), &[]), []);
}

#[test]
fn a_new_connection_of_the_same_endpoints_ends_time_wait() {
    let mut waits = polling(ALL);
    waits.take(&closing(at(5), 1));
    poll(&mut waits, at(6), &[entry(at(6), 1, TimeWait, at(5))]);
    // A connect may still be refused these ports.
    waits.take(&event(at(6), 1, Close, SynSent));
    assert_eq!(shown(&mut waits), [(6.0, 1, Close, SynSent, Some(5), false)]);
    waits.take(&event(at(6) + 7 * MS, 1, SynSent, Established));
    let expected = [
        (6.002, 1, TimeWait, Close, Some(1_002), true),
        (6.007, 1, SynSent, Established, Some(5), false),
    ];
    assert_eq!(shown(&mut waits), expected);
    assert!(poll(&mut waits, at(7), &[]).is_empty(), "reported once");
}

#[test]
fn a_second_close_resolves_the_first() {
    let mut waits = polling(ALL);
    waits.take(&closing(at(5), 1));
    waits.take(&closing(at(5) + 500 * MS, 1));
    assert_eq!(shown(&mut waits), [(5.0, 1, FinWait2, Close, None, false)]);
    let found = poll(&mut waits, at(6), &[entry(at(6), 1, TimeWait, at(5) + 500 * MS)]);
    assert_eq!(found, [(5.5, 1, FinWait2, TimeWait, Some(5), true)]);
    waits.take(&closing(at(6) + 500 * MS, 1));
    assert_eq!(shown(&mut waits), [(6.495, 1, TimeWait, Close, Some(995), true)]);
}

/// A filter, what passes, and how much does not.
type Case = (TimeWaitFilter, &'static [(TcpState, TcpState)], u64);

#[test]
fn filters_apply_to_the_outcome() {
    let only = |state: TcpState| TimeWaitFilter { states: 1 << state.number(), ..ALL };
    let from = |state: TcpState| TimeWaitFilter { from: 1 << state.number(), ..ALL };
    let to = |state: TcpState| TimeWaitFilter { to: 1 << state.number(), ..ALL };
    let slower = TimeWaitFilter { slower: at(1), ..ALL };
    let cases: [Case; 11] = [
        (from(TimeWait), &[(TimeWait, Close)], 2),
        (from(FinWait2), &[(FinWait2, TimeWait), (FinWait2, Close)], 0),
        (to(TimeWait), &[(FinWait2, TimeWait)], 1),
        (to(Close), &[(FinWait2, Close), (TimeWait, Close)], 1),
        (only(TimeWait), &[(FinWait2, TimeWait), (TimeWait, Close)], 1),
        (only(Close), &[(FinWait2, Close), (TimeWait, Close)], 1),
        (only(FinWait2), &[(FinWait2, TimeWait), (FinWait2, Close)], 0),
        (only(Closing), &[], 2),
        (slower, &[(TimeWait, Close)], 2),
        (TimeWaitFilter { slower: at(1_000), ..ALL }, &[], 3),
        (ALL, &[(FinWait2, TimeWait), (FinWait2, Close), (TimeWait, Close)], 0),
    ];
    for (wanted, expected, filtered) in cases {
        let mut waits = polling(wanted);
        waits.take(&closing(at(5), 1));
        waits.take(&closing(at(5), 2));
        let mut found = poll(&mut waits, at(6), &[entry(at(6), 1, TimeWait, at(5))]);
        found.extend(poll(&mut waits, at(66), &[]));
        let mut steps: Vec<_> = found.iter().map(|&(_, _, old, new, ..)| (old, new)).collect();
        steps.sort_unstable_by_key(|step| (step.0 == TimeWait, step.1 == Close));
        assert_eq!(steps, expected, "{wanted:?}");
        assert_eq!(waits.adjustments().filtered, filtered, "{wanted:?}");
    }
}

#[test]
fn nothing_is_held_without_polling() {
    let out_of_reach = TimeWaitFilter { states: 1 << CloseWait.number(), ..ALL };
    for (wanted, polls) in [(ALL, false), (out_of_reach, true)] {
        let mut waits = TimeWaits::new(wanted, polls, at(1));
        waits.take(&closing(at(5), 1));
        let adjustments = waits.adjustments();
        assert_eq!(shown(&mut waits).len() as u64 + adjustments.filtered, 1, "{wanted:?}");
        assert!(waits.namespaces().is_empty() && !waits.wants_older());
    }
}

#[test]
fn in_a_removed_namespace_lines_show_close() {
    let mut waits = polling(ALL);
    waits.take(&closing(at(5), 1));
    poll(&mut waits, at(6), &[entry(at(6), 1, TimeWait, at(5))]);
    waits.take(&closing(at(6), 2));
    waits.begin_look(NETNS);
    waits.skip_namespace(NETNS);
    assert_eq!(shown(&mut waits), [(6.0, 2, FinWait2, Close, None, false)]);
    assert!(waits.namespaces().is_empty());
    assert_eq!((waits.size, waits.adjustments()), (0, Adjustments::default()));
}

#[test]
fn a_full_table_shows_close_and_counts_untracked() {
    let mut waits = polling(ALL);
    waits.room = 2;
    for lport in 1..=3 {
        waits.take(&closing(at(5), lport));
    }
    assert_eq!(shown(&mut waits), [(5.0, 3, FinWait2, Close, None, false)]);
    assert_eq!(waits.adjustments(), Adjustments { untracked: 1, ..Adjustments::default() });
    poll(&mut waits, at(6), &[entry(at(6), 1, TimeWait, at(5))]);
    assert_eq!(waits.size, 1);
    waits.take(&closing(at(7), 4));
    assert_eq!(shown(&mut waits), [], "there is room again");
    assert_eq!(poll(&mut waits, at(8), &[]).len(), 2);
    assert_eq!(waits.size, 0);
}
