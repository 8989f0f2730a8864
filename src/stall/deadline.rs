//! When the kernel gives a silent peer up, and with which attempt.

use super::judge::{is_gone, is_probed};
use crate::wire::{CONN_ORPHAN, ConnEntry, DURATION_UNKNOWN};

/// `TCP_RTO_MIN` of the kernel's `tcp.h`, ns: it counts from there, whatever the timeout is.
const RTO_MIN: u64 = 200_000_000;
/// No kernel tries more often.
const MOST: u32 = 512;

/// Attempts without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadline {
    /// Made so far.
    pub attempt: u32,
    /// After which the kernel gives up; `None`: unknown.
    pub attempts: Option<u32>,
    /// ns until then.
    pub dies_in: Option<u64>,
}

/// Attempts of a connection whose peer does not answer; `None`: it does.
pub fn deadline(conn: &ConnEntry, tick_ns: u64) -> Option<Deadline> {
    let known = u32::from(conn.flags) & CONN_ORPHAN == 0 && conn.timer != DURATION_UNKNOWN;
    if is_probed(conn) {
        let (attempt, attempts) = (conn.probes.into(), u32::from(conn.keepalive_probes));
        let left = u64::from(attempts.saturating_sub(attempt));
        let dies = conn.timer.saturating_add(left * conn.keepalive_interval);
        let known = known && conn.user_timeout == 0;
        return Some(Deadline {
            attempt,
            attempts: known.then_some(attempts),
            dies_in: known.then_some(dies),
        });
    }
    let resent = conn.packets_out > 0 && conn.retransmits > 0;
    if !resent && !is_gone(conn, tick_ns) {
        return None;
    }
    let attempt = u32::from(if resent { conn.retransmits } else { conn.probes });
    let end = match (known, resent) {
        (false, _) => None,
        (_, true) => of_retransmits(conn),
        _ => of_probes(conn),
    };
    Some(Deadline {
        attempt,
        attempts: end.map(|(attempts, _)| attempts),
        dies_in: end.map(|(_, dies)| dies),
    })
}

/// `tcp_model_timeout()`: how long `retries` timeouts take if the first is the shortest there is.
fn modelled(retries: u32, longest: u64) -> u64 {
    let doubling = (longest / RTO_MIN).max(1).ilog2();
    if retries <= doubling {
        return ((2_u64 << retries) - 1) * RTO_MIN;
    }
    ((2_u64 << doubling) - 1) * RTO_MIN + u64::from(retries - doubling) * longest
}

/// `retransmits_timed_out()`: as a timer expires, the time since the first retransmit decides.
fn of_retransmits(conn: &ConnEntry) -> Option<(u32, u64)> {
    if conn.resent == DURATION_UNKNOWN {
        return None;
    }
    let limit = match conn.user_timeout {
        0 => modelled(conn.retries.into(), conn.rto_max),
        ms => u64::from(ms) * 1_000_000,
    };
    if conn.user_timeout != 0 {
        // Timers are cut so that the last one expires then.
        let left = limit.saturating_sub(conn.resent);
        return Some((attempts_in(conn, left), left.max(conn.timer)));
    }
    let (mut at, mut timeout) = (conn.timer, conn.rto);
    for attempts in u32::from(conn.retransmits)..MOST {
        if conn.resent.saturating_add(at) >= limit {
            return Some((attempts, at));
        }
        timeout = timeout.saturating_mul(2).min(conn.rto_max);
        at = at.saturating_add(timeout);
    }
    None
}

/// The last attempt within `left` ns.
fn attempts_in(conn: &ConnEntry, left: u64) -> u32 {
    let (mut at, mut timeout, mut attempts) = (conn.timer, conn.rto, conn.retransmits.into());
    while at < left && attempts < MOST {
        attempts += 1;
        timeout = timeout.saturating_mul(2).min(conn.rto_max);
        at = at.saturating_add(timeout);
    }
    attempts
}

/// `tcp_probe_timer()`: as a timer expires, the number of probes decides.
fn of_probes(conn: &ConnEntry) -> Option<(u32, u64)> {
    if conn.user_timeout != 0 {
        return None;
    }
    let attempts = u32::from(conn.retries);
    let base = conn.rto.max(RTO_MIN);
    let (mut at, mut backoff) = (conn.timer, u32::from(conn.backoff));
    for _ in u32::from(conn.probes)..attempts {
        backoff = (backoff + 1).min(attempts);
        let when = u128::from(base) << backoff.min(64);
        at = at.saturating_add(u64::try_from(when).unwrap_or(u64::MAX).min(conn.rto_max));
    }
    Some((attempts, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;

    /// Just sent again for the `nth` time, with the shortest timeout.
    fn resent(nth: u8) -> ConnEntry {
        let rto = (RTO_MIN << nth).min(120 * SECOND);
        ConnEntry {
            packets_out: 1,
            retransmits: nth,
            retries: 15,
            rto,
            timer: rto,
            rto_max: 120 * SECOND,
            heard: u64::MAX,
            ..ConnEntry::default()
        }
    }

    #[test]
    fn the_model_is_that_of_the_kernel_documentation() {
        // ip-sysctl: 15 is 924.6 s.
        assert_eq!(modelled(15, 120 * SECOND), 924_600 * MS);
        assert_eq!(modelled(2, 120 * SECOND), 1400 * MS);
    }

    #[test]
    fn fifteen_retransmits_and_the_time_they_take() {
        let first = deadline(&resent(1), 0).unwrap();
        assert_eq!((first.attempt, first.attempts), (1, Some(16)));
        // The time of the first timeout is not part of what the kernel counts.
        let died = first.dies_in.unwrap();
        assert!((924 * SECOND..1045 * SECOND).contains(&died), "{died}");
        let two = ConnEntry { retries: 2, ..resent(1) };
        // After 400 ms 800 ms are over, after 800 ms more the 1.4 s.
        assert_eq!(
            deadline(&two, 0),
            Some(Deadline { attempt: 1, attempts: Some(3), dies_in: Some(2800 * MS) })
        );
    }

    #[test]
    fn a_timeout_of_the_process_comes_first() {
        let conn = ConnEntry { user_timeout: 3000, resent: 600 * MS, ..resent(2) };
        let dead = deadline(&conn, 0).unwrap();
        assert_eq!(dead.dies_in, Some(2400 * MS));
        let late = ConnEntry { user_timeout: 700, ..conn };
        assert_eq!(deadline(&late, 0).unwrap().dies_in, Some(conn.timer));
    }

    #[test]
    fn probes_of_a_closed_window_and_of_an_idle_connection() {
        let probed = ConnEntry {
            unsent: 9,
            probes: 2,
            retries: 4,
            backoff: 2,
            rto: RTO_MIN,
            rto_max: SECOND,
            timer: 100 * MS,
            ..ConnEntry::default()
        };
        // Then in 1 s, no longer in 1.6 s or 3.2 s.
        let expected = Deadline { attempt: 2, attempts: Some(4), dies_in: Some(2100 * MS) };
        assert_eq!(deadline(&probed, 0), Some(expected));
        assert_eq!(deadline(&ConnEntry { probes: 1, ..probed }, 0), None, "it may be answered");
        let keepalive = ConnEntry {
            unsent: 0,
            keepalive_probes: 9,
            keepalive_interval: 75 * SECOND,
            timer: 5 * SECOND,
            ..probed
        };
        let expected = Deadline { attempt: 2, attempts: Some(9), dies_in: Some(530 * SECOND) };
        assert_eq!(deadline(&keepalive, 0), Some(expected));
    }

    #[test]
    fn what_no_process_has_open_ends_by_other_rules() {
        let orphan = ConnEntry { flags: u8::try_from(CONN_ORPHAN).unwrap(), ..resent(3) };
        let unknown = Deadline { attempt: 3, attempts: None, dies_in: None };
        assert_eq!(deadline(&orphan, 0), Some(unknown));
    }
}
