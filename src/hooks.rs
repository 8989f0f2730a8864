//! The places in the kernel that the tools watch, and the programs that can serve them.

use crate::kernel::facts::{Facts, Wanted};
use crate::kernel::plan::{Hook, Parameters, Part, Plan, Program, Request, Rung, RungKind};
use crate::kernel::refusal::Refusal;

use Part::{Needed, WherePresent};

/// A tool's name and the hooks it wants.
#[derive(Debug)]
pub struct Spec {
    /// The binary's name.
    pub name: &'static str,
    /// In the order to attach them.
    pub hooks: &'static [&'static Hook],
    /// Those that are needed besides where sockets are kept in a hash map.
    pub hash_hooks: &'static [&'static Hook],
    /// What it means that an event was untracked, and what to do about it.
    pub untracked_means: &'static str,
    /// Events end in counters of the kernel: none is on its way to user space.
    pub counts_in_kernel: bool,
}

const FORGOTTEN: &str = "events of sockets that found no room to be remembered, so without owner and duration \
     (use a larger --track-max)";

impl Spec {
    /// What its rungs of some kinds attach to: the names to look for in the kernel.
    pub fn targets(&self, kinds: &[RungKind]) -> Vec<&'static str> {
        let hooks = self.hooks.iter().chain(self.hash_hooks);
        let rungs = hooks.flat_map(|hook| hook.rungs).filter(|rung| kinds.contains(&rung.kind));
        let mut targets: Vec<_> = rungs.flat_map(Rung::programs).map(|one| one.target).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// Everything to look for in the kernel.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            tracepoints: self.targets(&[RungKind::Tracepoint, RungKind::RawTracepoint]),
            iterators: self.targets(&[RungKind::Iterator]),
            functions: self.targets(&[RungKind::Fentry, RungKind::Kprobe]),
        }
    }

    /// The plan for a kernel.
    ///
    /// # Errors
    /// As of [`Plan::decide`].
    pub fn plan(&self, facts: &Facts, request: Request) -> Result<Plan, Refusal> {
        Plan::decide(self.name, self.hooks, self.hash_hooks, facts, request)
    }
}

/// tcpstates about events.
pub static TCPSTATES: Spec = Spec {
    name: "tcpstates",
    hooks: &[&STATE, &ACCEPT, &TIME_WAIT, &TIME_WAIT_CAUSE, &OWNERS],
    hash_hooks: &[&DESTROY],
    untracked_means: FORGOTTEN,
    counts_in_kernel: false,
};

/// tcpstates --summary.
pub static TCPSTATES_SUMMARY: Spec = Spec {
    name: "tcpstates",
    hooks: &[&STATE, &ACCEPT, &OWNERS, &SOCKETS],
    hash_hooks: &[&DESTROY],
    untracked_means: FORGOTTEN,
    counts_in_kernel: false,
};

/// tcpcount, however it groups.
pub static TCPCOUNT: Spec = Spec {
    name: "tcpcount",
    hooks: &[&STATE, &SEND, &RECV, &SEGMENT, &DESTROY, &OWNERS, &COUNTS],
    hash_hooks: &[],
    untracked_means: "events counted as (other) for want of room (use a larger --max-keys)",
    counts_in_kernel: true,
};

const fn program(name: &'static str, target: &'static str, parameters: Parameters) -> Program {
    Program { name, target, parameters }
}

/// A program that reads no parameter which has ever changed.
const fn plain(name: &'static str, target: &'static str) -> Program {
    program(name, target, Parameters::Any)
}

const fn fentry(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::Fentry, parts }
}

const fn kprobe(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::Kprobe, parts }
}

const fn tracepoint(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::Tracepoint, parts }
}

const fn raw_tracepoint(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::RawTracepoint, parts }
}

const fn iterator(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::Iterator, parts }
}

/// A socket changes its state.
pub static STATE: Hook = Hook {
    name: "state",
    rungs: &[
        tracepoint(&[Needed(&[plain("state_tracepoint", "inet_sock_set_state")])]),
        raw_tracepoint(&[Needed(&[plain("state_raw_tracepoint", "inet_sock_set_state")])]),
    ],
    required: true,
};

/// A process has sent.
///
/// fexit runs for TCP alone, the tracepoint for every protocol; kretprobes come last, for the
/// kernel keeps room for few calls at once and leaves out the rest.
pub static SEND: Hook = Hook {
    name: "send",
    rungs: &[
        fentry(&[
            Needed(&[program(
                "send_fexit",
                "tcp_sendmsg",
                Parameters::Exactly(&["sk", "msg", "size"]),
            )]),
            WherePresent(&[program(
                "sendpage_fexit",
                "tcp_sendpage",
                Parameters::Exactly(&["sk", "page", "offset", "size", "flags"]),
            )]),
        ]),
        tracepoint(&[Needed(&[plain("send_tracepoint", "sock_send_length")])]),
        kprobe(&[
            Needed(&[plain("send_kretprobe", "tcp_sendmsg")]),
            Needed(&[program("send_kprobe", "tcp_sendmsg", Parameters::Begin(&["sk"]))]),
            WherePresent(&[plain("sendpage_kretprobe", "tcp_sendpage")]),
            WherePresent(&[program("sendpage_kprobe", "tcp_sendpage", Parameters::Begin(&["sk"]))]),
        ]),
    ],
    required: true,
};

/// A process has received.
pub static RECV: Hook = Hook {
    name: "recv",
    rungs: &[
        fentry(&[
            Needed(&[
                program(
                    "recv_fexit_6",
                    "tcp_recvmsg",
                    Parameters::Exactly(&["sk", "msg", "len", "nonblock", "flags", "addr_len"]),
                ),
                program(
                    "recv_fexit_5",
                    "tcp_recvmsg",
                    Parameters::Exactly(&["sk", "msg", "len", "flags", "addr_len"]),
                ),
                program(
                    "recv_fexit_4",
                    "tcp_recvmsg",
                    Parameters::Exactly(&["sk", "msg", "len", "flags"]),
                ),
            ]),
            WherePresent(&[program(
                "splice_fexit",
                "tcp_splice_read",
                Parameters::Exactly(&["sock", "ppos", "pipe", "len", "flags"]),
            )]),
        ]),
        tracepoint(&[Needed(&[plain("recv_tracepoint", "sock_recv_length")])]),
        kprobe(&[
            Needed(&[plain("recv_kretprobe", "tcp_recvmsg")]),
            Needed(&[
                program(
                    "recv_kprobe_5",
                    "tcp_recvmsg",
                    Parameters::Begin(&["sk", "msg", "len", "nonblock", "flags"]),
                ),
                program(
                    "recv_kprobe_4",
                    "tcp_recvmsg",
                    Parameters::Begin(&["sk", "msg", "len", "flags"]),
                ),
            ]),
            WherePresent(&[plain("splice_kretprobe", "tcp_splice_read")]),
            WherePresent(&[program(
                "splice_kprobe",
                "tcp_splice_read",
                Parameters::Begin(&["sock"]),
            )]),
        ]),
    ],
    required: true,
};

/// A segment has reached an established socket. Where IPv6 is a module, its function is not to be
/// had, and half of the truth is none: then the tracepoint serves both.
pub static SEGMENT: Hook = Hook {
    name: "segment",
    rungs: &[
        fentry(&[
            Needed(&[program("segment_v4_fentry", "tcp_v4_do_rcv", Parameters::Begin(&["sk"]))]),
            Needed(&[program("segment_v6_fentry", "tcp_v6_do_rcv", Parameters::Begin(&["sk"]))]),
        ]),
        tracepoint(&[Needed(&[plain("segment_tracepoint", "tcp_probe")])]),
        kprobe(&[
            Needed(&[program("segment_v4_kprobe", "tcp_v4_do_rcv", Parameters::Begin(&["sk"]))]),
            Needed(&[program("segment_v6_kprobe", "tcp_v6_do_rcv", Parameters::Begin(&["sk"]))]),
        ]),
    ],
    required: true,
};

/// `accept()` has handed a connection to a process; where functions cannot be hooked, its first
/// send or receive tells, and without either the owner is learned later.
pub static ACCEPT: Hook = Hook {
    name: "accept",
    rungs: &[
        fentry(&[Needed(&[
            program(
                "accept_fexit_4",
                "inet_csk_accept",
                Parameters::Exactly(&["sk", "flags", "err", "kern"]),
            ),
            program("accept_fexit_2", "inet_csk_accept", Parameters::Exactly(&["sk", "arg"])),
        ])]),
        tracepoint(&[
            Needed(&[plain("send_tracepoint", "sock_send_length")]),
            Needed(&[plain("recv_tracepoint", "sock_recv_length")]),
        ]),
        kprobe(&[Needed(&[plain("accept_kretprobe", "inet_csk_accept")])]),
    ],
    required: false,
};

/// A timewait socket takes over a connection, moves on to `TIME_WAIT`, and is killed; by polling
/// they are found in the inventory.
///
/// Not `tcp_time_wait` itself: it is also called where no timewait socket can be had.
pub static TIME_WAIT: Hook = Hook {
    name: "time-wait",
    rungs: &[
        fentry(&[
            Needed(&[
                program("timewait_fentry", "inet_twsk_hashdance", Parameters::Begin(&["tw", "sk"])),
                program(
                    "timewait_schedule_fentry",
                    "inet_twsk_hashdance_schedule",
                    Parameters::Begin(&["tw", "sk"]),
                ),
            ]),
            Needed(&[program(
                "timewait_reschedule_fentry",
                "__inet_twsk_schedule",
                Parameters::Begin(&["tw"]),
            )]),
            Needed(&[program("timewait_end_fentry", "inet_twsk_kill", Parameters::Begin(&["tw"]))]),
        ]),
        kprobe(&[
            Needed(&[
                program("timewait_kprobe", "inet_twsk_hashdance", Parameters::Begin(&["tw", "sk"])),
                program(
                    "timewait_schedule_kprobe",
                    "inet_twsk_hashdance_schedule",
                    Parameters::Begin(&["tw", "sk"]),
                ),
            ]),
            Needed(&[program(
                "timewait_reschedule_kprobe",
                "__inet_twsk_schedule",
                Parameters::Begin(&["tw"]),
            )]),
            Needed(&[program("timewait_end_kprobe", "inet_twsk_kill", Parameters::Begin(&["tw"]))]),
        ]),
        iterator(&[Needed(&[plain("dump_sockets", "tcp")])]),
    ],
    required: false,
};

/// What may end a timewait socket before its time.
pub static TIME_WAIT_CAUSE: Hook = Hook {
    name: "time-wait-cause",
    rungs: &[
        fentry(&[
            Needed(&[program(
                "timewait_segment_fentry",
                "tcp_timewait_state_process",
                Parameters::Begin(&["tw", "skb", "th"]),
            )]),
            Needed(&[program(
                "timewait_reuse_fentry",
                "tcp_twsk_unique",
                Parameters::Begin(&["sk", "sktw"]),
            )]),
            Needed(&[program(
                "timewait_deschedule_fentry",
                "inet_twsk_deschedule_put",
                Parameters::Begin(&["tw"]),
            )]),
        ]),
        kprobe(&[
            Needed(&[program(
                "timewait_segment_kprobe",
                "tcp_timewait_state_process",
                Parameters::Begin(&["tw", "skb", "th"]),
            )]),
            Needed(&[program(
                "timewait_reuse_kprobe",
                "tcp_twsk_unique",
                Parameters::Begin(&["sk", "sktw"]),
            )]),
            Needed(&[program(
                "timewait_deschedule_kprobe",
                "inet_twsk_deschedule_put",
                Parameters::Begin(&["tw"]),
            )]),
        ]),
    ],
    required: false,
};

/// A socket is gone: what is remembered of it elsewhere goes too.
pub static DESTROY: Hook = Hook {
    name: "destroy",
    rungs: &[
        tracepoint(&[Needed(&[plain("destroy_tracepoint", "tcp_destroy_sock")])]),
        raw_tracepoint(&[Needed(&[plain("destroy_raw_tracepoint", "tcp_destroy_sock")])]),
    ],
    required: true,
};

/// Who has sockets open: those older than the tool, and those accepted but not used yet.
pub static OWNERS: Hook = Hook {
    name: "owners",
    rungs: &[iterator(&[Needed(&[plain("learn_owners", "task_file")])])],
    required: false,
};

/// All sockets there are.
pub static SOCKETS: Hook = Hook {
    name: "sockets",
    rungs: &[iterator(&[Needed(&[plain("dump_sockets", "tcp")])])],
    required: true,
};

/// Counters, read in one go.
pub static COUNTS: Hook = Hook {
    name: "counts",
    rungs: &[iterator(&[Needed(&[plain("dump_counts", "bpf_map_elem")])])],
    required: true,
};
