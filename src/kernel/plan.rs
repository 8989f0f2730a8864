//! Which program serves each hook: pure decisions from facts and request.

use std::fmt;

use super::facts::{Facts, Lockdown};
use super::refusal::Refusal;

/// A way to reach a hook, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RungKind {
    /// fentry/fexit on the function.
    Fentry,
    /// kprobe/kretprobe on the function.
    Kprobe,
    /// BTF tracepoint (`tp_btf`).
    Tracepoint,
    /// BPF iterator, read by polling.
    Iterator,
}

impl RungKind {
    /// As `--probe` and the status record spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
            Self::Iterator => "iterator",
        }
    }
}

impl fmt::Display for RungKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One program that can serve a hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Rung {
    /// How it attaches.
    pub kind: RungKind,
    /// Name of the program in the object.
    pub program: &'static str,
    /// What it attaches to: tracepoint, function or iterator.
    pub target: &'static str,
}

/// A logical place in the kernel, with every rung we have for it, best first.
#[derive(Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name in the status record.
    pub name: &'static str,
    /// Ways to reach it.
    pub rungs: &'static [Rung],
    /// Without it the tool does not start; otherwise it goes on with less.
    pub required: bool,
}

/// The decision for one hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// The hook.
    pub hook: &'static Hook,
    /// The rung that serves it, or why none does.
    pub rung: Result<&'static Rung, String>,
}

/// What to load.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// One a hook, in the order given; programs attach in this order.
    pub choices: Vec<Choice>,
}

impl Plan {
    /// Decides for every hook. `forced` restricts hooks to one kind of rung; iterators are
    /// no such kind, for they read what is there rather than watch what happens.
    ///
    /// # Errors
    /// The [`Refusal`] that names what is missing.
    pub fn decide(
        tool: &'static str,
        hooks: &[&'static Hook],
        facts: &Facts,
        forced: Option<RungKind>,
    ) -> Result<Self, Refusal> {
        if !facts.init_userns {
            return Err(Refusal::UserNamespace);
        }
        let missing = facts.missing_capabilities();
        if !missing.is_empty() {
            return Err(Refusal::Capabilities { missing, tool, root: facts.root });
        }
        if !facts.btf {
            return Err(Refusal::NoBtf);
        }
        let choices: Vec<_> =
            hooks.iter().map(|hook| Choice { hook, rung: choose(hook, facts, forced) }).collect();
        let unserved: Vec<_> = choices
            .iter()
            .filter(|choice| choice.hook.required)
            .filter_map(|choice| Some((choice.hook.name, choice.rung.as_ref().err()?.clone())))
            .collect();
        match forced {
            _ if unserved.is_empty() => Ok(Self { choices }),
            Some(rung) => Err(Refusal::RungUnavailable { rung: rung.name(), missing: unserved }),
            None => Err(Refusal::Unsupported { release: facts.release.clone(), missing: unserved }),
        }
    }

    /// Programs to load, in attach order.
    pub fn rungs(&self) -> impl Iterator<Item = &'static Rung> {
        self.choices.iter().filter_map(|choice| choice.rung.as_ref().ok().copied())
    }

    /// How a hook is served; `None`: it is not.
    pub fn kind_of(&self, hook: &str) -> Option<RungKind> {
        let choice = self.choices.iter().find(|choice| choice.hook.name == hook)?;
        choice.rung.as_ref().ok().map(|rung| rung.kind)
    }

    /// Whether a hook is served.
    pub fn serves(&self, hook: &str) -> bool {
        self.choices.iter().any(|choice| choice.hook.name == hook && choice.rung.is_ok())
    }
}

fn choose(
    hook: &'static Hook,
    facts: &Facts,
    forced: Option<RungKind>,
) -> Result<&'static Rung, String> {
    let offered = |rung: &&&Rung| refused(rung, facts).is_none();
    let fits = |rung: &&Rung| {
        forced.is_none_or(|kind| rung.kind == kind || rung.kind == RungKind::Iterator)
    };
    if let Some(rung) = hook.rungs.iter().filter(fits).find(|rung| offered(&rung)) {
        return Ok(rung);
    }
    let available: Vec<_> =
        hook.rungs.iter().filter(|rung| offered(&rung)).map(|rung| rung.kind.name()).collect();
    let mut reasons: Vec<_> =
        hook.rungs.iter().filter(fits).filter_map(|rung| refused(rung, facts)).collect();
    if let (Some(kind), true) = (forced, reasons.is_empty()) {
        reasons.push(format!("this tool has no {kind} rung for it"));
    }
    let reason = reasons.join(", ");
    Err(if available.is_empty() {
        reason
    } else {
        format!("{reason} (available: {})", available.join(", "))
    })
}

/// Why the kernel cannot offer a rung.
fn refused(rung: &Rung, facts: &Facts) -> Option<String> {
    let target = rung.target;
    match rung.kind {
        RungKind::Tracepoint if !facts.tracepoints.contains(target) => {
            Some(format!("this kernel has no tracepoint {target}"))
        }
        RungKind::Iterator if !facts.iterators.contains(target) => {
            Some(format!("this kernel has no BPF iterator {target}"))
        }
        RungKind::Kprobe if facts.lockdown == Lockdown::Confidentiality => {
            Some("lockdown=confidentiality refuses kprobes".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SEND: Hook = Hook {
        name: "send",
        rungs: &[Rung {
            kind: RungKind::Tracepoint,
            program: "send_tracepoint",
            target: "sock_send_length",
        }],
        required: true,
    };
    static OWNERS: Hook = Hook {
        name: "owners",
        rungs: &[Rung { kind: RungKind::Iterator, program: "learn_owners", target: "task_file" }],
        required: false,
    };

    fn facts() -> Facts {
        Facts {
            release: "6.18.0-test".to_owned(),
            btf: true,
            tracepoints: ["sock_send_length".to_owned()].into(),
            iterators: ["task_file".to_owned()].into(),
            functions: [].into(),
            fentry_refused: None,
            kprobe_refused: None,
            capabilities: u64::MAX,
            root: true,
            init_userns: true,
            lockdown: Lockdown::Integrity,
        }
    }

    fn decide(facts: &Facts, forced: Option<RungKind>) -> Result<Plan, Refusal> {
        Plan::decide("tool", &[&SEND, &OWNERS], facts, forced)
    }

    #[test]
    fn every_hook_gets_its_rung() {
        let plan = decide(&facts(), None).unwrap();
        let programs: Vec<_> = plan.rungs().map(|rung| rung.program).collect();
        assert_eq!(programs, ["send_tracepoint", "learn_owners"]);
    }

    #[test]
    fn forcing_a_kind_leaves_iterators_alone() {
        assert!(decide(&facts(), Some(RungKind::Tracepoint)).unwrap().serves("owners"));
    }

    #[test]
    fn a_forced_rung_that_is_missing_names_the_others() {
        let refusal = decide(&facts(), Some(RungKind::Fentry)).unwrap_err();
        assert_eq!(refusal.exit_code(), 8);
        let text = refusal.to_string();
        assert!(text.contains("send: this tool has no fentry rung"), "{text}");
        assert!(text.contains("available: tracepoint"), "{text}");
    }

    #[test]
    fn a_required_hook_without_rung_refuses_by_name() {
        let refusal = decide(&Facts { tracepoints: [].into(), ..facts() }, None).unwrap_err();
        assert_eq!(refusal.exit_code(), 5);
        assert!(refusal.to_string().contains("no tracepoint sock_send_length"), "{refusal}");
    }

    #[test]
    fn an_optional_hook_without_rung_keeps_its_reason() {
        let plan = decide(&Facts { iterators: [].into(), ..facts() }, None).unwrap();
        assert!(!plan.serves("owners"));
        let reason = plan.choices[1].rung.as_ref().unwrap_err();
        assert!(reason.contains("no BPF iterator task_file"), "{reason}");
    }

    #[test]
    fn rights_come_before_features() {
        let nobody = Facts { capabilities: 0, btf: false, ..facts() };
        let refusal = decide(&nobody, None).unwrap_err();
        assert_eq!(refusal.exit_code(), 3);
        assert!(refusal.to_string().contains("missing CAP_BPF and CAP_PERFMON"), "{refusal}");
        let half = Facts { capabilities: 1 << 39, ..facts() };
        assert!(decide(&half, None).unwrap_err().to_string().starts_with("missing CAP_PERFMON:"));
        let old_admin = Facts { capabilities: 1 << 21, ..facts() };
        assert!(decide(&old_admin, None).is_ok());
    }

    #[test]
    fn a_user_namespace_and_missing_btf_have_their_own_codes() {
        let inside = Facts { init_userns: false, ..facts() };
        assert_eq!(decide(&inside, None).unwrap_err().exit_code(), 6);
        let bare = Facts { btf: false, ..facts() };
        assert_eq!(decide(&bare, None).unwrap_err().exit_code(), 4);
    }
}
