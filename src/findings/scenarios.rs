//! Troubles of everyday, each with what tcpdoctor says of it: docs/troubleshooting.md shows them. Live tests
//! make them, and record the findings.

/// One of them.
#[derive(Debug)]
pub struct Trouble {
    /// What it is called.
    pub name: &'static str,
    /// How the test makes it.
    pub made: &'static str,
    /// What is shown: ids of rules, or `rates`.
    pub shown: &'static [&'static str],
}

/// All of them.
pub static TROUBLES: [Trouble; 16] = [
    Trouble {
        name: "No local ports left towards one destination",
        made: "a client closes ten connections first, and the kernel may choose from ten ports",
        shown: &["local-ports-used-up"],
    },
    Trouble {
        name: "Thousands of connections in TIME_WAIT",
        made: "a prober opens and closes 60 connections, and the kernel may choose from 100 ports. With SO_LINGER 0 there \
               are none, but resets (trouble 10)",
        shown: &["time-wait-many"],
    },
    Trouble {
        name: "A process leaks connections in CLOSE_WAIT",
        made: "the peers of 20 connections have closed them, the process has not",
        shown: &["close-wait-held"],
    },
    Trouble {
        name: "An accept queue is full",
        made: "a server with a backlog of 0 does not accept, with net.ipv4.tcp_abort_on_overflow = 1; another one may not \
               open a file more",
        shown: &["accept-queue-full", "abort-on-overflow", "accept-out-of-files"],
    },
    Trouble {
        name: "A flood of SYNs, with cookies and without",
        made: "60 SYNs from addresses that do not answer, to a listener with a backlog of 8",
        shown: &["syn-cookies-sent", "syn-queue-full"],
    },
    Trouble {
        name: "Connects take 1, 3 or 7 s",
        made: "eight connects whose SYNs are lost",
        shown: &["syns-lost"],
    },
    Trouble {
        name: "Slow: the peer, the network, or this side",
        made: "a server that takes 300 ms, seen by its clients and on its own side. Where the path takes the time the rule is \
               slow-network",
        shown: &["slow-peer", "slow-service"],
    },
    Trouble {
        name: "A reader that does not read",
        made: "a process sends until its send buffer is full, to one that reads nothing",
        shown: &["peer-window-zero", "reader-stuck"],
    },
    Trouble {
        name: "Loss towards one remote address",
        made: "one of 30 segments is lost",
        shown: &["segments-retransmitted"],
    },
    Trouble {
        name: "Resets",
        made: "close() with SO_LINGER 0, close() with unread data, a process that is killed, and connects to a closed port",
        shown: &["resets-sent", "connects-failed"],
    },
    Trouble {
        name: "The peer has vanished: half-open connections, then orphans in FIN_WAIT1",
        made: "the host of five connections is gone; data is sent, then the process closes them",
        shown: &["half-open", "orphans-waiting"],
    },
    Trouble {
        name: "tcp_max_tw_buckets is reached; tcp_tw_reuse has no effect",
        made: "ten connections where three may be in TIME_WAIT; and net.ipv4.tcp_tw_reuse = 1 without timestamps",
        shown: &["time-wait-overflow", "tw-reuse-without-timestamps"],
    },
    Trouble {
        name: "Who uses the bandwidth",
        made: "one process sends to another connection of its own as fast as it can",
        shown: &["bandwidth-of-one-process"],
    },
    Trouble {
        name: "Connections die at the same age, or with a request in flight",
        made: "a server closes idle connections after 2 s, another one takes requests and closes",
        shown: &["same-age-endings", "requests-unanswered"],
    },
    Trouble {
        name: "A port is in use, and nothing listens on it",
        made: "a process binds a port and does not call listen()",
        shown: &["port-bound-not-listening"],
    },
    Trouble {
        name: "Overall rates, as sar shows them",
        made: "short connections, as many as go",
        shown: &["rates"],
    },
];

/// Other findings that tests record.
pub static OTHERS: [&str; 2] = ["path-mtu-black-hole", "interface-drops"];
