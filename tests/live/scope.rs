//! What a filter or a row stands for: families, addresses, devices and namespaces.

use std::collections::BTreeSet;
use std::net::TcpListener;

use anyhow::{Result, ensure};
use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{AddressFamily, SocketAddrV6, SocketType, bind, listen, socket};

use crate::Test;
use crate::netns::Netns;
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[("wildcard_listeners_serve_families_and_addresses", wildcard)];

const V4: u64 = 7037;
const DUAL: u64 = 7036;
const V6: u64 = 7035;
const ONE: u64 = 7034;

fn wildcard() -> Result<()> {
    let netns = Netns::new("wild")?;
    let _held = netns.within(|| {
        let bound = [("0.0.0.0", V4), ("[::]", DUAL), ("127.0.0.1", ONE)];
        let listeners = bound.map(|(addr, port)| TcpListener::bind(format!("{addr}:{port}")));
        let v6 = socket(AddressFamily::INET6, SocketType::STREAM, None)?;
        set_ipv6_v6only(&v6, true)?;
        bind(&v6, &SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, u16::try_from(V6)?, 0, 0))?;
        listen(&v6, 8)?;
        Ok((listeners.into_iter().collect::<Result<Vec<_>, _>>()?, v6))
    })?;
    for (flags, expected) in [
        ("", vec![V4, DUAL, V6, ONE]),
        ("-4", vec![V4, DUAL, ONE]),
        ("-6", vec![DUAL, V6]),
        ("--laddr 10.77.0.2", vec![V4, DUAL]),
        ("--addr 127.0.0.0/8", vec![V4, DUAL, ONE]),
        ("--laddr fd00::1", vec![DUAL, V6]),
        ("--laddr ::/0", vec![V4, DUAL, V6, ONE]),
        ("--laddr 0.0.0.0", vec![V4]),
        ("--laddr ::", vec![DUAL, V6]),
    ] {
        let expected: BTreeSet<u64> = expected.into_iter().collect();
        for (tool, mode, kind, key) in [
            ("listenoverflow", "--all", "listener", "lport"),
            ("tcpstates", "--summary --by port", "sockets", "lport"),
        ] {
            let arguments = format!("{mode} -i 0.1 -n 1 --netns {} {flags}", netns.path());
            let ended = Tool::start(tool, &arguments)?.wait()?;
            let found: BTreeSet<u64> =
                ended.of_kind(kind)?.iter().map(|row| number(&row[key])).collect();
            ensure!(found == expected, "{tool} {flags}: {found:?} instead of {expected:?}");
        }
    }
    Ok(())
}
