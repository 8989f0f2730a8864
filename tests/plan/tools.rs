//! What each tool hooks, on the same kernels.

use std::collections::BTreeSet;

use tcpscope::count::{TCPCOUNT, TCPCOUNT_LIGHT};
use tcpscope::dash::live::{TCPDASH, TCPDASH_LIGHT};
use tcpscope::drop::TCPDROP;
use tcpscope::kernel::attach::{Attach, AttachMethod};
use tcpscope::latency::{Kinds, LatencyKind, TCPLATENCY, TCPLATENCY_EVENTS, spec_of};
use tcpscope::life::TCPLIFE;
use tcpscope::listen::{LISTENOVERFLOW, LISTENOVERFLOW_WAIT};
use tcpscope::ports::TCPPORTS_COST;
use tcpscope::retrans::{TCPRETRANS, TCPRETRANS_PROBES};
use tcpscope::stall::TCPSTALL;
use tcpscope::states::{TCPSTATES, TCPSTATES_SUMMARY};
use tcpscope::tool::Spec;

use super::{AGAIN, DEBIAN, HARDENED, OLD, auto, before_5_11, facts, forced, specs};

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
        let by = if kernel == HARDENED { " off: " } else { ": connect4_fexit connect6_fexit\n" };
        assert!(plan.contains(&format!("connect-return{by}")), "{kernel}: {plan}");
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
