//! Settings of a namespace by their names.

use crate::settings::Settings;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    PortRange,
    TwReuse,
    Timestamps,
    MaxTwBuckets,
    Somaxconn,
    MaxSynBacklog,
    Syncookies,
    AbortOnOverflow,
    ConntrackMax,
    TcpMem,
}

impl Setting {
    /// `net.ipv4.tcp_tw_reuse = 2`; `None`: unknown.
    pub fn now(self, of: &Settings) -> Option<String> {
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        let long = |value: Option<u64>| value.map(|value| value.to_string());
        let (name, value) = match self {
            Self::PortRange => {
                let range = of.range_first.zip(of.range_last);
                let text = range.map(|(first, last)| format!("{first} {last}"));
                ("net.ipv4.ip_local_port_range", text)
            }
            Self::TwReuse => ("net.ipv4.tcp_tw_reuse", number(of.tw_reuse)),
            Self::Timestamps => ("net.ipv4.tcp_timestamps", number(of.timestamps)),
            Self::MaxTwBuckets => ("net.ipv4.tcp_max_tw_buckets", long(of.max_tw_buckets)),
            Self::Somaxconn => ("net.core.somaxconn", number(of.somaxconn)),
            Self::MaxSynBacklog => ("net.ipv4.tcp_max_syn_backlog", number(of.max_syn_backlog)),
            Self::Syncookies => ("net.ipv4.tcp_syncookies", number(of.syncookies)),
            Self::AbortOnOverflow => {
                let value = of.abort_on_overflow.map(|on| u32::from(on).to_string());
                ("net.ipv4.tcp_abort_on_overflow", value)
            }
            Self::ConntrackMax => ("net.netfilter.nf_conntrack_max", long(of.conntrack_max)),
            Self::TcpMem => {
                let pages = of.tcp_pages_pressure.zip(of.tcp_pages_max);
                let text = pages.map(|(pressure, max)| format!("… {pressure} {max}"));
                ("net.ipv4.tcp_mem", text)
            }
        };
        Some(format!("{name} = {}", value?))
    }
}
