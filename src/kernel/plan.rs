//! Which program serves each hook: pure decisions from facts and request.

use std::fmt;

use super::facts::{Facts, Lockdown};
use super::refusal::Refusal;

/// A way to reach a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RungKind {
    /// fentry/fexit on functions.
    Fentry,
    /// kprobe/kretprobe on functions.
    Kprobe,
    /// BTF tracepoint (`tp_btf`).
    Tracepoint,
    /// Tracepoint whose arguments are mere numbers (`raw_tp`): for kernels that refuse BTF tracing.
    RawTracepoint,
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
            Self::RawTracepoint => "raw-tracepoint",
            Self::Iterator => "iterator",
        }
    }

    /// Its programs copy kernel memory and are refused socket storage.
    fn probes_memory(self) -> bool {
        matches!(self, Self::Kprobe | Self::RawTracepoint)
    }

    /// Its programs run when something happens; the others are run by a reader.
    pub fn watches(self) -> bool {
        self != Self::Iterator
    }
}

impl fmt::Display for RungKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which parameters a program relies on its function to have, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameters {
    /// It reads none that has ever changed.
    Any,
    /// The first ones.
    Begin(&'static [&'static str]),
    /// All: a fexit program finds the result behind the last.
    Exactly(&'static [&'static str]),
}

impl Parameters {
    fn fit(self, present: &[String]) -> bool {
        match self {
            Self::Any => true,
            Self::Begin(names) => {
                present.len() >= names.len() && present.iter().zip(names).all(|(a, b)| a == b)
            }
            Self::Exactly(names) => present == names,
        }
    }
}

/// One BPF program.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    /// What it attaches to: tracepoint, function or iterator.
    pub target: &'static str,
    /// What it expects of a function.
    pub parameters: Parameters,
}

/// A place that a rung watches, with the programs for it, of which one fits a kernel's prototype.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Without it the rung would not see everything.
    Needed(&'static [Program]),
    /// A function that some kernels do not have, nor what it does.
    WherePresent(&'static [Program]),
}

/// One way to serve a hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Rung {
    /// How it attaches.
    pub kind: RungKind,
    /// In the order to attach them.
    pub parts: &'static [Part],
}

impl Rung {
    /// Every program that some kernel may need.
    pub fn programs(&self) -> impl Iterator<Item = &'static Program> {
        self.parts.iter().flat_map(|part| match part {
            Part::Needed(programs) | Part::WherePresent(programs) => *programs,
        })
    }
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

impl Hook {
    /// Whether it has a rung of this kind, on whatever kernel.
    pub fn has(&self, kind: RungKind) -> bool {
        self.rungs.iter().any(|rung| rung.kind == kind)
    }
}

/// A rung with the programs that fit this kernel.
#[derive(Debug, PartialEq, Eq)]
pub struct Served {
    /// How they attach.
    pub kind: RungKind,
    /// In the order to attach them.
    pub programs: Vec<&'static Program>,
}

impl Served {
    /// What it attaches to, each once.
    pub fn places(&self) -> String {
        let mut targets: Vec<_> = self.programs.iter().map(|program| program.target).collect();
        targets.dedup();
        targets.join(", ")
    }
}

/// The decision for one hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// The hook.
    pub hook: &'static Hook,
    /// The rung that serves it, or why none does.
    pub rung: Result<Served, String>,
    /// Better rungs, and why they do not serve.
    pub passed_over: Vec<(RungKind, String)>,
}

/// What a user may insist on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Request {
    /// Only this kind of rung, for the hooks that have it.
    pub forced: Option<RungKind>,
    /// Sockets in a hash map (true) or in socket storage (false).
    pub use_hash: Option<bool>,
}

/// What to load.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// One a hook, in the order given; programs attach in this order.
    pub choices: Vec<Choice>,
    /// What is known of sockets is kept in a hash map, not in the sockets.
    pub use_hash: bool,
}

impl Plan {
    /// Decides for every hook; `hash_hooks` are needed besides where sockets are kept in a hash
    /// map.
    ///
    /// # Errors
    /// The [`Refusal`] that names what is missing.
    pub fn decide(
        tool: &'static str,
        hooks: &[&'static Hook],
        hash_hooks: &[&'static Hook],
        facts: &Facts,
        request: Request,
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
        let decide = |hook: &&'static Hook| choose(hook, facts, request.forced);
        let mut choices: Vec<_> = hooks.iter().map(decide).collect();
        forcible(&choices, request.forced)?;
        let use_hash = storage_or_hash(&choices, facts, request.use_hash)?;
        if use_hash {
            choices.extend(hash_hooks.iter().map(decide));
        }
        let insisted = |hook: &Hook| request.forced.is_some_and(|kind| hook.has(kind));
        let unserved: Vec<_> = choices
            .iter()
            .filter(|choice| choice.hook.required || insisted(choice.hook))
            .filter_map(|choice| Some((choice.hook.name, choice.rung.as_ref().err()?.clone())))
            .collect();
        match request.forced {
            _ if unserved.is_empty() => Ok(Self { choices, use_hash }),
            Some(rung) => Err(Refusal::RungUnavailable { rung: rung.name(), missing: unserved }),
            None => Err(Refusal::Unsupported { release: facts.release.clone(), missing: unserved }),
        }
    }

    /// The hooks that are served, in attach order.
    pub fn served(&self) -> impl Iterator<Item = &Served> {
        self.choices.iter().filter_map(|choice| choice.rung.as_ref().ok())
    }

    /// Programs to load, in attach order.
    pub fn programs(&self) -> impl Iterator<Item = (RungKind, &'static Program)> {
        self.served()
            .flat_map(|served| served.programs.iter().map(|program| (served.kind, *program)))
    }

    /// Whether some hook is served in this way.
    pub fn uses(&self, kind: RungKind) -> bool {
        self.served().any(|served| served.kind == kind)
    }

    /// How a hook is served; `None`: it is not.
    pub fn kind_of(&self, hook: &str) -> Option<RungKind> {
        let choice = self.choices.iter().find(|choice| choice.hook.name == hook)?;
        choice.rung.as_ref().ok().map(|served| served.kind)
    }
}

/// A kind of rung that none of the hooks has cannot be insisted on.
fn forcible(choices: &[Choice], forced: Option<RungKind>) -> Result<(), Refusal> {
    let Some(kind) = forced else { return Ok(()) };
    if choices.iter().any(|choice| choice.hook.has(kind)) {
        return Ok(());
    }
    let why = format!("this tool has no {kind} rung for it");
    let required = choices.iter().filter(|choice| choice.hook.required);
    let missing = required.map(|choice| (choice.hook.name, why.clone())).collect();
    Err(Refusal::RungUnavailable { rung: kind.name(), missing })
}

/// Whether sockets are to be kept in a hash map.
fn storage_or_hash(
    choices: &[Choice],
    facts: &Facts,
    wanted: Option<bool>,
) -> Result<bool, Refusal> {
    let probing = choices
        .iter()
        .find(|choice| choice.rung.as_ref().is_ok_and(|served| served.kind.probes_memory()));
    let obstacle = match probing {
        Some(choice) => Some(format!("{}: programs on this rung cannot use it", choice.hook.name)),
        None if !facts.socket_storage() => {
            Some("this kernel refuses it to tracing programs".to_owned())
        }
        None => None,
    };
    match (wanted, obstacle) {
        (Some(false), Some(obstacle)) => Err(Refusal::NoStorage { obstacle }),
        (wanted, obstacle) => Ok(wanted.unwrap_or(obstacle.is_some())),
    }
}

fn choose(hook: &'static Hook, facts: &Facts, forced: Option<RungKind>) -> Choice {
    let mut passed_over = Vec::new();
    let (fitting, other): (Vec<_>, Vec<_>) =
        hook.rungs.iter().partition(|rung| fits(rung.kind, hook, forced));
    for rung in fitting {
        match serve(rung, facts) {
            Ok(programs) => {
                let rung = Ok(Served { kind: rung.kind, programs });
                return Choice { hook, rung, passed_over };
            }
            Err(reason) => passed_over.push((rung.kind, reason)),
        }
    }
    let mut reasons: Vec<_> = Vec::new();
    for (_, reason) in &passed_over {
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
    let mut reason = reasons.join(", ");
    let available: Vec<_> = other
        .iter()
        .filter(|rung| serve(rung, facts).is_ok())
        .map(|rung| rung.kind.name())
        .collect();
    if !available.is_empty() {
        reason = format!("{reason} (available: {})", available.join(", "));
    }
    Choice { hook, rung: Err(reason), passed_over }
}

/// What is insisted on goes for the hooks that have it; the others are served by what every
/// kernel is expected to have.
fn fits(kind: RungKind, hook: &Hook, forced: Option<RungKind>) -> bool {
    match forced {
        None => true,
        Some(forced) if hook.has(forced) => kind == forced,
        Some(_) => !matches!(kind, RungKind::Fentry | RungKind::Kprobe),
    }
}

/// The programs of a rung that fit this kernel, or why it cannot be offered.
fn serve(rung: &Rung, facts: &Facts) -> Result<Vec<&'static Program>, String> {
    let mut programs = Vec::new();
    for part in rung.parts {
        match part {
            Part::WherePresent(choices) if !choices.iter().any(|one| present(one, facts)) => {}
            Part::Needed(choices) | Part::WherePresent(choices) => {
                programs.push(fitting(rung.kind, choices, facts)?);
            }
        }
    }
    Ok(programs)
}

fn present(program: &Program, facts: &Facts) -> bool {
    facts.functions.contains_key(program.target)
}

/// The first that fits; else why the last, which is for the newest kernels, does not.
fn fitting(
    kind: RungKind,
    choices: &'static [Program],
    facts: &Facts,
) -> Result<&'static Program, String> {
    let mut reason = String::new();
    for program in choices {
        match obstacle(kind, program, facts) {
            None => return Ok(program),
            Some(why) => reason = why,
        }
    }
    Err(reason)
}

/// Why the kernel cannot offer a program its place.
fn obstacle(kind: RungKind, program: &Program, facts: &Facts) -> Option<String> {
    let target = program.target;
    if let Some(words) = facts.refused.get(program.name) {
        return Some(format!("this kernel refused {}: {words}", program.name));
    }
    match kind {
        RungKind::Fentry => facts.fentry_refused.clone().or_else(|| wrong_function(program, facts)),
        RungKind::Kprobe => facts.kprobe_refused.clone().or_else(|| wrong_function(program, facts)),
        RungKind::Tracepoint | RungKind::RawTracepoint if !facts.tracepoints.contains(target) => {
            Some(format!("this kernel has no tracepoint {target}"))
        }
        RungKind::RawTracepoint if facts.lockdown == Lockdown::Confidentiality => {
            Some("lockdown=confidentiality refuses to copy kernel memory".to_owned())
        }
        RungKind::Iterator if !facts.iterators.contains(target) => {
            Some(format!("this kernel has no BPF iterator {target}"))
        }
        _ => None,
    }
}

fn wrong_function(program: &Program, facts: &Facts) -> Option<String> {
    let target = program.target;
    let Some(parameters) = facts.functions.get(target) else {
        return Some(format!(
            "this kernel has no function {target} to hook (absent, inlined or renamed)"
        ));
    };
    (!program.parameters.fit(parameters))
        .then(|| format!("{target} has unknown parameters here ({})", parameters.join(", ")))
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
