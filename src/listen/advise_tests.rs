use super::super::{ListenerId, Pace};
use super::*;
use crate::wire::Listener;

const SECOND: u64 = 1_000_000_000;
const DROPS: Drops = Drops::NONE;

/// Advice for an interval of a second, of a listener with a backlog of 4.
fn advice_of(numbers: Numbers, syncookies: u32) -> Advice {
    let sysctls =
        Sysctls { somaxconn: 4096, max_syn_backlog: 256, syncookies, abort_on_overflow: false };
    let one = ListenerInterval {
        id: ListenerId { sk: 1, born: 1 },
        listener: Listener::default(),
        sysctls: Some(sysctls),
        holders: None,
        numbers: Numbers { accept_limit: 4, ..numbers },
    };
    let advice = advise(0, SECOND, &one).expect("advice");
    let remedies = advice.text.matches("remedy:").count();
    assert_eq!(remedies, 1, "{}", advice.text);
    advice
}

/// A full accept queue with this many drops; `accept()` takes `accept_ns` while connections wait.
fn full(lost: u64, accepts: Option<u64>, accept_ns: Option<u64>) -> Advice {
    let drops = Drops { accept: Some(lost), total: Some(lost), ..DROPS };
    let pace = accept_ns.map_or_else(Pace::default, |ns| Pace::exactly(ns * 1_000, 1_000));
    let numbers = Numbers { accept_peak: 5, accepts, pace, drops, ..Numbers::default() };
    advice_of(numbers, 1)
}

#[test]
fn idle_time_does_not_make_accept_slow() {
    // Bursts of 40: three found room, which took 10 us each; the rest of the second was idle.
    let advice = full(37, Some(3), Some(10_000));
    assert_eq!(advice.verdict, Some(Diagnosis::ShortQueue));
    assert!(advice.text.contains("the accept queue is too short; 37 dropped"), "{}", advice.text);
    assert!(advice.text.contains("backlog of listen() in the program to 42"), "{}", advice.text);
    assert!(advice.text.contains("holds all of a second in 420µs"), "{}", advice.text);
    assert!(!advice.text.contains("slow"), "{}", advice.text);
}

#[test]
fn a_slow_accept_is_not_told_to_lengthen_the_queue() {
    let advice = full(20, Some(9), Some(100_000_000));
    assert_eq!(advice.verdict, Some(Diagnosis::SlowAccept));
    assert!(!advice.text.contains("raise"), "{}", advice.text);
}

#[test]
fn an_unknown_accept_rate_gives_no_verdict() {
    let advice = full(9, Some(3), None);
    assert_eq!(advice.verdict, None);
    assert!(advice.text.contains("remedy: run with --wait"), "{}", advice.text);
    assert_eq!(full(9, None, None).verdict, None);
    assert_eq!(full(9, Some(0), None).verdict, Some(Diagnosis::NoAccept));
}

#[test]
fn a_moment_without_accept_is_not_its_end() {
    let drops = Drops { accept: Some(9), total: Some(9), ..DROPS };
    let numbers = Numbers { accept_peak: 5, accepts: Some(0), drops, ..Numbers::default() };
    let mut listener = Listener::default();
    let id = ListenerId { sk: 1, born: 1 };
    let mut verdict = |accepted, interval| {
        listener.accepted = accepted;
        let one = ListenerInterval {
            id,
            listener,
            sysctls: None,
            holders: None,
            numbers: numbers.clone(),
        };
        advise(0, interval, &one).and_then(|advice| advice.verdict)
    };
    assert_eq!(verdict(0, SECOND / 10), Some(Diagnosis::NoAccept));
    assert_eq!(verdict(7, SECOND / 10), None);
    assert_eq!(verdict(7, SECOND), Some(Diagnosis::NoAccept));
}

/// Their number grows with the interval, while a queue needs to hold those of a burst.
#[test]
fn drops_of_a_long_interval_are_mostly_retries() {
    let drops = Drops { accept: Some(100_000), total: Some(100_000), ..DROPS };
    let numbers = Numbers {
        accept_peak: 5,
        accept_limit: 4,
        accepts: Some(9_000),
        pace: Pace::exactly(100_000_000, 1_000),
        drops,
        ..Numbers::default()
    };
    let id = ListenerId { sk: 1, born: 1 };
    let one = ListenerInterval {
        id,
        listener: Listener::default(),
        sysctls: None,
        holders: None,
        numbers,
    };
    let verdict = |interval| advise(0, interval, &one).and_then(|advice| advice.verdict);
    assert_eq!(verdict(3600 * SECOND), Some(Diagnosis::ShortQueue));
    assert_eq!(verdict(SECOND), Some(Diagnosis::SlowAccept));
}

#[test]
fn cookies_of_a_full_accept_queue_are_no_flood() {
    let drops = Drops { accept: Some(7), total: Some(7), cookies: Some(30), ..DROPS };
    let numbers = Numbers { accept_peak: 5, accepts: Some(0), drops, ..Numbers::default() };
    let advice = advice_of(numbers, 1);
    assert_eq!(advice.verdict, Some(Diagnosis::NoAccept));
    assert!(!advice.text.contains("flood"), "{}", advice.text);
    // In the next interval only cookies are sent, but the queue is still full.
    let drops = Drops { cookies: Some(30), ..DROPS };
    let numbers = Numbers { accept_peak: 5, accepts: Some(0), drops, ..Numbers::default() };
    assert!(!advice_of(numbers, 1).text.contains("flood"));
}

#[test]
fn a_full_syn_queue_is_a_flood_or_has_cookies_off() {
    let drops = Drops { syn: Some(9), total: Some(9), ..DROPS };
    let advice = advice_of(Numbers { syn_peak: 4, drops, ..Numbers::default() }, 0);
    assert_eq!(advice.verdict, Some(Diagnosis::SynQueue));
    assert!(advice.text.contains("remedy: set net.ipv4.tcp_syncookies = 1"), "{}", advice.text);
    let drops = Drops { cookies: Some(9), ..DROPS };
    let advice = advice_of(Numbers { syn_peak: 4, drops, ..Numbers::default() }, 1);
    assert!(advice.text.contains("flood"), "{}", advice.text);
    let advice = advice_of(Numbers { drops, ..Numbers::default() }, 2);
    assert!(advice.text.contains("remedy: none is needed"), "{}", advice.text);
}

#[test]
fn a_closed_listener_is_the_verdict() {
    let drops = Drops { closed: Some(6), ..DROPS };
    let advice = advice_of(Numbers { drops, ..Numbers::default() }, 1);
    assert_eq!(advice.verdict, Some(Diagnosis::ListenerClosed));
    assert!(advice.text.contains("closed before accept(); 6 dropped"), "{}", advice.text);
}

#[test]
fn other_causes_are_in_the_sentence() {
    let drops = Drops { other: Some(6), total: Some(6), ..DROPS };
    let advice = advice_of(Numbers { drops, ..Numbers::default() }, 1);
    assert_eq!(advice.verdict, Some(Diagnosis::OtherCause));
    assert!(advice.text.contains("other causes 6"), "{}", advice.text);
}
