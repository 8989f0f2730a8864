//! What a tool watches, and the plan that follows from it.

use crate::kernel::attach::{Attach, AttachMethod, Hook};
use crate::kernel::error::StartError;
use crate::kernel::facts::{Facts, SymbolNames};
use crate::kernel::plan::{Plan, PlanRequest};

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
    /// Events are counted in the kernel: none is pending for user space.
    pub counts_in_kernel: bool,
}

impl Spec {
    /// The targets of its attach methods of these kinds: names to find in the kernel.
    pub fn targets(&self, kinds: &[AttachMethod]) -> Vec<&'static str> {
        let hooks = self.hooks.iter().chain(self.hash_hooks);
        let attach =
            hooks.flat_map(|hook| hook.attach).filter(|method| kinds.contains(&method.kind));
        let mut targets: Vec<_> = attach.flat_map(Attach::programs).map(|one| one.target).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// All kernel names to find.
    pub fn wanted(&self) -> SymbolNames {
        SymbolNames {
            tracepoints: self.targets(&[AttachMethod::Tracepoint, AttachMethod::RawTracepoint]),
            iterators: self.targets(&[AttachMethod::Iterator]),
            functions: self.targets(&[AttachMethod::Fentry, AttachMethod::Kprobe]),
        }
    }

    /// The plan for a kernel.
    ///
    /// # Errors
    /// Those of [`Plan::decide`].
    pub fn plan(&self, facts: &Facts, request: PlanRequest) -> Result<Plan, StartError> {
        Plan::decide(self.name, self.hooks, self.hash_hooks, facts, request)
    }
}
