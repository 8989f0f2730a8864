use super::super::{ListenerId, Numbers};
use super::*;
use crate::hist::Histogram;
use crate::wire::Listener;

const SECOND: u64 = 1_000_000_000;

/// A queue of 4 with this many drops in a second; others were accepted after these waits.
fn diagnose(lost: u64, accepts: Option<u64>, waits: Option<&[u64]>) -> Option<Diagnosis> {
    let waits = waits.map(|all| {
        let mut hist = Histogram::default();
        for &ns in all {
            hist.record(ns);
        }
        hist
    });
    let drops = Drops { accept: Some(lost), total: Some(lost), ..Drops::default() };
    let numbers =
        Numbers { accept_peak: 5, accept_limit: 4, accepts, drops, waits, ..Numbers::default() };
    let one = ListenerInterval {
        id: ListenerId { sk: 1, born: 1 },
        listener: Listener::default(),
        sysctls: None,
        numbers,
    };
    advise(0, SECOND, &one)?.verdict
}

#[test]
fn a_queue_is_short_or_accept_is_slow() {
    use Diagnosis::{NoAccept, ShortQueue, SlowAccept};
    assert_eq!(diagnose(9, None, None), None);
    assert_eq!(diagnose(9, Some(0), None), Some(NoAccept));
    // 107 at 10,000 a second take 11 ms; 105 at 100 a second more than one.
    assert_eq!(diagnose(102, Some(10_000), None), Some(ShortQueue));
    assert_eq!(diagnose(100, Some(100), None), Some(SlowAccept));
    // Five at 10,000 a second take 500 us.
    assert_eq!(diagnose(102, Some(10_000), Some(&[1_000, 2_000, 600_000])), Some(ShortQueue));
    assert_eq!(diagnose(102, Some(10_000), Some(&[1_000, 400_000, 500_000])), Some(SlowAccept));
    assert_eq!(diagnose(0, Some(10_000), None), None);
}
