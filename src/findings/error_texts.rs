//! Texts of errors that people have, and what answers them.

use super::{Rule, counters, drops, listeners, loss, settings, sockets};

/// What a program or the kernel's log says when TCP is in trouble.
#[derive(Debug)]
pub struct ErrorText {
    /// How it is written: the name first, then the texts.
    pub names: &'static [&'static str],
    /// What it means.
    pub means: &'static str,
    /// Commands, each with what it answers.
    pub ask: &'static [(&'static str, &'static str)],
    /// Rules that find its causes.
    pub rules: &'static [&'static Rule],
}

/// All of them.
pub static ERRORS: [ErrorText; 12] = [
    ErrorText {
        names: &["ECONNRESET", "connection reset by peer", "connection reset"],
        means: "the peer ended the connection with a RST: its process closed with unread data or with SO_LINGER 0, \
                was killed, or does not know the connection (restarted, or dropped by a NAT or firewall that forgot \
                it). A listener with net.ipv4.tcp_abort_on_overflow = 1 resets when its accept queue is full",
        ask: &[
            (
                "tcplife",
                "each connection as it ends: by whom, how old, idle for how long, data unread or not",
            ),
            (
                "tcpdoctor",
                "on the machine of the peer: queues, orphans and memory, which make the kernel reset",
            ),
            (
                "listenoverflow --advise",
                "on the machine of the peer: whether its accept queue is full",
            ),
        ],
        rules: &[
            &counters::RESETS_SENT,
            &listeners::ACCEPT_QUEUE_FULL,
            &settings::ABORT_ON_OVERFLOW,
            &counters::ORPHANS,
        ],
    },
    ErrorText {
        names: &["EADDRNOTAVAIL", "Cannot assign requested address"],
        means: "a connect() found no free local port towards that address and port, most often because all are in \
                TIME_WAIT; or bind() was asked for an address that this machine does not have",
        ask: &[
            (
                "tcpports --advise -n 1",
                "which destination is short of ports, of whom, and what to do",
            ),
            ("tcpports --events", "each connect() and bind() that fails"),
            ("ip addr", "whether the machine has the address"),
        ],
        rules: &[&sockets::LOCAL_PORTS_USED_UP, &settings::PORT_RANGE_NARROW],
    },
    ErrorText {
        names: &["ETIMEDOUT", "Connection timed out", "Operation timed out", "i/o timeout"],
        means: "no answer came: to the SYNs of connect() (after about 2 min with 6 retries), or to data (after about \
                15 min with net.ipv4.tcp_retries2 = 15). The host is gone, the way loses, a firewall drops, or the \
                listener's accept queue is full and it ignores the SYNs",
        ask: &[
            (
                "tcpretrans",
                "each segment sent again: syn means that connect() waits, rto that data does",
            ),
            (
                "tcplatency --kind connect",
                "connects by process and destination, with those that timed out",
            ),
            ("tcpdrop", "whether this machine drops the answers"),
        ],
        rules: &[
            &loss::SYNS_LOST,
            &counters::CONNECTS_FAILED,
            &drops::PEERS_GONE,
            &loss::SEGMENTS_RETRANSMITTED,
            &listeners::ACCEPT_QUEUE_FULL,
        ],
    },
    ErrorText {
        names: &["EADDRINUSE", "Address already in use", "bind: address in use"],
        means: "another socket has the port: a listener, a socket that is bound and not connected, or, without \
                SO_REUSEADDR, a connection in TIME_WAIT of the program that ran before. bind() with port 0: all ports \
                of the range are taken",
        ask: &[
            ("ss -tlnp 'sport = :PORT'", "who listens there"),
            ("ss -tan 'sport = :PORT'", "connections and TIME_WAIT on the port"),
            ("tcpports --all", "ports that bind() took (HELD), and the pool of bind()"),
        ],
        rules: &[&sockets::LOCAL_PORTS_USED_UP],
    },
    ErrorText {
        names: &["ECONNREFUSED", "Connection refused"],
        means: "a RST answered the SYN: nothing listens on that address and port (the program has not started, or \
                listens on 127.0.0.1 alone), or a firewall rejects",
        ask: &[
            ("tcplatency --kind connect", "refused connects by process and destination"),
            ("tcplife", "each of them, with end refused"),
            ("ss -tln", "on the other machine: what listens, and on which address"),
        ],
        rules: &[&counters::CONNECTS_FAILED],
    },
    ErrorText {
        names: &["EPIPE", "broken pipe"],
        means: "the process wrote to a connection that had ended: the peer had closed or reset it before, and a read \
                would have shown that",
        ask: &[
            ("tcplife", "how the connection ended and who ended it"),
            (
                "tcpstates --summary",
                "sockets in CLOSE_WAIT: ended by the peer, and still open here",
            ),
        ],
        rules: &[&sockets::CLOSE_WAIT_HELD, &counters::RESETS_SENT],
    },
    ErrorText {
        names: &[
            "nf_conntrack: table full",
            "nf_conntrack: nf_conntrack: table full, dropping packet",
        ],
        means: "the table of tracked connections has net.netfilter.nf_conntrack_max entries; packets of new \
                connections are dropped, which clients see as connects that take 1, 3 or 7 s or time out",
        ask: &[
            (
                "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
                "how full it is",
            ),
            ("tcpdrop", "segments dropped by netfilter"),
        ],
        rules: &[&settings::CONNTRACK_FULL, &loss::SYNS_LOST],
    },
    ErrorText {
        names: &["possible SYN flooding", "request_sock_TCP: Possible SYN flooding on port"],
        means: "the SYN queue of a listener was full: since then the kernel sends SYN cookies, or drops SYNs with \
                net.ipv4.tcp_syncookies = 0. A flood, or a backlog that is too short for the clients there are; the \
                kernel logs it once for each listener",
        ask: &[
            ("listenoverflow --advise", "which listener, its queues and their limits"),
            ("listenoverflow --clients", "from which addresses"),
        ],
        rules: &[
            &listeners::SYN_QUEUE_FULL,
            &listeners::SYN_COOKIES,
            &listeners::ACCEPT_QUEUE_FULL,
            &settings::SYNCOOKIES_OFF,
        ],
    },
    ErrorText {
        names: &["too many orphaned sockets", "TCP: too many orphaned sockets"],
        means: "more connections than net.ipv4.tcp_max_orphans (or a part of it) are closed by their process and \
                unfinished: the kernel resets them",
        ask: &[
            ("tcpstates --summary --by remote", "FIN_WAIT1, LAST_ACK and CLOSING by peer"),
            ("cat /proc/net/sockstat", "how many orphans there are"),
        ],
        rules: &[&counters::ORPHANS],
    },
    ErrorText {
        names: &["time wait bucket table overflow", "TCP: time wait bucket table overflow"],
        means: "net.ipv4.tcp_max_tw_buckets connections are in TIME_WAIT; further ones end without it",
        ask: &[
            ("tcpstates --summary --by process", "TIME_WAIT by process that closed first"),
            ("nstat TcpExtTCPTimeWaitOverflow", "how many went without"),
        ],
        rules: &[&counters::TIME_WAIT_OVERFLOW],
    },
    ErrorText {
        names: &["EMFILE", "too many open files"],
        means: "the process has as many file descriptors as its limit allows: accept() and socket() fail, and \
                connections wait in the accept queue until it is full",
        ask: &[
            ("tcpstates --summary --by process", "CLOSE_WAIT: sockets that it does not close"),
            ("cat /proc/PID/limits", "the limit"),
        ],
        rules: &[&sockets::CLOSE_WAIT_HELD, &listeners::ACCEPT_QUEUE_FULL],
    },
    ErrorText {
        names: &["EHOSTUNREACH", "No route to host", "ENETUNREACH", "Network is unreachable"],
        means: "an ICMP message or the routing table says that there is no way: no route, no ARP answer, or a firewall \
                that rejects with ICMP",
        ask: &[
            ("ip route get ADDRESS", "the route"),
            ("tcplife", "connects that failed, with their errno"),
        ],
        rules: &[&counters::CONNECTS_FAILED],
    },
];

/// What a word or a line of a log is about.
#[derive(Debug)]
pub enum Answer {
    /// A rule.
    Rule(&'static Rule),
    /// The text of an error.
    Error(&'static ErrorText),
}

/// What is known of a rule's id or an error's text; else the names that are nearest.
///
/// # Errors
/// The nearest names, the nearest first.
pub fn explain(text: &str) -> Result<Answer, Vec<&'static str>> {
    let text = text.trim().to_lowercase();
    if let Some(rule) = Rule::named(&text) {
        return Ok(Answer::Rule(rule));
    }
    let means = |name: &str| {
        let name = name.to_lowercase();
        text.contains(&name) || (text.len() >= SHORTEST && name.contains(&text))
    };
    if let Some(error) = ERRORS.iter().find(|error| error.names.iter().any(|name| means(name))) {
        return Ok(Answer::Error(error));
    }
    let names = ERRORS.iter().flat_map(|error| error.names.iter().copied());
    let ids = super::RULES.into_iter().map(|rule| rule.id);
    let mut near: Vec<_> = ids.chain(names).map(|name| (likeness(&text, name), name)).collect();
    near.sort_by_key(|(likeness, _)| std::cmp::Reverse(*likeness));
    Err(near.into_iter().take(NEAREST).map(|(_, name)| name).collect())
}

/// A part of a name that is shorter may be of anything.
const SHORTEST: usize = 5;
/// Names that are listed where none fits.
const NEAREST: usize = 5;

/// Pairs of letters that two texts share, of a thousand.
fn likeness(text: &str, name: &str) -> usize {
    let pairs = |text: &str| -> Vec<(char, char)> {
        let letters: Vec<_> = text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        letters.windows(2).map(|pair| (pair[0], pair[1])).collect()
    };
    let (text, mut name) = (pairs(text), pairs(name));
    let all = text.len() + name.len();
    let mut shared = 0;
    for pair in text {
        if let Some(at) = name.iter().position(|other| *other == pair) {
            name.swap_remove(at);
            shared += 2;
        }
    }
    shared * 1000 / all.max(1)
}
