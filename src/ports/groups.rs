//! Rows of `--by`: sums over destinations.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::rows::{DestinationRow, Part, order};
use super::{Ports, PortsBy};
use crate::report::{Comm, Device, pid_inside};
use crate::wire::COMM_LEN;

/// What a row stands for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Process(u32, [u8; COMM_LEN]),
    Addr(Option<IpAddr>, Option<Device>),
    Local(Option<u32>, Option<IpAddr>),
    Netns(Option<u32>),
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.zip(b).map(|(a, b)| a + b)
}

/// Whether each link has such an address of its own.
fn is_link_local(address: Option<IpAddr>) -> bool {
    matches!(address, Some(IpAddr::V6(v6)) if v6.is_unicast_link_local())
}

/// Sums of the rows by what is asked for, the worst first.
pub fn group(rows: &[DestinationRow], by: PortsBy) -> Vec<Ports> {
    let mut groups: BTreeMap<Group, Ports> = BTreeMap::new();
    for one in rows {
        let mut add = |key: Group, row: Ports| {
            let add_up = |sums: &mut Ports| *sums = plus(sums, &row);
            groups.entry(key).and_modify(add_up).or_insert_with(|| row.clone());
        };
        let row = Ports {
            by: Some(by.grouping()),
            destinations: Some(1),
            rport: None,
            ..one.row.clone()
        };
        match by {
            PortsBy::Process => {
                for part in &one.parts {
                    add(Group::Process(part.pid, part.comm), of_process(&row, part));
                }
            }
            PortsBy::Remote => {
                let zone = row.device.filter(|_| is_link_local(row.raddr));
                let key = Group::Addr(row.raddr, zone);
                add(key, Ports { laddr: None, netns: None, device: zone, ..row });
            }
            PortsBy::Local => {
                add(Group::Local(row.netns, row.laddr), Ports { raddr: None, device: None, ..row });
            }
            PortsBy::Netns => add(
                Group::Netns(row.netns),
                Ports {
                    laddr: None,
                    raddr: None,
                    device: None,
                    family: None,
                    pid: None,
                    comm: None,
                    ..row
                },
            ),
        }
    }
    let mut rows: Vec<_> = groups.into_values().collect();
    rows.sort_by_key(order);
    rows
}

/// The part of a process in a row.
fn of_process(row: &Ports, part: &Part) -> Ports {
    let [established, time_wait, others] = part.uses;
    let measured = row.opens.is_some();
    Ports {
        pid: pid_inside(part.pid),
        comm: Comm::of(part.pid, part.comm),
        laddr: None,
        raddr: None,
        device: None,
        family: None,
        netns: None,
        used: Some(established + time_wait + others),
        established,
        time_wait,
        others,
        reusable: None,
        opens: measured.then_some(part.opens),
        no_port: measured.then_some(part.failed),
        freed: None,
        reused: None,
        closed_us: None,
        closed_peer: None,
        ..row.clone()
    }
}

fn plus(a: &Ports, b: &Ports) -> Ports {
    let fuller = if b.share() > a.share() { b } else { a };
    let larger = if b.used > a.used { b } else { a };
    let soonest = a.empty_in_ns.into_iter().chain(b.empty_in_ns).min();
    Ports {
        pid: larger.pid,
        comm: larger.comm.clone(),
        destinations: sum(a.destinations, b.destinations),
        used: sum(a.used, b.used),
        established: a.established + b.established,
        time_wait: a.time_wait + b.time_wait,
        others: a.others + b.others,
        reusable: sum(a.reusable, b.reusable),
        opens: sum(a.opens, b.opens),
        freed: sum(a.freed, b.freed),
        no_port: sum(a.no_port, b.no_port),
        reused: sum(a.reused, b.reused),
        closed_us: sum(a.closed_us, b.closed_us),
        closed_peer: sum(a.closed_peer, b.closed_peer),
        held: fuller.held,
        range_first: fuller.range_first,
        range_last: fuller.range_last,
        ports: fuller.ports,
        taken: fuller.taken,
        empty_in_ns: soonest,
        searches: sum(a.searches, b.searches),
        search_p50_ns: None,
        search_p99_ns: None,
        ..a.clone()
    }
}
