//! Which program serves each hook: pure decisions from facts and request.

use super::attach::{Attach, AttachMethod, AttachPoint, Hook, Program};
use super::error::StartError;
use super::facts::{Facts, Lockdown, MAP_ITERATOR};

/// An attach method with the programs that fit this kernel.
#[derive(Debug, PartialEq, Eq)]
pub struct Served {
    /// How they attach.
    pub kind: AttachMethod,
    /// In the order to attach them.
    pub programs: Vec<&'static Program>,
    /// Fentry programs see calls begin, for fexit programs that the kernel may skip.
    pub paired: bool,
}

impl Served {
    /// What it attaches to, each once.
    pub fn places(&self) -> Vec<&'static str> {
        let mut targets = Vec::new();
        for program in &self.programs {
            if !targets.contains(&program.target) {
                targets.push(program.target);
            }
        }
        targets
    }
}

/// The decision for one hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// The hook.
    pub hook: &'static Hook,
    /// The attach method in use, or why none is.
    pub method: Result<Served, String>,
    /// Better attach, and why they do not serve.
    pub passed_over: Vec<(AttachMethod, String)>,
}

/// What a user may insist on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanRequest {
    /// Only this attach method, for the hooks that have it.
    pub forced: Option<AttachMethod>,
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
    /// The [`StartError`] that names what is missing.
    pub fn decide(
        tool: &'static str,
        hooks: &[&'static Hook],
        hash_hooks: &[&'static Hook],
        facts: &Facts,
        request: PlanRequest,
    ) -> Result<Self, StartError> {
        if !facts.init_userns {
            return Err(StartError::UserNamespace);
        }
        let missing = facts.missing_capabilities();
        if !missing.is_empty() {
            return Err(StartError::Capabilities { missing, tool, root: facts.root });
        }
        if !facts.btf {
            return Err(StartError::NoBtf);
        }
        let decide = |hook: &&'static Hook| choose(hook, facts, request.forced);
        let mut choices: Vec<_> = hooks.iter().map(decide).collect();
        forcible(&choices, request.forced)?;
        let use_hash = storage_or_hash(&choices, facts, request.use_hash)?;
        if use_hash {
            choices.extend(hash_hooks.iter().map(decide));
        }
        let unserved: Vec<_> = choices
            .iter()
            .filter(|choice| choice.hook.required)
            .filter_map(|choice| Some((choice.hook.name, choice.method.as_ref().err()?.clone())))
            .collect();
        match request.forced {
            _ if unserved.is_empty() => Ok(Self { choices, use_hash }),
            Some(method) => {
                Err(StartError::MethodUnavailable { method: method.name(), missing: unserved })
            }
            None => {
                Err(StartError::Unsupported { release: facts.release.clone(), missing: unserved })
            }
        }
    }

    /// The hooks that are served, in attach order.
    pub fn served(&self) -> impl Iterator<Item = &Served> {
        self.choices.iter().filter_map(|choice| choice.method.as_ref().ok())
    }

    /// Programs to load, in attach order.
    pub fn programs(&self) -> impl Iterator<Item = (AttachMethod, &'static Program)> {
        self.served()
            .flat_map(|served| served.programs.iter().map(|program| (served.kind, *program)))
    }

    /// Programs that serve a hook.
    pub fn programs_of(&self, hook: &Hook) -> impl Iterator<Item = &'static Program> {
        self.served_by(hook).into_iter().flat_map(|served| served.programs.iter().copied())
    }

    /// Whether any hook uses this method.
    pub fn uses(&self, kind: AttachMethod) -> bool {
        self.served().any(|served| served.kind == kind)
    }

    /// Whether fexit programs count only calls whose beginning was seen.
    pub fn pairs_fexit(&self) -> bool {
        self.served().any(|served| served.paired)
    }

    /// Whether programs remember calls in progress.
    pub fn pairs_calls(&self) -> bool {
        self.pairs_fexit() || self.uses(AttachMethod::Kprobe)
    }

    /// The functions whose calls may be remembered.
    pub fn functions(&self) -> Vec<&'static str> {
        let hooked = |kind| matches!(kind, AttachMethod::Fentry | AttachMethod::Kprobe);
        self.programs().filter(|(kind, _)| hooked(*kind)).map(|(_, one)| one.target).collect()
    }

    /// How a hook is served; `None`: it is not.
    pub fn method_of(&self, hook: &Hook) -> Option<AttachMethod> {
        self.served_by(hook).map(|served| served.kind)
    }

    /// Hooks of one name stand for the same place.
    fn served_by(&self, hook: &Hook) -> Option<&Served> {
        let choice = self.choices.iter().find(|choice| choice.hook.name == hook.name)?;
        choice.method.as_ref().ok()
    }
}

/// What is insisted on must serve some hook, or it is as good as refused.
fn forcible(choices: &[Choice], forced: Option<AttachMethod>) -> Result<(), StartError> {
    let Some(kind) = forced else { return Ok(()) };
    let serves = |choice: &Choice| choice.method.as_ref().is_ok_and(|served| served.kind == kind);
    if choices.iter().any(serves) {
        return Ok(());
    }
    let (having, lacking): (Vec<_>, Vec<_>) =
        choices.iter().partition(|choice| choice.hook.has(kind));
    let missing = if having.is_empty() {
        let required = lacking.into_iter().filter(|choice| choice.hook.required);
        let instead =
            required.filter_map(|one| Some((one.hook.name, one.method.as_ref().ok()?.kind)));
        instead
            .map(|(hook, by)| {
                (hook, format!("this tool cannot attach it by {kind} (available: {by})"))
            })
            .collect()
    } else {
        let refused =
            having.into_iter().filter_map(|one| Some((one.hook.name, one.method.as_ref().err()?)));
        refused.map(|(name, reason)| (name, reason.clone())).collect()
    };
    Err(StartError::MethodUnavailable { method: kind.name(), missing })
}

/// Whether sockets are to be kept in a hash map.
fn storage_or_hash(
    choices: &[Choice],
    facts: &Facts,
    wanted: Option<bool>,
) -> Result<bool, StartError> {
    let probing = choices
        .iter()
        .find(|choice| choice.method.as_ref().is_ok_and(|served| served.kind.probes_memory()));
    let obstacle = match probing {
        Some(choice) => {
            Some(format!("{}: programs attached this way cannot use it", choice.hook.name))
        }
        None if !facts.socket_storage() => {
            Some("this kernel refuses it to tracing programs".to_owned())
        }
        None => None,
    };
    match (wanted, obstacle) {
        (Some(false), Some(obstacle)) => Err(StartError::NoStorage { obstacle }),
        (wanted, obstacle) => Ok(wanted.unwrap_or(obstacle.is_some())),
    }
}

/// The decision for one hook by itself.
pub fn choose(hook: &'static Hook, facts: &Facts, forced: Option<AttachMethod>) -> Choice {
    let mut passed_over = Vec::new();
    let (fitting, other): (Vec<_>, Vec<_>) =
        hook.attach.iter().partition(|method| fits(method.kind, hook, forced));
    for method in fitting {
        match serve(method, facts) {
            Ok(served) => return Choice { hook, method: Ok(served), passed_over },
            Err(reason) => passed_over.push((method.kind, reason)),
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
        .filter(|method| serve(method, facts).is_ok())
        .map(|method| method.kind.name())
        .collect();
    if !available.is_empty() {
        reason = format!("{reason} (available: {})", available.join(", "));
    }
    Choice { hook, method: Err(reason), passed_over }
}

/// What is insisted on goes for the hooks that have it; the others are served by what every
/// kernel is expected to have.
fn fits(kind: AttachMethod, hook: &Hook, forced: Option<AttachMethod>) -> bool {
    match forced {
        None => true,
        Some(forced) if hook.has(forced) => kind == forced,
        Some(_) => !matches!(kind, AttachMethod::Fentry | AttachMethod::Kprobe),
    }
}

/// The programs of a method that fit this kernel, or why it is unavailable.
fn serve(method: &Attach, facts: &Facts) -> Result<Served, String> {
    let mut served = Served { kind: method.kind, programs: Vec::new(), paired: false };
    for part in method.parts {
        let (choices, wanted) = match part {
            AttachPoint::Needed(choices) => (*choices, true),
            AttachPoint::WherePresent(choices) => (*choices, present(choices, facts)),
            AttachPoint::Entry(choices) => {
                (*choices, !facts.fexit_sees_every_return() && present(choices, facts))
            }
        };
        if wanted {
            served.programs.push(fitting(method.kind, choices, facts)?);
            served.paired |= matches!(part, AttachPoint::Entry(_));
        }
    }
    Ok(served)
}

fn present(programs: &[Program], facts: &Facts) -> bool {
    programs.iter().any(|program| facts.functions.contains_key(program.target))
}

/// The first that fits; else why the last, which is for the newest kernels, does not.
fn fitting(
    kind: AttachMethod,
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

/// Every kernel has this helper; lockdown may refuse it.
const COPY: &str = "bpf_probe_read_kernel";
const NO_COPIES: &str = "lockdown=confidentiality refuses to copy kernel memory";

/// Why the kernel cannot offer a program its place.
fn obstacle(kind: AttachMethod, program: &Program, facts: &Facts) -> Option<String> {
    let target = program.target;
    if let Some(words) = facts.refused.get(program.name) {
        return Some(format!("this kernel refused {}: {words}", program.name));
    }
    match program.needs {
        Some(COPY) if facts.lockdown == Lockdown::Confidentiality => {
            return Some(NO_COPIES.to_owned());
        }
        Some(needed) if needed != COPY && !facts.functions.contains_key(needed) => {
            return Some(format!("this kernel has no {needed}()"));
        }
        _ => {}
    }
    match kind {
        AttachMethod::Fentry => {
            facts.fentry_refused.clone().or_else(|| wrong_function(program, facts))
        }
        AttachMethod::Kprobe => {
            facts.kprobe_refused.clone().or_else(|| wrong_function(program, facts))
        }
        AttachMethod::Tracepoint | AttachMethod::RawTracepoint
            if !facts.tracepoints.contains(target) =>
        {
            Some(format!("this kernel has no tracepoint {target}"))
        }
        AttachMethod::RawTracepoint if facts.lockdown == Lockdown::Confidentiality => {
            Some(NO_COPIES.to_owned())
        }
        AttachMethod::Iterator if !facts.iterators.contains(target) => {
            Some(format!("this kernel has no BPF iterator {target}"))
        }
        AttachMethod::Iterator if target == MAP_ITERATOR => facts.map_iterators_refused.clone(),
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
#[path = "plan_tests.rs"]
mod tests;
