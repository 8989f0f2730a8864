//! Settings that are risky as they are, and tables that are nearly full: seen at a glance.

use super::{Finding, Rule, Scope, Setting, Severity};
use crate::model::Model;
use crate::report::Key;
use crate::settings::Settings;

const TOPIC: &str = "settings and tables";
/// A range with fewer ports is narrow: the default has 28,232.
const FEW_PORTS: u64 = 10_000;
/// Of a table in use, in hundredths.
const NEARLY: u64 = 90;
/// The default before 5.4.
const SHORT_QUEUE: u32 = 128;

pub static SYNCOOKIES_OFF: Rule = Rule {
    id: "syncookies-off",
    topic: TOPIC,
    severity: Severity::Remark,
    scope: Scope::Netns,
    title: "SYN cookies are off",
    why: "with net.ipv4.tcp_syncookies = 0 a full SYN queue drops SYNs: a flood, or many slow clients, lock all \
          others out",
    remedy: "sysctl -w net.ipv4.tcp_syncookies=1",
    effect: "a full SYN queue answers with cookies, and clients connect",
    verify: "sysctl net.ipv4.tcp_syncookies",
    settings: &[Setting::Syncookies],
    needs: "settings of a namespace",
    look: |rule, model| {
        judge(rule, model, |row| {
            let off = row.syncookies? == 0;
            Some(
                off.then(|| {
                    "SYN cookies are off: a full SYN queue drops all further SYNs".to_owned()
                }),
            )
        })
    },
};

pub static ABORT_ON_OVERFLOW: Rule = Rule {
    id: "abort-on-overflow",
    topic: TOPIC,
    severity: Severity::Remark,
    scope: Scope::Netns,
    title: "A full accept queue resets clients",
    why: "with net.ipv4.tcp_abort_on_overflow = 1 a client whose final ACK finds the accept queue full gets a RST \
          (connection reset by peer) where a retransmission would have succeeded a second later",
    remedy: "sysctl -w net.ipv4.tcp_abort_on_overflow=0",
    effect: "short peaks cost clients a second and no error",
    verify: "sysctl net.ipv4.tcp_abort_on_overflow",
    settings: &[Setting::AbortOnOverflow],
    needs: "settings of a namespace",
    look: |rule, model| {
        judge(rule, model, |row| {
            let text = || {
                "clients are reset when an accept queue is full (tcp_abort_on_overflow)".to_owned()
            };
            Some(row.abort_on_overflow?.then(text))
        })
    },
};

pub static TW_REUSE_WITHOUT_TIMESTAMPS: Rule = Rule {
    id: "tw-reuse-without-timestamps",
    topic: TOPIC,
    severity: Severity::Remark,
    scope: Scope::Netns,
    title: "tcp_tw_reuse has no effect: timestamps are off",
    why: "connect() takes a port from TIME_WAIT only if timestamps tell the old connection's segments from the \
          new one's",
    remedy: "sysctl -w net.ipv4.tcp_timestamps=1",
    effect: "ports in TIME_WAIT are used again after a second",
    verify: "tcpports: REUSABLE grows with TIME_WAIT",
    settings: &[Setting::TwReuse, Setting::Timestamps],
    needs: "settings of a namespace",
    look: |rule, model| {
        judge(rule, model, |row| {
            // The default, 2, is for loopback alone.
            let vain = row.tw_reuse? == 1 && row.timestamps? == 0;
            Some(vain.then(|| {
                "tcp_tw_reuse is on, and without tcp_timestamps it has no effect".to_owned()
            }))
        })
    },
};

pub static TW_RECYCLE: Rule = Rule {
    id: "tw-recycle",
    topic: TOPIC,
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "tcp_tw_recycle drops SYNs of clients behind NAT",
    why: "it compares the timestamps of all clients of an address, which are different machines behind a NAT; \
          Linux 4.12 has removed it",
    remedy: "sysctl -w net.ipv4.tcp_tw_recycle=0",
    effect: "clients behind NAT connect at once",
    verify: "nstat TcpExtPAWSPassive does not grow",
    settings: &[],
    needs: "settings of a namespace",
    look: |rule, model| {
        judge(rule, model, |row| {
            // Where the kernel does not have it, it is off.
            let text = || "tcp_tw_recycle is on: SYNs of clients behind NAT are dropped".to_owned();
            row.syncookies?;
            Some((row.tw_recycle.unwrap_or(0) != 0).then(text))
        })
    },
};

pub static PORT_RANGE_NARROW: Rule = Rule {
    id: "port-range-narrow",
    topic: TOPIC,
    severity: Severity::Remark,
    scope: Scope::Netns,
    title: "The range of local ports is narrow",
    why: "each connection to the same address and port needs a port of net.ipv4.ip_local_port_range; the default \
          has 28,232",
    remedy: "sysctl -w net.ipv4.ip_local_port_range='32768 60999', and fewer ip_local_reserved_ports",
    effect: "more connections to one destination at a time",
    verify: "tcpports --all: PORTS",
    settings: &[Setting::PortRange],
    needs: "settings of a namespace",
    look: |rule, model| {
        judge(rule, model, |row| {
            let ports = row.ports?;
            let text = || format!("the kernel chooses local ports from {ports} only");
            Some((ports < FEW_PORTS).then(text))
        })
    },
};

pub static SOMAXCONN_SHORT: Rule = Rule {
    id: "somaxconn-short",
    topic: TOPIC,
    severity: Severity::Remark,
    scope: Scope::Netns,
    title: "net.core.somaxconn cuts the backlog of listeners",
    why: "the accept queue holds min(backlog, net.core.somaxconn) connections, whatever listen() asks for; a \
          listener is at that bound, which was the default before Linux 5.4",
    remedy: "sysctl -w net.core.somaxconn=4096, then restart the programs: listen() reads it",
    effect: "peaks fit into the queue",
    verify: "ss -tln: Send-Q of the listener",
    settings: &[Setting::Somaxconn],
    needs: "settings of a namespace",
    look: |rule, model| {
        judge(rule, model, |row| {
            let most = row.somaxconn?;
            let cut = |limit: Option<u64>| limit.is_some_and(|limit| limit >= most.into());
            let mut listeners = model.listeners.rows().filter(|one| one.netns == row.netns);
            let short = most <= SHORT_QUEUE && listeners.any(|one| cut(one.accept_limit));
            Some(
                short.then(|| format!("accept queues hold {most} connections at most (somaxconn)")),
            )
        })
    },
};

pub static CONNTRACK_FULL: Rule = Rule {
    id: "conntrack-full",
    topic: TOPIC,
    severity: Severity::Bad,
    scope: Scope::Netns,
    title: "The table of tracked connections is full, or nearly",
    why: "netfilter drops packets of new connections when nf_conntrack_max are tracked (kernel log: nf_conntrack: \
          table full, dropping packet)",
    remedy: "raise net.netfilter.nf_conntrack_max, shorten net.netfilter.nf_conntrack_tcp_timeout_established \
             (5 days by default), or do not track what needs no NAT (nft: notrack)",
    effect: "new connections are no longer dropped",
    verify: "sysctl net.netfilter.nf_conntrack_count against nf_conntrack_max",
    settings: &[Setting::ConntrackMax],
    needs: "nf_conntrack_count and nf_conntrack_max",
    look: conntrack,
};

pub static TCP_MEMORY: Rule = Rule {
    id: "tcp-memory",
    topic: TOPIC,
    severity: Severity::Bad,
    scope: Scope::Machine,
    title: "TCP is short of memory",
    why: "the buffers of all sockets take more pages than the second number of net.ipv4.tcp_mem: windows shrink and \
          queues are pruned; above the third number the kernel drops segments and resets orphans",
    remedy: "find the sockets with full buffers (ss -tm, Recv-Q of programs that do not read); raise \
             net.ipv4.tcp_mem only if the machine has the memory",
    effect: "transfers get their windows back",
    verify: "/proc/net/sockstat: mem; nstat TcpExtTCPMemoryPressures does not grow",
    settings: &[Setting::TcpMem],
    needs: "net.ipv4.tcp_mem and /proc/net/sockstat",
    look: memory,
};

/// Judges the settings of each namespace: `None` is unknown, `Some(None)` is well.
#[allow(clippy::option_option, reason = "known, and found")]
fn judge(
    rule: &'static Rule,
    model: &Model,
    wrong: impl Fn(&Settings) -> Option<Option<String>>,
) -> Option<Vec<Finding>> {
    let mut known = false;
    let mut found = Vec::new();
    for row in model.settings.rows() {
        let Some(text) = wrong(row) else { continue };
        known = true;
        let about = Key { netns: row.netns, ..Key::default() };
        found.extend(text.map(|text| Finding::new(rule, about, text)));
    }
    known.then_some(found)
}

fn conntrack(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let mut known = false;
    let mut found = Vec::new();
    for row in model.settings.rows() {
        let (Some(count), Some(max @ 1..)) = (row.conntrack, row.conntrack_max) else { continue };
        known = true;
        if count.saturating_mul(100) < max.saturating_mul(NEARLY) {
            continue;
        }
        let text = format!("{count} of {max} entries of the table of tracked connections in use");
        let severity = if count >= max { Severity::Bad } else { Severity::Warning };
        let about = Key { netns: row.netns, ..Key::default() };
        let numbers = [("conntrack", Some(count)), ("conntrack_max", Some(max))];
        found.push(Finding::new(rule, about, text).with(numbers).weighing(severity));
    }
    known.then_some(found)
}

/// Memory is of the whole machine: any namespace says it.
fn memory(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let row = model.settings.rows().max_by_key(|row| row.tcp_pages)?;
    let (pages, pressure) = (row.tcp_pages?, row.tcp_pages_pressure?);
    let most = row.tcp_pages_max.unwrap_or(u64::MAX);
    let text = || {
        let text = format!(
            "TCP has {pages} pages of memory: under pressure from {pressure} on, at most {most}"
        );
        let severity = if pages >= most { Severity::Bad } else { Severity::Warning };
        let numbers = [("tcp_pages", Some(pages)), ("tcp_pages_pressure", Some(pressure))];
        Finding::new(rule, Key::default(), text).with(numbers).weighing(severity)
    };
    Some((pages > pressure).then(text).into_iter().collect())
}
