use super::*;

#[test]
fn names_and_values_are_paired_and_gaps_stay_unknown() {
    let mut before = Counters::default();
    before.take("Ip: Forwarding\nIp: 1\nTcp: RtoMax ActiveOpens OutRsts\nTcp: 7 10 3\n");
    let mut now = before;
    now.take("Tcp: ActiveOpens OutRsts\nTcp: 15 3\nUdp: ActiveOpens\nUdp: 99\n");
    let grown = now.since(&before);
    assert_eq!((grown.0[0], grown.0[7], grown.0[8]), (Some(5), Some(0), None));
}

#[test]
fn namespaces_add_up_and_a_fallen_counter_is_a_new_one() {
    let of = |opens: u64| {
        let mut counters = Counters::default();
        counters.take(&format!("Tcp: ActiveOpens OutRsts\nTcp: {opens} 3\n"));
        counters
    };
    let sum = of(4).plus(&Counters::default()).plus(&of(5));
    assert_eq!((sum.0[0], sum.0[7], sum.0[8]), (Some(9), Some(6), None));
    assert!(of(5).follow(&of(4)) && !of(3).follow(&of(4)));
}

#[test]
fn drops_of_all_cpus_are_added_up() {
    assert_eq!(cpu_queue_drops("0000ffff 0000000a 01 00\n00000001 00000001\n"), Some(11));
    assert_eq!(cpu_queue_drops("0000ffff\n"), None, "unknown");
}

#[test]
fn a_namespace_has_a_part_if_something_came_and_there_are_others() {
    let mut counters = Counters::default();
    counters.take("Tcp: ActiveOpens\nTcp: 4\n");
    assert!(!counters.is_nothing() && counters.since(&counters).is_nothing());
    let totals = NetnsTotals { grown: vec![(7, counters)], ..NetnsTotals::default() };
    let extent = |read| Extent { read, closed: 0, only: None };
    let parts = totals.parts((5, 1), &extent(2));
    assert_eq!((parts[0].netns, parts[0].part, parts[0].active_opens), (Some(7), true, Some(4)));
    assert!(totals.parts((5, 1), &extent(1)).is_empty(), "the sum is of it alone");
}

#[test]
fn orphans_are_read() {
    let text = "sockets: used 9\nTCP: inuse 2 orphan 30 tw 7 alloc 3 mem 1\nUDP: inuse 1\n";
    assert_eq!((orphans(text), orphans("UDP: inuse 1\n")), (Some(30), None));
}

#[test]
fn every_key_is_named_after_its_counter() {
    let counters = Counters(std::array::from_fn(|place| Some(place as u64)));
    let extent = Extent::default();
    let record = serde_json::to_value(counters.record((0, 1), &extent)).unwrap();
    for (place, (_, name)) in COUNTERS.iter().enumerate() {
        let mut keys = record.as_object().unwrap().iter();
        let (key, _) = keys
            .find(|(key, value)| {
                let scope = ["netns", "namespaces", "not_entered", "interval_ns", "orphans"];
                **value == place && !scope.contains(&key.as_str())
            })
            .unwrap();
        assert_eq!(key.replace('_', ""), name.to_ascii_lowercase());
    }
}

#[test]
fn intervals_add_up() {
    let of = |opens, ns| Mib { active_opens: opens, interval_ns: Some(ns), ..Mib::default() };
    let sum = of(Some(3), 5).followed_by(of(Some(4), 6));
    assert_eq!((sum.active_opens, sum.interval_ns, sum.out_rsts), (Some(7), Some(11), None));
    assert_eq!(of(None, 1).followed_by(of(Some(4), 6)).active_opens, Some(4));
}
