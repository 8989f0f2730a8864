//! A filter in user space, for recorded or already read rows.

use std::net::IpAddr;

use super::{Family, Filter, Network, family_of, is_wildcard};
use crate::report::Key;

/// Whether a row is one of those asked for. What is not known passes no filter that asks for it, as
/// in the programs.
pub fn passes(filter: &Filter, row: &Key) -> bool {
    passes_owner(filter, row) && passes_ends(filter, row, &[])
}

/// The same for a listener, which at the wildcard address takes connections to any; `v6only`: no
/// IPv4 at `::`.
pub fn passes_listener(filter: &Filter, row: &Key, v6only: bool) -> bool {
    let wildcard: &[Family] = match row.laddr.map(|addr| addr.to_canonical()) {
        Some(IpAddr::V4(addr)) if addr.is_unspecified() => &[Family::V4],
        Some(IpAddr::V6(addr)) if addr.is_unspecified() && v6only => &[Family::V6],
        Some(IpAddr::V6(addr)) if addr.is_unspecified() => &[Family::V4, Family::V6],
        _ => &[],
    };
    passes_owner(filter, row) && passes_ends(filter, row, wildcard)
}

/// Whether its owner is one of those asked for.
pub fn passes_owner(filter: &Filter, row: &Key) -> bool {
    let cgroup = filter.cgroup.as_ref().and_then(|cgroup| cgroup.path.to_str());
    (filter.pids.is_empty() || row.pid.is_some_and(|pid| filter.pids.contains(&pid)))
        && filter
            .comm
            .as_ref()
            .is_none_or(|glob| row.comm.as_ref().is_some_and(|comm| glob.matches(comm.as_bytes())))
        && cgroup.is_none_or(|top| row.cgroup.as_deref().is_some_and(|path| is_below(path, top)))
}

fn passes_ends(filter: &Filter, row: &Key, wildcard: &[Family]) -> bool {
    let port = |list: &[std::ops::RangeInclusive<u16>], ports: [Option<u16>; 2]| {
        list.is_empty() || ports.iter().flatten().any(|p| list.iter().any(|r| r.contains(p)))
    };
    let net = |list: &[Network], addrs: [Option<IpAddr>; 2]| {
        list.is_empty()
            || addrs.iter().flatten().any(|addr| {
                list.iter().any(|one| one.net.contains(&mapped(*addr)) && on_device(one, row))
            })
    };
    let served = |list: &[Network]| {
        let serves = |one: &Network| match family_of(one.net) {
            _ if is_wildcard(one.net) || !on_device(one, row) => false,
            Some(family) => wildcard.contains(&family),
            None => !wildcard.is_empty(),
        };
        list.iter().any(serves)
    };
    port(&filter.lports, [row.lport, None])
        && port(&filter.rports, [row.rport, None])
        && port(&filter.ports, [row.lport, row.rport])
        && (net(&filter.laddrs, [row.laddr, None]) || served(&filter.laddrs))
        && net(&filter.raddrs, [row.raddr, None])
        && (net(&filter.addrs, [row.laddr, row.raddr]) || served(&filter.addrs))
        && filter
            .family
            .is_none_or(|family| family_of_row(row) == Some(family) || wildcard.contains(&family))
        && filter.netns.as_ref().is_none_or(|netns| row.netns == Some(netns.inode))
}

/// IPv4 as the IPv6 addresses that networks of a filter are made of.
fn mapped(addr: IpAddr) -> std::net::Ipv6Addr {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn on_device(network: &Network, row: &Key) -> bool {
    network.device.is_none() || network.device == row.device
}

fn family_of_row(row: &Key) -> Option<Family> {
    let addr = row.laddr.or(row.raddr)?.to_canonical();
    Some(if addr.is_ipv4() { Family::V4 } else { Family::V6 })
}

fn is_below(path: &str, top: &str) -> bool {
    let rest = path.strip_prefix(top.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::NetnsChoice;
    use super::*;
    use crate::report::Comm;

    fn row() -> Key {
        Key {
            pid: Some(7),
            comm: Some(Comm::from("nginx")),
            laddr: Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3))),
            lport: Some(443),
            raddr: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
            rport: Some(50_000),
            device: None,
            netns: Some(1),
            cgroup: Some("/system.slice/nginx.service".into()),
        }
    }

    #[test]
    fn all_filters_must_match_and_unknown_values_match_none() {
        let nets = |net: &str| vec![crate::cli::parse::network(net).unwrap()];
        let base = Filter::default;
        for (filter, expected) in vec![
            (base(), true),
            (Filter { pids: vec![1, 7], ..base() }, true),
            (Filter { pids: vec![1], ..base() }, false),
            (Filter { comm: Some("ngin?".parse().unwrap()), ..base() }, true),
            (Filter { lports: vec![400..=500], ..base() }, true),
            (Filter { rports: vec![400..=500], ..base() }, false),
            (Filter { ports: vec![50_000..=50_000], ..base() }, true),
            (Filter { laddrs: nets("10.0.0.0/8"), ..base() }, true),
            (Filter { raddrs: nets("10.0.0.0/8"), ..base() }, false),
            (Filter { addrs: nets("192.0.2.1"), ..base() }, true),
            (Filter { family: Some(Family::V4), ..base() }, true),
            (Filter { family: Some(Family::V6), ..base() }, false),
            (Filter { netns: Some(NetnsChoice { inode: 2, path: None }), ..base() }, false),
        ] {
            assert_eq!(passes(&filter, &row()), expected, "{filter:?}");
            let asks = filter.by_owner() || filter.by_ends();
            assert_eq!(passes(&filter, &Key::default()), !asks, "{filter:?}");
        }
        let v6 = Key { laddr: Some("::1".parse().unwrap()), ..Key::default() };
        assert!(passes(&Filter { family: Some(Family::V6), ..base() }, &v6));
    }

    #[test]
    fn a_wildcard_listener_serves_the_addresses_of_its_families() {
        let net = |net: &str| vec![crate::cli::parse::network(net).unwrap()];
        let base = Filter::default;
        for (filter, [v4, dual, v6]) in [
            (Filter { family: Some(Family::V4), ..base() }, [true, true, false]),
            (Filter { family: Some(Family::V6), ..base() }, [false, true, true]),
            (Filter { laddrs: net("10.77.0.2"), ..base() }, [true, true, false]),
            (Filter { addrs: net("fd00::/8"), ..base() }, [false, true, true]),
            (Filter { laddrs: net("::/0"), ..base() }, [true, true, true]),
            (Filter { laddrs: net("0.0.0.0"), ..base() }, [true, false, false]),
            (Filter { laddrs: net("::"), ..base() }, [false, true, true]),
            (Filter { raddrs: net("10.77.0.2"), ..base() }, [false, false, false]),
        ] {
            let listener = |addr: &str, v6only| {
                let key = Key { laddr: Some(addr.parse().unwrap()), ..Key::default() };
                passes_listener(&filter, &key, v6only)
            };
            let found = [listener("0.0.0.0", false), listener("::", false), listener("::", true)];
            assert_eq!(found, [v4, dual, v6], "{filter:?}");
            assert!(!listener("192.0.2.9", false) || found[0], "{filter:?}");
        }
    }

    #[test]
    fn a_cgroup_includes_its_descendants() {
        assert!(is_below("/a/b", "/a") && is_below("/a", "/a") && is_below("/a/b", "/"));
        assert!(!is_below("/ab", "/a") && !is_below("/", "/a"));
    }
}
