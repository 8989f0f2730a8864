use super::*;
use crate::listen::ListenCounters;

const SAMPLING: Coverage = Coverage {
    syn: false,
    ack: false,
    discards: true,
    accepts: false,
    all_accepts: false,
    children: true,
};

fn entry(born: u64, fill: impl FnOnce(&mut Listener)) -> ListenerEntry {
    let mut listener = Listener::default();
    listener.born = born;
    listener.flow.netns = 1;
    fill(&mut listener);
    ListenerEntry { sk: 7, listener }
}

fn readings(drops: u64) -> BTreeMap<u32, Reading> {
    let mib = ListenCounters { overflows: drops, drops, ..ListenCounters::default() };
    [(1, Reading { before: mib, after: mib, sysctls: None })].into()
}

fn only(interval: &ListenInterval) -> &Numbers {
    assert_eq!(interval.listeners.len(), 1);
    &interval.listeners[0].numbers
}

#[test]
fn drops_before_the_start_are_not_shown() {
    let mut model = Listeners::new(SAMPLING, true);
    model.begin(&[entry(1, |one| one.drops = 50)], &readings(50));
    let interval = model.interval(0, &[entry(1, |one| one.drops = 53)], &[], &readings(53));
    assert_eq!(only(&interval).drops.total, Some(3));
    assert_eq!(only(&interval).drops.accept_syn, Some(3));
    assert_eq!(interval.unexplained, Some(0));
}

#[test]
fn a_reused_listener_address_inherits_nothing() {
    let mut model = Listeners::new(SAMPLING, true);
    model.begin(&[], &readings(0));
    let gone = entry(1, |one| (one.drops, one.flags) = (9, LISTENER_GONE));
    let interval = model.interval(0, &[gone], &[], &readings(9));
    assert_eq!(only(&interval).drops.total, Some(9));
    let next = entry(2, |one| (one.drops, one.drops_before) = (2, 0));
    let interval = model.interval(1, &[next], &[], &readings(11));
    assert_eq!(only(&interval).drops.total, Some(2));
    assert_eq!(interval.unexplained, Some(0));
}

#[test]
fn a_peak_is_that_of_its_interval_or_what_was_there_at_its_ends() {
    let mut model = Listeners::new(SAMPLING, true);
    model.begin(&[entry(1, |_| ())], &readings(0));
    let peak = |model: &mut Listeners, epoch, now, peaks: [u32; 2], epochs| {
        let entry = entry(1, |one| {
            (one.accept_now, one.accept_peak, one.peak_epoch) = (now, peaks, epochs);
        });
        only(&model.interval(epoch, &[entry], &[], &readings(0))).accept_peak
    };
    assert_eq!(peak(&mut model, 2, 3, [40, 99], [2, 1]), 40, "99 was earlier");
    assert_eq!(peak(&mut model, 3, 1, [40, 99], [2, 1]), 3, "nothing was noted");
    assert_eq!(peak(&mut model, 4, 5, [2, 99], [4, 1]), 5, "it is full now");
}

#[test]
fn a_queue_that_was_never_full_is_no_cause() {
    let mut model = Listeners::new(SAMPLING, true);
    model.begin(&[], &BTreeMap::new());
    // The counters of its namespace cannot be read.
    let mut accept = |peak| {
        let entry = entry(1, |one| {
            (one.drops, one.accept_limit, one.accept_peak[0]) = (6, 64, peak);
        });
        model = Listeners::new(SAMPLING, true);
        let drops = only(&model.interval(0, &[entry], &[], &BTreeMap::new())).drops;
        (drops.accept, drops.total)
    };
    assert_eq!(accept(0).0, Some(0));
    assert_eq!(accept(64).0, None);
}

/// A child is in the queue a moment before its handshake counts as done.
#[test]
fn accepts_are_new_connections_minus_queue_growth() {
    let mut model = Listeners::new(SAMPLING, true);
    model.begin(&[entry(1, |one| (one.accept_before, one.accept_now) = (4, 4))], &readings(0));
    let mut accepts = |established, waiting| {
        let entry = entry(1, |one| {
            (one.accept_before, one.established, one.accept_now) = (4, established, waiting);
        });
        only(&model.interval(0, &[entry], &[], &readings(0))).accepts
    };
    assert_eq!(accepts(10, 0), Some(14));
    assert_eq!(accepts(10, 1), Some(0), "one more waits, and is not established yet");
    assert_eq!(accepts(11, 0), Some(1));
}

#[test]
fn waits_are_those_of_the_interval() {
    let mut model = Listeners::new(Coverage { accepts: true, all_accepts: true, ..SAMPLING }, true);
    model.begin(&[entry(1, |_| ())], &readings(0));
    let mut slots = WaitSlots::default();
    let key = WaitKey { sk: 7, born: 1, octave: 3, reserved: 0 };
    for (nth, expected) in [(5, 5), (8, 3), (8, 0)] {
        slots.counts[2] = nth;
        let interval = model.interval(0, &[entry(1, |_| ())], &[(key, slots)], &readings(0));
        let waits = only(&interval).waits.as_ref().map(Histogram::count);
        assert_eq!(waits, Some(expected));
    }
}

#[test]
fn connections_of_a_closed_listener_are_accepted_where_they_moved() {
    let mut model = Listeners::new(SAMPLING, true);
    model.begin(&[], &readings(0));
    let heir = |established, waiting| {
        entry(2, |one| (one.established, one.accept_now) = (established, waiting))
    };
    let old = entry(1, |one| (one.established, one.accept_now) = (6, 5));
    model.interval(0, &[old, heir(5, 5)], &[], &readings(0));
    let gone = entry(1, |one| {
        (one.established, one.accept_now, one.flags) = (6, 5, LISTENER_GONE);
    });
    let mut moved = readings(0);
    let reading = moved.get_mut(&1).unwrap();
    (reading.before.migrated, reading.after.migrated) = (5, 5);
    let interval = model.interval(1, &[gone, heir(5, 10)], &[], &moved);
    let numbers: Vec<_> = interval.listeners.iter().map(|one| &one.numbers).collect();
    assert_eq!(numbers.iter().map(|one| one.accepts).collect::<Vec<_>>(), [Some(0), Some(0)]);
    assert_eq!(numbers.iter().map(|one| one.accept_now).collect::<Vec<_>>(), [0, 10]);
    assert_eq!(numbers[0].drops.lost(), Some(0));
    assert_eq!(only(&model.interval(2, &[heir(5, 0)], &[], &moved)).accepts, Some(10));
}

#[test]
fn drops_where_no_listener_is_known_are_unexplained() {
    let mut model = Listeners::new(SAMPLING, true);
    model.begin(&[], &readings(4));
    assert_eq!(model.interval(0, &[], &[], &readings(40)).unexplained, Some(0), "they may come");
    assert_eq!(model.interval(1, &[], &[], &readings(40)).unexplained, Some(36));
}
