use super::*;
use crate::kernel::attach::attach;

static SEND: Hook = Hook {
    name: "send",
    attach: &[
        attach!(Fentry {
            Needed send_3: tcp_send(sk, msg, size) | send_2: tcp_send(sk, msg);
            WherePresent page: tcp_page(sk, ..);
        }),
        attach!(Tracepoint { Needed send_tp: send_length; }),
        attach!(Kprobe { Needed send_kp: tcp_send(sk, ..); }),
    ],
    required: true,
};
static OWNERS: Hook = Hook {
    name: "owners",
    attach: &[attach!(Iterator { Needed learn_owners: task_file; })],
    required: false,
};
static DESTROY: Hook = Hook {
    name: "destroy",
    attach: &[attach!(Tracepoint { Needed destroy_tp: destroy; })],
    required: true,
};

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn facts() -> Facts {
    Facts {
        release: "6.18.0-test".to_owned(),
        btf: true,
        tracepoints: ["send_length".to_owned(), "destroy".to_owned()].into(),
        iterators: ["task_file".to_owned()].into(),
        functions: [
            ("tcp_send".to_owned(), names(&["sk", "msg"])),
            ("bpf_sk_storage_tracing_allowed".to_owned(), names(&["prog"])),
        ]
        .into(),
        fentry_refused: None,
        map_iterators_refused: None,
        kprobe_refused: None,
        refused: [].into(),
        capabilities: u64::MAX,
        root: true,
        init_userns: true,
        lockdown: Lockdown::Integrity,
    }
}

fn decide(facts: &Facts, request: PlanRequest) -> Result<Plan, StartError> {
    Plan::decide("tool", &[&SEND, &OWNERS], &[&DESTROY], facts, request)
}

fn auto(facts: &Facts) -> Vec<&'static str> {
    decide(facts, PlanRequest::default()).unwrap().programs().map(|(_, one)| one.name).collect()
}

fn forced(facts: &Facts, kind: AttachMethod) -> Result<Plan, StartError> {
    decide(facts, PlanRequest { forced: Some(kind), use_hash: None })
}

#[test]
fn the_program_that_fits_the_prototype_is_taken() {
    assert_eq!(auto(&facts()), ["send_2", "learn_owners"]);
    let mut older = facts();
    older.functions.insert("tcp_send".to_owned(), names(&["sk", "msg", "size"]));
    assert_eq!(auto(&older), ["send_3", "learn_owners"]);
    older.functions.insert("tcp_page".to_owned(), names(&["sk", "page"]));
    assert_eq!(auto(&older), ["send_3", "page", "learn_owners"]);
}

/// A function that is there but cannot be watched would leave a hole in the numbers.
#[test]
fn an_unknown_prototype_disables_the_method() {
    let mut strange = facts();
    strange.functions.insert("tcp_page".to_owned(), names(&["page"]));
    assert_eq!(auto(&strange), ["send_tp", "learn_owners"]);
    let plan = decide(&strange, PlanRequest::default()).unwrap();
    let (kind, why) = &plan.choices[0].passed_over[0];
    assert_eq!(*kind, AttachMethod::Fentry);
    assert_eq!(why, "tcp_page has unknown parameters here (page)");
}

#[test]
fn a_refused_program_is_skipped_with_the_kernel_error() {
    let mut refusing = facts();
    refusing.refused.insert("send_2".to_owned(), "too old".to_owned());
    assert_eq!(auto(&refusing), ["send_tp", "learn_owners"]);
    refusing.tracepoints.clear();
    refusing.kprobe_refused = Some("no kprobes".to_owned());
    let refusal = decide(&refusing, PlanRequest::default()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "kernel 6.18.0-test cannot serve send: this kernel refused send_2: too old, this \
         kernel has no tracepoint send_length, no kprobes"
    );
}

#[test]
fn forcing_a_method_does_not_affect_iterators() {
    let plan = forced(&facts(), AttachMethod::Tracepoint).unwrap();
    assert_eq!(plan.method_of(&SEND), Some(AttachMethod::Tracepoint));
    assert_eq!(plan.method_of(&OWNERS), Some(AttachMethod::Iterator));
}

#[test]
fn an_unavailable_forced_method_lists_the_available_ones() {
    let refusal = forced(&facts(), AttachMethod::RawTracepoint).unwrap_err();
    assert_eq!(refusal.exit_code(), 8);
    let text = refusal.to_string();
    assert!(
        text.ends_with(
            "send: this tool cannot attach it by raw-tracepoint (available: tracepoint)"
        ),
        "{text}"
    );
    let hardened = Facts { fentry_refused: Some("EPERM".to_owned()), ..facts() };
    let text = forced(&hardened, AttachMethod::Fentry).unwrap_err().to_string();
    assert!(text.ends_with("send: EPERM (available: tracepoint, kprobe)"), "{text}");
}

#[test]
fn kprobes_keep_sockets_in_a_hash_map() {
    assert!(!decide(&facts(), PlanRequest::default()).unwrap().use_hash);
    let plan = forced(&facts(), AttachMethod::Kprobe).unwrap();
    assert!(plan.use_hash);
    assert_eq!(plan.method_of(&DESTROY), Some(AttachMethod::Tracepoint));
    let storage = PlanRequest { forced: Some(AttachMethod::Kprobe), use_hash: Some(false) };
    let refusal = decide(&facts(), storage).unwrap_err();
    assert_eq!(refusal.exit_code(), 8);
    assert!(refusal.to_string().contains("send: programs attached this way"), "{refusal}");
}

#[test]
fn old_kernels_keep_sockets_in_a_hash_map() {
    let mut old = facts();
    old.functions.remove("bpf_sk_storage_tracing_allowed");
    assert!(decide(&old, PlanRequest::default()).unwrap().use_hash);
    let insisting = PlanRequest { forced: None, use_hash: Some(false) };
    assert_eq!(decide(&old, insisting).unwrap_err().exit_code(), 8);
}

#[test]
fn an_optional_hook_without_method_keeps_its_reason() {
    let facts = Facts { iterators: [].into(), ..facts() };
    let plan = decide(&facts, PlanRequest::default()).unwrap();
    assert_eq!(plan.method_of(&OWNERS), None);
    let reason = plan.choices[1].method.as_ref().unwrap_err();
    assert!(reason.contains("no BPF iterator task_file"), "{reason}");
}

#[test]
fn capabilities_are_checked_before_features() {
    let unprivileged = Facts { capabilities: 0, btf: false, ..facts() };
    let refusal = decide(&unprivileged, PlanRequest::default()).unwrap_err();
    assert_eq!(refusal.exit_code(), 3);
    assert!(refusal.to_string().contains("missing CAP_BPF and CAP_PERFMON"), "{refusal}");
    let half = Facts { capabilities: 1 << 39, ..facts() };
    let refusal = decide(&half, PlanRequest::default()).unwrap_err();
    assert!(refusal.to_string().starts_with("missing CAP_PERFMON:"));
    let old_admin = Facts { capabilities: 1 << 21, ..facts() };
    assert!(decide(&old_admin, PlanRequest::default()).is_ok());
}

#[test]
fn a_user_namespace_and_missing_btf_have_their_own_codes() {
    let code = |facts: &Facts| decide(facts, PlanRequest::default()).unwrap_err().exit_code();
    assert_eq!(code(&Facts { init_userns: false, ..facts() }), 6);
    assert_eq!(code(&Facts { btf: false, ..facts() }), 4);
}
