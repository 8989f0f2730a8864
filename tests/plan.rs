//! Which programs serve each hook of the real tools, or why they refuse, on kernels whose facts
//! lie in tests/facts and on invented ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use tcpscope::count::{TCPCOUNT, TCPCOUNT_LIGHT};
use tcpscope::dash::live::{TCPDASH, TCPDASH_LIGHT};
use tcpscope::doctor::TCPDOCTOR;
use tcpscope::drop::TCPDROP;
use tcpscope::kernel::attach::{Attach, AttachMethod};
use tcpscope::kernel::facts::{Facts, Lockdown};
use tcpscope::kernel::plan::PlanRequest;
use tcpscope::latency::{Kinds, LatencyKind, TCPLATENCY, TCPLATENCY_EVENTS, spec_of};
use tcpscope::life::TCPLIFE;
use tcpscope::listen::{LISTENOVERFLOW, LISTENOVERFLOW_WAIT};
use tcpscope::ports::TCPPORTS_COST;
use tcpscope::registry::modes;
use tcpscope::retrans::{TCPRETRANS, TCPRETRANS_PROBES};
use tcpscope::stall::TCPSTALL;
use tcpscope::states::{TCPSTATES, TCPSTATES_SUMMARY};
use tcpscope::tool::Spec;

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
            assert_eq!(auto(spec, &locked) == auto(spec, &open), !seven, "{kernel}");
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
    assert!(refusal.contains("counts: this kernel has no BPF iterator bpf_map_elem"), "{refusal}");
    assert!(!refusal.contains("owners"), "not required: {refusal}");
}

/// tcplatency's plan: the same hooks everywhere, by different methods.
fn latency(send: &str, segment: &str, accept: &str) -> String {
    format!(
        "state: state_tracepoint\nsend-begin: {send}\nsegment: {segment}\n{accept}\n\
         owners: learn_owners\nlistening: learn_listeners\nlatencies: dump_latencies\n"
    )
}

#[test]
fn tcplatency_prefers_the_start_of_sends() {
    let functions = "segment_v4_fentry segment_v6_fentry";
    for (kernel, accept) in
        [("debian-6.12", "accept_fexit_2 accept_fentry"), ("debian-7.2", "accept_fexit_2")]
    {
        let accept = format!("accept-return: {accept}");
        let plan = latency("send_begin_fentry", functions, &accept);
        assert_eq!(auto(&TCPLATENCY, &facts(kernel)), plan, "{kernel}");
    }
    let accept = "accept-return: accept_fexit_4 accept_fentry";
    let plan = latency("send_begin_fentry sendpages_fentry", functions, accept);
    assert_eq!(auto(&TCPLATENCY, &facts("debian-6.1")), plan);
    let in_hash = "child: child_fentry child_queued_fentry\ndestroy: destroy_tracepoint\n";
    let oldest = before_5_11(&plan)
        .replace("listening: learn_listeners\n", "listening: learn_listeners_by_inode\n");
    assert_eq!(auto(&TCPLATENCY, &facts("debian-5.10")), oldest + in_hash);
    let hardened = auto(&TCPLATENCY, &facts(HARDENED));
    assert!(hardened.contains("send-begin: send_begin_tracepoint\n"), "{hardened}");
    assert!(hardened.contains("segment: segment_tracepoint\naccept-return off: "), "{hardened}");
    // Before 6.17 there is no tracepoint where a send begins, before 6.3 none where it returns.
    let kind = AttachMethod::Tracepoint;
    assert!(forced(&TCPLATENCY, &facts("debian-7.2"), kind).contains(": send_begin_tracepoint\n"));
    assert!(
        forced(&TCPLATENCY, &facts("debian-6.12"), kind).contains(": send_return_tracepoint\n")
    );
    for kernel in OLD {
        let refusal = forced(&TCPLATENCY, &facts(kernel), kind);
        assert!(refusal.starts_with("8: ") && refusal.contains("sock_send_length"), "{refusal}");
    }
}

#[test]
fn unselected_kinds_have_no_hooks() {
    let plan = |kinds: &[LatencyKind], events| {
        auto(spec_of(Kinds::of(kinds), true, events), &facts(HARDENED))
    };
    assert_eq!(
        plan(&[LatencyKind::Connect], true),
        "state: state_tracepoint\nowners: learn_owners\n"
    );
    let accept = plan(&[LatencyKind::Accept], false);
    assert!(accept.contains("accept-return: accept_sys_exit\n"), "{accept}");
    assert!(!accept.contains("segment") && !accept.contains("send-begin"), "{accept}");
    let rtt = plan(&[LatencyKind::Rtt], false);
    assert!(rtt.contains("segment: segment_tracepoint\n") && !rtt.contains("send-begin"), "{rtt}");
    let service = plan(&[LatencyKind::Service], true);
    assert!(service.contains("send-begin: send_begin_tracepoint\n"), "{service}");
    assert!(service.contains("listening: learn_listeners\n"), "{service}");
    assert_eq!(spec_of(Kinds::DEFAULT, false, false).hooks.len(), TCPLATENCY.hooks.len());
}

/// Whatever kernel and attach method: nothing runs as a process sends or receives, or as a segment comes or goes.
#[test]
fn light_has_no_program_on_the_path_of_data() {
    let data = [
        "send",
        "splice",
        "recv",
        "segment",
        "retransmit",
        "sendmsg",
        "sendpage",
        "sendfile",
        "tcp_probe",
        "tcp_v4_do_rcv",
        "tcp_v6_do_rcv",
        "sock_send_length",
        "sock_recv_length",
    ];
    for spec in [&TCPCOUNT_LIGHT, &TCPDASH_LIGHT] {
        let hooks = spec.hooks.iter().chain(spec.hash_hooks);
        let programs = hooks.flat_map(|hook| hook.attach).flat_map(Attach::programs);
        // Neither is a reset.
        let rare = ["synack", "syn_recv", "send_reset"];
        let handshake = |target: &str| rare.iter().any(|word| target.contains(word));
        for program in programs.filter(|program| !handshake(program.target)) {
            let names = [program.name, program.target];
            let on_path = data.iter().find(|word| names.iter().any(|name| name.contains(**word)));
            assert_eq!(on_path, None, "{} at {}", program.name, program.target);
        }
    }
    let light = "state: state_tracepoint\ndestroy: destroy_tracepoint\n\
                 socket-counters: visit_sockets\nowners: learn_owners\ncounts: dump_counts\n";
    for kernel in ["debian-6.1", "debian-6.12", "debian-7.2", HARDENED] {
        assert_eq!(auto(&TCPCOUNT_LIGHT, &facts(kernel)), light, "{kernel}");
    }
    let in_hash = before_5_11(light) + "child: child_fentry child_queued_fentry\n";
    assert_eq!(auto(&TCPCOUNT_LIGHT, &facts("debian-5.10")), in_hash);
}

/// How a hook is served does not depend on the tool: what holds of these hooks in the tools below
/// holds in every tool and mode.
#[test]
fn all_hooks_of_tcpdash_and_modes_are_tested_here() {
    let tested = [
        &TCPSTATES,
        &TCPCOUNT,
        &TCPLATENCY,
        &LISTENOVERFLOW,
        &LISTENOVERFLOW_WAIT,
        &TCPRETRANS,
        &TCPRETRANS_PROBES,
        &TCPLIFE,
        &TCPPORTS_COST,
        &TCPDROP,
        &TCPSTALL,
    ];
    let tested: Vec<_> =
        tested.iter().flat_map(|spec| spec.hooks.iter().chain(spec.hash_hooks)).collect();
    let hooks = specs().flat_map(|spec| spec.hooks.iter().chain(spec.hash_hooks));
    let other: BTreeSet<_> = hooks
        .filter(|hook| !tested.iter().any(|one| std::ptr::eq(**one, **hook)))
        .map(|hook| hook.name)
        .collect();
    assert_eq!(other, BTreeSet::from(["sockets"]));
    for kernel in DEBIAN.into_iter().chain([HARDENED]) {
        let plan = auto(&TCPRETRANS, &facts(kernel));
        assert!(plan.contains(AGAIN), "{kernel}: {plan}");
        assert!(plan.contains("socket-counters: visit_sockets\n"), "{kernel}: {plan}");
        let plan = auto(&TCPRETRANS_PROBES, &facts(kernel));
        let probe = if kernel == HARDENED { " off: " } else { ": probe_fentry\n" };
        assert!(plan.contains(&format!("zero-window-probe{probe}")), "{kernel}: {plan}");
        let plan = auto(&TCPLIFE, &facts(kernel));
        assert!(plan.contains("reset: reset_tracepoint\n"), "{kernel}: {plan}");
        assert!(plan.contains("open-connections: dump_open\n"), "{kernel}: {plan}");
        let plan = auto(&TCPDROP, &facts(kernel));
        assert!(plan.contains("drop: drop_tracepoint\n"), "{kernel}: {plan}");
        assert!(plan.contains("destroy: destroy_tracepoint\n"), "{kernel}: {plan}");
        let plan = auto(&TCPSTALL, &facts(kernel));
        assert!(plan.contains("connections: dump_connections\n"), "{kernel}: {plan}");
        let by = if kernel == HARDENED { "send_wait_tracepoint" } else { "send_wait_fentry" };
        assert!(plan.contains(&format!("send-wait: {by}\n")), "{kernel}: {plan}");
    }
    for kernel in DEBIAN.into_iter().chain([HARDENED]) {
        let plan = auto(&TCPSTATES_SUMMARY, &facts(kernel));
        assert!(plan.contains("sockets: dump_sockets\n"), "{kernel}: {plan}");
    }
}

/// Where no function can be hooked, failures of `connect()` are still seen: its socket changes state.
#[test]
fn tcpports_hooks_functions_where_it_can() {
    for kernel in DEBIAN {
        let plan = auto(&TCPPORTS_COST, &facts(kernel));
        for line in [
            "bind: get_port_fexit",
            "port-reuse: port_reuse_fexit",
            "port-found: port_found_fentry",
        ] {
            assert!(plan.contains(line), "{kernel}: {plan}");
        }
        let bound = if kernel == "debian-5.10" { "dump_bound_by_inode" } else { "dump_bound" };
        assert!(plan.contains(&format!("bound: {bound}\n")), "{kernel}: {plan}");
    }
    let plan = auto(&TCPPORTS_COST, &facts(HARDENED));
    assert!(plan.contains("port-sockets: dump_ports\nbound: dump_bound\nport-counts:"), "{plan}");
    assert!(plan.contains("bind off: ") && plan.contains("port-found off: "), "{plan}");
}

/// The order of the hooks is that of the status record.
#[test]
fn modes_and_tcpdash_have_this_hook_order() {
    let names = |spec: &Spec| spec.hooks.iter().map(|hook| hook.name).collect::<Vec<_>>().join(" ");
    assert_eq!(names(&TCPSTATES_SUMMARY), "state use owners sockets");
    assert_eq!(names(&TCPLATENCY_EVENTS), "state send-begin segment owners listening");
    assert_eq!(names(&LISTENOVERFLOW_WAIT), names(&LISTENOVERFLOW));
    assert_eq!(
        names(&TCPDASH),
        "state reset send send-begin recv splice segment retransmit drop destroy syn final-ack synack-retransmit child \
         accept-return owners listening find-listeners listener-queues counts latencies listeners \
         waits sockets port-sockets bound port-counts connections"
    );
}

/// A name misspelt in a hook would pass for a feature that no kernel has.
#[test]
fn every_attach_target_exists_in_some_kernel() {
    let kernels: Vec<_> = DEBIAN.into_iter().chain([HARDENED]).map(facts).collect();
    for wanted in specs().map(Spec::wanted) {
        for name in wanted.tracepoints {
            assert!(kernels.iter().any(|facts| facts.tracepoints.contains(name)), "{name}");
        }
        for name in wanted.iterators {
            assert!(kernels.iter().all(|facts| facts.iterators.contains(name)), "{name}");
        }
        for name in wanted.functions {
            assert!(kernels.iter().any(|facts| facts.functions.contains_key(name)), "{name}");
        }
    }
}

/// What comes after the hooks about losses, in every plan.
const LISTENERS: &str = "find-listeners: find_listeners\nlistener-queues: look_at_listeners\n\
                         listeners: dump_listeners\nwaits: dump_waits\n";

#[test]
fn with_functions_listenoverflow_sees_each_decision() {
    const PAIRED_4: &str = "accept_fexit_4 accept_fentry";
    let kretprobes = "ack_v4_kretprobe ack_v6_kretprobe ack_v4_kprobe ack_v6_kprobe";
    for (kernel, make, accept) in [
        ("debian-5.10", "ack_v4_fexit_6 ack_v6_fexit_6 ack_v4_fentry ack_v6_fentry", PAIRED_4),
        // The only one that has seven parameters and cannot pass them on.
        ("debian-6.1", kretprobes, PAIRED_4),
        (
            "debian-6.12",
            "ack_v4_fexit_7 ack_v6_fexit_7 ack_v4_fentry ack_v6_fentry",
            "accept_fexit_2 accept_fentry",
        ),
        ("debian-7.2", "ack_v4_fexit_7 ack_v6_fexit_7", "accept_fexit_2"),
    ] {
        let listeners = if kernel == "debian-5.10" {
            LISTENERS.replace(": find_listeners\n", ": find_listeners_by_inode\n")
        } else {
            LISTENERS.to_owned()
        };
        let facts = facts(kernel);
        assert_eq!(
            auto(&LISTENOVERFLOW, &facts),
            format!(
                "state: state_tracepoint\nsyn: syn_fexit syn_queued_fentry cookie_v4_fentry \
                 cookie_v6_fentry syn_fentry\nfinal-ack: {make}\n\
                 synack-retransmit: retransmit_tracepoint\nchild: child_fentry \
                 child_queued_fentry\naccept-return: {accept}\n{listeners}"
            ),
            "{kernel}"
        );
        let kprobes = forced(&LISTENOVERFLOW, &facts, AttachMethod::Kprobe);
        for served in [
            "syn: syn_kretprobe syn_queued_kprobe cookie_v4_kprobe cookie_v6_kprobe syn_kprobe\n",
            "final-ack: ack_v4_kretprobe ack_v6_kretprobe ack_v4_kprobe ack_v6_kprobe\n",
            "child: child_kprobe child_queued_kprobe\n",
        ] {
            assert!(kprobes.contains(served), "{kernel}: {kprobes}");
        }
    }
}

#[test]
fn without_functions_listenoverflow_samples_its_listeners() {
    let plan = auto(&LISTENOVERFLOW, &facts(HARDENED));
    for served in [
        "syn: dump_listeners\n",
        "final-ack: discard_tracepoint\n",
        "child off: ",
        "accept-return off: ",
    ] {
        assert!(plan.contains(served), "{plan}");
    }
    let wait = auto(&LISTENOVERFLOW_WAIT, &facts(HARDENED));
    assert!(wait.contains("accept-return: accept_sys_exit\n"), "{wait}");
    // Before 6.11 the tracepoint had no socket of a freed segment.
    for (kernel, expected) in [("debian-6.1", false), ("debian-6.12", true)] {
        let plan = forced(&LISTENOVERFLOW, &facts(kernel), AttachMethod::Tracepoint);
        let served = plan.contains("final-ack: discard_tracepoint\n");
        assert_eq!(served, expected, "{kernel}: {plan}");
        assert!(expected || plan.contains("no sk_skb_reason_drop()"), "{kernel}: {plan}");
    }
}
