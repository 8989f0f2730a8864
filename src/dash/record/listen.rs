//! The kinds of line that are about listeners.
#![allow(missing_docs, reason = "fields are the keys that docs/json.md describes")]

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::values::{Key, Ts};

kinds! {
    /// `listen_event`
    ListenEvent {
        pid: Option<u32>,
        comm: Option<Box<str>>,
        cause: Option<Box<str>>,
        queue: Option<u64>,
        limit: Option<u64>,
        count: Option<u64>,
        clients: Option<u64>,
        sampled: bool,
        laddr: Option<IpAddr>,
        lport: Option<u16>,
        raddr: Option<IpAddr>,
        rport: Option<u16>,
        family: Option<u8>,
        netns: Option<u32>,
    }

    /// `listen_client`
    ListenClient {
        raddr: Option<IpAddr>,
        lost: Option<u64>,
        drops_accept_syn: Option<u64>,
        drops_accept_ack: Option<u64>,
        drops_syn: Option<u64>,
        cookies: Option<u64>,
        drops_other: Option<u64>,
        synack_retrans: Option<u64>,
        interval_ns: Option<u64>,
    }

    /// `listener`
    Listener {
        family: Option<u8>,
        netns_name: Option<Box<str>>,
        v6only: Option<bool>,
        listeners: Option<u64>,
        closed: bool,
        accept_peak_sampled: bool,
        syn_peak_sampled: bool,
        discards: Option<u64>,
        waits: Option<u64>,
        abort_on_overflow: Option<bool>,
        laddr: Option<IpAddr>,
        lport: Option<u16>,
        pid: Option<u32>,
        comm: Option<Box<str>>,
        netns: Option<u32>,
        interval_ns: Option<u64>,
        accept_now: Option<u64>,
        accept_peak: Option<u64>,
        accept_limit: Option<u64>,
        syn_now: Option<u64>,
        syn_peak: Option<u64>,
        syn_limit: Option<u64>,
        accepts: Option<u64>,
        drops_accept: Option<u64>,
        drops_accept_syn: Option<u64>,
        drops_accept_ack: Option<u64>,
        drops_syn: Option<u64>,
        cookies: Option<u64>,
        drops_other: Option<u64>,
        drops_total: Option<u64>,
        synack_retrans: Option<u64>,
        wait_p50_ns: Option<u64>,
        wait_p99_ns: Option<u64>,
    }
}

keyed! {
    Listener: pid comm laddr lport netns;
    ListenEvent: pid comm laddr lport netns;
}
