//! Which program serves each hook of the real tools, or why they refuse, on kernels whose facts
//! lie in tests/facts and on invented ones.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use tcpscope::hooks::{Spec, TCPCOUNT, TCPSTATES, TCPSTATES_SUMMARY};
use tcpscope::kernel::facts::{Facts, Lockdown};
use tcpscope::kernel::plan::{Hook, RungKind};

const TOOLS: [&Spec; 3] = [&TCPSTATES, &TCPSTATES_SUMMARY, &TCPCOUNT];
/// Without the tracepoints that came with `sock_send_length` and `sock_recv_length`.
const OLD: [&str; 2] = ["debian-5.10", "debian-6.1"];
const NEW: [&str; 3] = ["debian-6.12", "hardened-6.18", "debian-7.2"];

fn facts(name: &str) -> Facts {
    let path = format!("{}/tests/facts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A plan in words, one line a hook; or the refusal after its exit code.
fn decide(spec: &Spec, facts: &Facts, forced: Option<RungKind>, use_hash: bool) -> String {
    let plan = match spec.plan(facts, forced, use_hash) {
        Ok(plan) => plan,
        Err(refusal) => return format!("{}: {refusal}", refusal.exit_code()),
    };
    plan.choices.iter().fold(String::new(), |mut text, choice| {
        let name = choice.hook.name;
        match &choice.rung {
            Ok(rung) => writeln!(text, "{name} {} {}", rung.kind, rung.target),
            Err(reason) => writeln!(text, "{name} off: {reason}"),
        }
        .expect("a String takes everything");
        text
    })
}

fn auto(spec: &Spec, facts: &Facts) -> String {
    decide(spec, facts, None, false)
}

const STATES_IN_FULL: &str = "\
state tracepoint inet_sock_set_state
time-wait iterator tcp
send tracepoint sock_send_length
recv tracepoint sock_recv_length
owners iterator task_file
";

const STATES_WITHOUT_USE: &str = "\
state tracepoint inet_sock_set_state
time-wait iterator tcp
send off: this kernel has no tracepoint sock_send_length
recv off: this kernel has no tracepoint sock_recv_length
owners iterator task_file
";

const COUNT_IN_FULL: &str = "\
state tracepoint inet_sock_set_state
send tracepoint sock_send_length
recv tracepoint sock_recv_length
segment tracepoint tcp_probe
destroy tracepoint tcp_destroy_sock
owners iterator task_file
counts iterator bpf_map_elem
";

/// The summary looks at all sockets anyway.
fn summary_of(events: &str) -> String {
    let others = events.lines().filter(|line| !line.starts_with("time-wait"));
    others.chain(["sockets iterator tcp"]).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn newer_kernels_serve_everything() {
    for kernel in NEW {
        let facts = facts(kernel);
        assert_eq!(auto(&TCPSTATES, &facts), STATES_IN_FULL, "{kernel}");
        let summary = summary_of(STATES_IN_FULL);
        assert_eq!(auto(&TCPSTATES_SUMMARY, &facts), summary, "{kernel}");
        assert_eq!(auto(&TCPCOUNT, &facts), COUNT_IN_FULL, "{kernel}");
    }
}

#[test]
fn older_kernels_serve_tcpstates_without_first_use() {
    for kernel in OLD {
        let facts = facts(kernel);
        assert_eq!(auto(&TCPSTATES, &facts), STATES_WITHOUT_USE, "{kernel}");
        let summary = summary_of(STATES_WITHOUT_USE);
        assert_eq!(auto(&TCPSTATES_SUMMARY, &facts), summary, "{kernel}");
    }
}

#[test]
fn older_kernels_refuse_tcpcount_by_name() {
    for kernel in OLD {
        let facts = facts(kernel);
        let refusal = format!(
            "5: kernel {} cannot serve send: this kernel has no tracepoint sock_send_length; \
             recv: this kernel has no tracepoint sock_recv_length",
            facts.release
        );
        assert_eq!(auto(&TCPCOUNT, &facts), refusal, "{kernel}");
    }
}

#[test]
fn a_hash_map_of_sockets_wants_to_know_of_their_end() {
    for kernel in OLD.into_iter().chain(NEW) {
        let facts = facts(kernel);
        for spec in [&TCPSTATES, &TCPSTATES_SUMMARY] {
            let with = format!("{}destroy tracepoint tcp_destroy_sock\n", auto(spec, &facts));
            assert_eq!(decide(spec, &facts, None, true), with, "{kernel}");
        }
    }
    let mut forgetful = facts("debian-7.2");
    forgetful.tracepoints.remove("tcp_destroy_sock");
    assert_eq!(auto(&TCPSTATES, &forgetful), STATES_IN_FULL);
    assert_eq!(
        decide(&TCPSTATES, &forgetful, None, true),
        "5: kernel 7.2.13 cannot serve destroy: this kernel has no tracepoint tcp_destroy_sock"
    );
}

#[test]
fn tracepoints_are_the_only_rung_that_can_be_forced() {
    for kernel in NEW {
        let facts = facts(kernel);
        for spec in TOOLS {
            let forced = |rung| decide(spec, &facts, Some(rung), false);
            assert_eq!(forced(RungKind::Tracepoint), auto(spec, &facts), "{kernel}");
            for rung in [RungKind::Fentry, RungKind::Kprobe] {
                // Iterators are no rung to be forced; they serve whatever is asked for.
                let watches = |hook: &&&Hook| {
                    hook.required && hook.rungs.iter().all(|rung| rung.kind != RungKind::Iterator)
                };
                let hooks: Vec<_> =
                    spec.hooks.iter().filter(watches).map(|hook| hook.name).collect();
                let start = format!(
                    "8: --probe {rung} is not possible here: {}: this tool has no {rung} rung for \
                     it (available: tracepoint)",
                    hooks.join(", ")
                );
                let refusal = forced(rung);
                assert!(refusal.starts_with(&start), "{kernel}: {refusal}");
            }
        }
    }
}

#[test]
fn what_the_kernel_forbids_has_its_own_code_for_every_tool() {
    let good = facts("debian-7.2");
    let kernels = [
        ("3: missing CAP_BPF and CAP_PERFMON:", Facts { capabilities: 0, ..good.clone() }),
        ("3: missing CAP_PERFMON:", Facts { capabilities: 1 << 39, ..good.clone() }),
        ("4: this kernel has no BTF", Facts { btf: false, ..good.clone() }),
        ("6: this is an unprivileged user namespace", Facts { init_userns: false, ..good }),
    ];
    for (start, facts) in kernels {
        for spec in TOOLS {
            let refusal = auto(spec, &facts);
            assert!(refusal.starts_with(start), "{}: {refusal}", spec.name);
            assert!(!refusal.contains("sudo"), "root needs no sudo: {refusal}");
        }
    }
}

#[test]
fn who_is_not_root_is_told_how_to_become_able() {
    let nobody = Facts { capabilities: 0, root: false, ..facts("debian-7.2") };
    for spec in TOOLS {
        let refusal = auto(spec, &nobody);
        assert!(refusal.contains("setcap cap_bpf,cap_perfmon+ep"), "{refusal}");
        assert!(refusal.contains(spec.name), "{refusal}");
    }
}

/// What the tools need reads no kernel memory through helpers, so no lockdown is in its way. If
/// a kernel thinks otherwise, its refusal of the load says so.
#[test]
fn lockdown_changes_no_plan() {
    let open = facts("debian-7.2");
    for lockdown in [Lockdown::Integrity, Lockdown::Confidentiality] {
        let locked = Facts { lockdown, ..open.clone() };
        for spec in TOOLS {
            assert_eq!(auto(spec, &locked), auto(spec, &open), "{lockdown:?}");
        }
    }
}

#[test]
fn a_kernel_without_anything_is_told_everything_that_is_missing() {
    let bare =
        Facts { tracepoints: BTreeSet::new(), iterators: BTreeSet::new(), ..facts("debian-7.2") };
    assert_eq!(
        auto(&TCPSTATES, &bare),
        "5: kernel 7.2.13 cannot serve state: this kernel has no tracepoint inet_sock_set_state"
    );
    let refusal = auto(&TCPCOUNT, &bare);
    for missing in ["state", "send", "recv", "segment", "destroy"] {
        assert!(
            refusal.contains(&format!("{missing}: this kernel has no tracepoint")),
            "{refusal}"
        );
    }
    assert!(refusal.contains("counts: this kernel has no BPF iterator bpf_map_elem"), "{refusal}");
    assert!(!refusal.contains("owners"), "not required: {refusal}");
}

/// A name misspelt in a hook would pass for a feature that no kernel has.
#[test]
fn the_newest_kernel_has_every_name_that_hooks_attach_to() {
    let facts = facts("debian-7.2");
    let targets = |kind| TOOLS.iter().flat_map(move |spec| spec.targets(kind)).map(str::to_owned);
    assert_eq!(targets(RungKind::Tracepoint).collect::<BTreeSet<_>>(), facts.tracepoints);
    assert_eq!(targets(RungKind::Iterator).collect::<BTreeSet<_>>(), facts.iterators);
}
