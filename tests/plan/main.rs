//! Which programs serve each hook of the real tools, or why they refuse, on kernels whose facts
//! lie in tests/facts and on invented ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use tcpscope::count::TCPCOUNT;
use tcpscope::dash::live::TCPDASH;
use tcpscope::doctor::TCPDOCTOR;
use tcpscope::hooks::{LISTENERS, WAITS};
use tcpscope::kernel::attach::AttachMethod;
use tcpscope::kernel::facts::{Facts, Lockdown};
use tcpscope::kernel::plan::PlanRequest;
use tcpscope::latency::TCPLATENCY;
use tcpscope::listen::LISTENOVERFLOW;
use tcpscope::registry::modes;
use tcpscope::states::TCPSTATES;
use tcpscope::tool::Spec;

mod tools;

const DEBIAN: [&str; 4] = ["debian-5.10", "debian-6.1", "debian-6.12", "debian-7.2"];
/// Without the tracepoints that came with `sock_send_length` and `sock_recv_length`.
const OLD: [&str; 2] = ["debian-5.10", "debian-6.1"];
const HARDENED: &str = "hardened-6.18";

/// What every mode of every tool watches.
fn specs() -> impl Iterator<Item = &'static Spec> {
    modes().map(|(_, mode)| mode.spec)
}

fn facts(name: &str) -> Facts {
    let path = format!("{}/tests/facts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A plan in words, one line a hook; or the refusal after its exit code.
fn decide(spec: &Spec, facts: &Facts, request: PlanRequest) -> String {
    let plan = match spec.plan(facts, request) {
        Ok(plan) => plan,
        Err(refusal) => return format!("{}: {refusal}", refusal.exit_code()),
    };
    let mut text = String::new();
    for choice in &plan.choices {
        let name = choice.hook.name;
        let line = match &choice.method {
            Ok(served) => {
                let names: Vec<_> = served.programs.iter().map(|program| program.name).collect();
                format!("{name}: {}", names.join(" "))
            }
            Err(reason) => format!("{name} off: {reason}"),
        };
        writeln!(text, "{line}").expect("a String takes everything");
    }
    text
}

fn auto(spec: &Spec, facts: &Facts) -> String {
    decide(spec, facts, PlanRequest::default())
}

fn forced(spec: &Spec, facts: &Facts, kind: AttachMethod) -> String {
    decide(spec, facts, PlanRequest { forced: Some(kind), use_hash: None })
}

const STATES_FENTRY_NEW: &str = "\
state: state_tracepoint
reset: reset_tracepoint
use: use_send_fentry use_recv_fentry
time-wait: timewait_schedule_fentry timewait_reschedule_fentry timewait_end_fentry
time-wait-cause: timewait_segment_fentry timewait_reuse_fentry timewait_deschedule_fentry
owners: learn_owners
";

const STATES_FENTRY_OLD: &str = "\
state: state_tracepoint
reset: reset_tracepoint
use: use_send_fentry use_recv_fentry
time-wait: timewait_fentry timewait_reschedule_fentry timewait_end_fentry
time-wait-cause: timewait_segment_fentry timewait_reuse_fentry timewait_deschedule_fentry
owners: learn_owners
";

/// There sockets are found through their inodes.
fn before_5_11(plan: &str) -> String {
    plan.replace("owners: learn_owners\n", "owners: learn_owners_by_inode\n")
}

/// Sockets are kept in a hash map, which wants to know of their beginning and end.
const IN_HASH: &str = "child: child_fentry child_queued_fentry\ndestroy: destroy_tracepoint\n";

/// Segments that are sent again.
const AGAIN: &str =
    "retransmit: segment_again_tracepoint\nsynack-retransmit: retransmit_tracepoint\n";

#[test]
fn fentry_programs_fit_the_prototypes_of_each_kernel() {
    for kernel in ["debian-6.12", "debian-7.2"] {
        assert_eq!(auto(&TCPSTATES, &facts(kernel)), STATES_FENTRY_NEW, "{kernel}");
    }
    assert_eq!(auto(&TCPSTATES, &facts("debian-6.1")), STATES_FENTRY_OLD);
    let in_hash = format!("{STATES_FENTRY_OLD}{IN_HASH}");
    assert_eq!(auto(&TCPSTATES, &facts("debian-5.10")), before_5_11(&in_hash));
    let count = |send: &str, recv: &str, splice: &str| {
        format!(
            "state: state_tracepoint\nsend: {send}\nrecv: {recv}\nsplice: {splice}\n\
             segment: segment_v4_fentry segment_v6_fentry\n{AGAIN}\
             destroy: destroy_tracepoint\nowners: learn_owners\ncounts: dump_counts\n"
        )
    };
    let send = "send_fexit send_fentry";
    let with_page = "splice_fexit sendpage_fexit splice_fentry sendpage_fentry";
    let oldest = before_5_11(&count(send, "recv_fexit_6 recv_fentry", with_page))
        + "child: child_fentry child_queued_fentry\n";
    assert_eq!(auto(&TCPCOUNT, &facts("debian-5.10")), oldest);
    let send = "send_fexit mptcp_send_fexit send_fentry mptcp_send_fentry";
    let recv = "recv_fexit_5 mptcp_recv_fexit_5 recv_fentry mptcp_recv_fentry";
    let old = count(send, recv, with_page);
    assert_eq!(auto(&TCPCOUNT, &facts("debian-6.1")), old);
    // Tracepoints see each return, and splice() out of a socket does not pass them.
    for (kernel, splice) in
        [("debian-6.12", "splice_fexit splice_fentry"), ("debian-7.2", "splice_fexit")]
    {
        let plan = count("send_tracepoint", "recv_tracepoint", splice);
        assert_eq!(auto(&TCPCOUNT, &facts(kernel)), plan, "{kernel}");
    }
}

/// Only where the kernel skips fexit programs of calls in progress are these paired with their
/// beginning, which costs more.
#[test]
fn fexit_is_paired_with_fentry_where_the_kernel_skips_it() {
    let plan = |kernel, spec: &Spec| {
        let request = PlanRequest { forced: Some(AttachMethod::Fentry), use_hash: None };
        spec.plan(&facts(kernel), request).expect("a plan")
    };
    for kernel in DEBIAN {
        for spec in [&TCPCOUNT, &TCPLATENCY, &TCPDASH, &LISTENOVERFLOW] {
            assert_eq!(plan(kernel, spec).pairs_fexit(), kernel != "debian-7.2", "{kernel}");
        }
        // It counts no calls.
        assert!(!plan(kernel, &TCPSTATES).pairs_fexit(), "{kernel}");
    }
    let forced = |kernel| forced(&TCPCOUNT, &facts(kernel), AttachMethod::Fentry);
    let paired = "send: send_fexit mptcp_send_fexit send_fentry mptcp_send_fentry\n";
    assert!(forced("debian-6.12").contains(paired));
    assert!(forced("debian-7.2").contains("send: send_fexit mptcp_send_fexit\n"));
    assert!(forced("debian-7.2").contains("recv: recv_fexit_4 mptcp_recv_fexit_4\n"));
}

#[test]
fn a_hardened_kernel_uses_tracepoints_and_iterators() {
    let facts = facts(HARDENED);
    let why = facts.fentry_refused.clone().expect("it refuses fentry");
    assert!(why.contains("Operation not permitted"), "{why}");
    let no_kprobes = facts.kprobe_refused.clone().expect("it has no kprobes");
    assert_eq!(
        auto(&TCPSTATES, &facts),
        format!(
            "state: state_tracepoint\nreset: reset_tracepoint\n\
             use: use_send_tracepoint use_recv_tracepoint\n\
             time-wait: dump_sockets\ntime-wait-cause off: {why}, {no_kprobes}\n\
             owners: learn_owners\n"
        )
    );
    assert_eq!(
        auto(&TCPCOUNT, &facts),
        format!(
            "state: state_tracepoint\nsend: send_tracepoint\nrecv: recv_tracepoint\n\
             splice off: {why}, {no_kprobes}\nsegment: segment_tracepoint\n{AGAIN}\
             destroy: destroy_tracepoint\nowners: learn_owners\ncounts: dump_counts\n"
        )
    );
    let forced_tracepoint = forced(&TCPCOUNT, &facts, AttachMethod::Tracepoint);
    assert!(
        forced_tracepoint.contains("recv: recv_tracepoint\nsplice off: "),
        "{forced_tracepoint}"
    );
    for (kind, reason) in [(AttachMethod::Fentry, why), (AttachMethod::Kprobe, no_kprobes)] {
        for spec in [&TCPSTATES, &TCPCOUNT] {
            let refusal = forced(spec, &facts, kind);
            assert!(refusal.starts_with("8: --attach"), "{refusal}");
            assert!(refusal.contains(&reason), "{refusal}");
        }
    }
}

/// Seen on a newer build of the hardened kernel.
#[test]
fn where_iterators_over_maps_are_refused_user_space_looks_into_them() {
    let why = "even a two-instruction iterator over a map is refused: Operation not permitted";
    let facts = Facts { map_iterators_refused: Some(why.to_owned()), ..facts(HARDENED) };
    for spec in specs() {
        let plan = spec.plan(&facts, PlanRequest::default()).expect("a plan");
        let dumps = plan.programs().filter(|(_, program)| program.target == "bpf_map_elem");
        assert_eq!(dumps.count(), 0, "{}", spec.name);
    }
    let plan = LISTENOVERFLOW.plan(&facts, PlanRequest::default()).expect("a plan");
    assert_eq!(plan.method_of(&WAITS), Some(AttachMethod::Lookup));
    let looks = plan.programs_of(&LISTENERS).map(|program| program.name);
    assert_eq!(looks.collect::<Vec<_>>(), ["look_at_listener"]);
    let listeners = plan.choices.iter().find(|choice| choice.hook.name == "listeners");
    let passed_over = &listeners.expect("it lists listeners").passed_over;
    assert_eq!(*passed_over, [(AttachMethod::Iterator, why.to_owned())]);
}

#[test]
fn every_debian_kernel_works_with_kprobes() {
    for kernel in DEBIAN {
        let facts = facts(kernel);
        let flags = if kernel == "debian-5.10" { "recv_kprobe_5" } else { "recv_kprobe_4" };
        let page = if OLD.contains(&kernel) { " sendpage_kretprobe sendpage_kprobe" } else { "" };
        let owners = if kernel == "debian-5.10" { "learn_owners_by_inode" } else { "learn_owners" };
        let mptcp = |call: &str| match kernel {
            "debian-5.10" => String::new(),
            _ => format!(" mptcp_{call}_kretprobe mptcp_{call}_kprobe"),
        };
        let (send, recv) = (mptcp("send"), mptcp("recv"));
        assert_eq!(
            forced(&TCPCOUNT, &facts, AttachMethod::Kprobe),
            format!(
                "state: state_tracepoint\nsend: send_kretprobe send_kprobe{send}\n\
                 recv: recv_kretprobe {flags}{recv}\nsplice: splice_kretprobe splice_kprobe{page}\n\
                 segment: segment_v4_kprobe segment_v6_kprobe\n{AGAIN}\
                 destroy: destroy_tracepoint\nowners: {owners}\ncounts: dump_counts\n\
                 child: child_kprobe child_queued_kprobe\n"
            ),
            "{kernel}"
        );
        let begin =
            if OLD.contains(&kernel) { "timewait_kprobe" } else { "timewait_schedule_kprobe" };
        assert_eq!(
            forced(&TCPSTATES, &facts, AttachMethod::Kprobe),
            format!(
                "state: state_tracepoint\nreset: reset_tracepoint\n\
                 use: use_send_kprobe use_recv_kprobe\n\
                 time-wait: {begin} timewait_reschedule_kprobe timewait_end_kprobe\n\
                 time-wait-cause: timewait_segment_kprobe timewait_reuse_kprobe \
                 timewait_deschedule_kprobe\nowners: {owners}\nchild: child_kprobe child_queued_kprobe\n\
                 destroy: destroy_tracepoint\n"
            ),
            "{kernel}"
        );
    }
}

#[test]
fn tracepoints_suffice_for_tcpstates_and_on_newer_kernels_tcpcount() {
    for kernel in DEBIAN {
        let facts = facts(kernel);
        let states = forced(&TCPSTATES, &facts, AttachMethod::Tracepoint);
        assert!(states.contains("state: state_tracepoint\n"), "{kernel}: {states}");
        assert!(states.contains("time-wait: dump_sockets\n"), "{kernel}: {states}");
        let count = forced(&TCPCOUNT, &facts, AttachMethod::Tracepoint);
        if OLD.contains(&kernel) {
            assert_eq!(
                count,
                "8: --attach tracepoint is not possible here: send: this kernel has no tracepoint \
                 sock_send_length (available: fentry, kprobe); recv: this kernel has no \
                 tracepoint sock_recv_length (available: fentry, kprobe)"
            );
        } else {
            assert!(count.contains("send: send_tracepoint\n"), "{kernel}: {count}");
        }
    }
}

#[test]
fn raw_tracepoints_replace_refused_btf_tracing() {
    let mut facts = facts("debian-7.2");
    for program in ["state_tracepoint", "destroy_tracepoint"] {
        facts.refused.insert(program.to_owned(), "no BTF tracing".to_owned());
    }
    let plan = auto(&TCPSTATES, &facts);
    assert!(plan.starts_with("state: state_raw_tracepoint\n"), "{plan}");
    assert!(plan.ends_with("destroy: destroy_raw_tracepoint\n"), "{plan}");
}

/// An invented kernel with the hooked functions inlined.
#[test]
fn an_inlined_function_disables_its_attach_method() {
    let mut facts = facts("debian-7.2");
    facts.functions.remove("tcp_v4_do_rcv");
    let plan = auto(&TCPCOUNT, &facts);
    assert!(plan.contains("segment: segment_tracepoint\n"), "{plan}");
    assert!(plan.contains("splice: splice_fexit\n"), "{plan}");
    facts.functions.remove("inet_twsk_kill");
    let plan = auto(&TCPSTATES, &facts);
    assert!(plan.contains("time-wait: dump_sockets\n"), "{plan}");
    let mut old = self::facts("debian-6.1");
    old.functions.remove("tcp_recvmsg");
    let refusal = auto(&TCPCOUNT, &old);
    assert_eq!(
        refusal,
        format!(
            "5: kernel {} cannot serve recv: this kernel has no tracepoint sock_recv_length, this \
             kernel has no function tcp_recvmsg to hook (absent, inlined or renamed)",
            old.release
        )
    );
}

/// Kernels with fewer attach methods than Debian's, derived from its newest.
#[test]
fn a_kernel_with_fewer_methods_uses_the_next_best() {
    let open = facts("debian-6.1");
    let no_fentry = Facts { fentry_refused: Some("EINVAL".to_owned()), ..open.clone() };
    assert!(auto(&TCPCOUNT, &no_fentry).contains("send: send_kretprobe send_kprobe"));
    let neither = Facts { kprobe_refused: Some("no kprobes".to_owned()), ..no_fentry };
    let refusal = auto(&TCPCOUNT, &neither);
    assert!(refusal.starts_with("5: "), "{refusal}");
    assert!(refusal.contains("this kernel has no tracepoint sock_send_length, EINVAL, no kprobes"));
    let no_kprobes = Facts { kprobe_refused: Some("no kprobes".to_owned()), ..open };
    assert!(auto(&TCPCOUNT, &no_kprobes).contains("send: send_fexit mptcp_send_fexit "));
}

/// fentry, BTF tracepoints and iterators follow pointers that the verifier knows; what copies
/// kernel memory is refused.
#[test]
fn confidentiality_lockdown_allows_methods_without_copies() {
    let refused = Some("lockdown=confidentiality refuses kprobes".to_owned());
    for kernel in DEBIAN {
        let open = facts(kernel);
        let locked = Facts {
            lockdown: Lockdown::Confidentiality,
            kprobe_refused: refused.clone(),
            ..open.clone()
        };
        for spec in specs() {
            // There, only kprobes can hook functions of seven parameters.
            let watches_acks =
                [LISTENOVERFLOW.name, TCPDASH.name, TCPDOCTOR.name].contains(&spec.name);
            let seven = kernel == "debian-6.1" && watches_acks;
            // What a connect asked for lies in memory that the verifier does not know.
            let without = auto(spec, &open).replace(
                "connect-return: connect4_fexit connect6_fexit\n",
                "connect-return off: lockdown=confidentiality refuses to copy kernel memory\n",
            );
            assert_eq!(auto(spec, &locked) == without, !seven, "{kernel}");
        }
        for kind in [AttachMethod::Kprobe, AttachMethod::RawTracepoint] {
            let refusal = forced(&TCPSTATES, &locked, kind);
            assert!(refusal.starts_with("8: "), "{kernel}: {refusal}");
            assert!(refusal.contains("lockdown=confidentiality refuses"), "{kernel}: {refusal}");
        }
    }
}

#[test]
fn a_socket_hash_map_needs_the_destroy_hook() {
    let mut facts = facts("debian-7.2");
    let in_hash = PlanRequest { forced: None, use_hash: Some(true) };
    assert_eq!(decide(&TCPSTATES, &facts, in_hash), format!("{STATES_FENTRY_NEW}{IN_HASH}"));
    facts.tracepoints.remove("tcp_destroy_sock");
    assert_eq!(auto(&TCPSTATES, &facts), STATES_FENTRY_NEW);
    assert_eq!(
        decide(&TCPSTATES, &facts, in_hash),
        "5: kernel 7.2.13 cannot serve destroy: this kernel has no tracepoint tcp_destroy_sock"
    );
}

#[test]
fn forbidden_loading_has_its_own_exit_code() {
    let good = facts("debian-7.2");
    let kernels = [
        ("3: missing CAP_BPF and CAP_PERFMON:", Facts { capabilities: 0, ..good.clone() }),
        ("3: missing CAP_PERFMON:", Facts { capabilities: 1 << 39, ..good.clone() }),
        ("4: this kernel has no BTF", Facts { btf: false, ..good.clone() }),
        ("6: this is an unprivileged user namespace", Facts { init_userns: false, ..good }),
    ];
    for (start, facts) in kernels {
        for spec in specs() {
            let refusal = auto(spec, &facts);
            assert!(refusal.starts_with(start), "{}: {refusal}", spec.name);
            assert!(!refusal.contains("sudo"), "root needs no sudo: {refusal}");
        }
    }
}

#[test]
fn an_ordinary_user_gets_a_hint_to_capabilities() {
    let unprivileged = Facts { capabilities: 0, root: false, ..facts("debian-7.2") };
    for spec in specs() {
        let refusal = auto(spec, &unprivileged);
        assert!(refusal.contains("setcap cap_bpf,cap_perfmon+ep"), "{refusal}");
        assert!(refusal.contains(spec.name), "{refusal}");
    }
}

#[test]
fn a_kernel_without_any_method_lists_all_that_is_missing() {
    let bare = Facts {
        tracepoints: BTreeSet::new(),
        iterators: BTreeSet::new(),
        functions: BTreeMap::new(),
        ..facts("debian-7.2")
    };
    assert_eq!(
        auto(&TCPSTATES, &bare),
        "5: kernel 7.2.13 cannot serve state: this kernel has no tracepoint inet_sock_set_state; \
         destroy: this kernel has no tracepoint tcp_destroy_sock"
    );
    let refusal = auto(&TCPCOUNT, &bare);
    for missing in ["inet_sock_set_state", "sock_send_length", "sock_recv_length", "tcp_probe"] {
        let words = format!("this kernel has no tracepoint {missing}");
        assert!(refusal.contains(&words), "{refusal}");
    }
    assert!(!refusal.contains("counts"), "maps can be read without an iterator: {refusal}");
    assert!(!refusal.contains("owners"), "not required: {refusal}");
}
