//! Programs, attach methods and hooks.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::Word;

/// How a program reaches a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum AttachMethod {
    /// fentry/fexit on functions.
    Fentry,
    /// kprobe/kretprobe on functions.
    Kprobe,
    /// BTF tracepoint (`tp_btf`).
    Tracepoint,
    /// Tracepoint with untyped arguments (`raw_tp`), for kernels that refuse BTF tracing.
    RawTracepoint,
    /// BPF iterator, read by polling.
    Iterator,
    /// `bpf()` reads the map: for kernels that refuse iterators over maps.
    Lookup,
}

impl AttachMethod {
    /// As `--attach` and the status record spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
            Self::RawTracepoint => "raw-tracepoint",
            Self::Iterator => "iterator",
            Self::Lookup => "lookup",
        }
    }

    /// Its programs copy kernel memory and are refused socket storage.
    pub(super) fn probes_memory(self) -> bool {
        matches!(self, Self::Kprobe | Self::RawTracepoint)
    }

    /// Its programs run when something happens; the others are run by a reader.
    pub fn watches(self) -> bool {
        !matches!(self, Self::Iterator | Self::Lookup)
    }
}

impl Word for AttachMethod {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Fentry, "fentry"),
        (Self::Kprobe, "kprobe"),
        (Self::Tracepoint, "tracepoint"),
        (Self::RawTracepoint, "raw-tracepoint"),
        (Self::Iterator, "iterator"),
        (Self::Lookup, "lookup"),
    ];
}

impl fmt::Display for AttachMethod {
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
    pub(super) fn fit(self, present: &[String]) -> bool {
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
    /// What it attaches to: tracepoint, function or iterator; of a lookup, the map.
    pub target: &'static str,
    /// What it expects of a function.
    pub parameters: Parameters,
    /// A kernel function, usually a helper, that the program needs to load.
    pub needs: Option<&'static str>,
}

/// One target of an attach method, with its programs; one of them fits a kernel's prototype.
#[derive(Debug, PartialEq, Eq)]
pub enum AttachPoint {
    /// Without it the method would miss events.
    Needed(&'static [Program]),
    /// A function that some kernels do not have, nor what it does.
    WherePresent(&'static [Program]),
    /// The beginning of such a function, for the fexit programs above: only where the kernel skips them for
    /// calls in progress.
    Entry(&'static [Program]),
}

/// One attach method of a hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Attach {
    /// How it attaches.
    pub kind: AttachMethod,
    /// In the order to attach them.
    pub parts: &'static [AttachPoint],
}

impl Attach {
    /// Every program that some kernel may need.
    pub fn programs(&self) -> impl Iterator<Item = &'static Program> {
        self.parts.iter().flat_map(|part| match part {
            AttachPoint::Needed(programs)
            | AttachPoint::WherePresent(programs)
            | AttachPoint::Entry(programs) => *programs,
        })
    }
}

/// A map that user space reads, without a program.
pub const LOOKUP: Attach = Attach { kind: AttachMethod::Lookup, parts: &[] };

/// Declares an [`Attach`]: its method, then a line each for its attach points, in the order to attach
/// them. A line has the programs that may serve it, of which one fits a kernel's prototype:
///
/// ```text
/// Needed program: target(all, its, parameters) | other_program: target(the, first, ..);
/// WherePresent program: target if helper_that_the_program_needs;
/// ```
macro_rules! attach {
    ($kind:ident { $(
        $point:ident $($program:ident: $target:ident $(($($parameters:tt)*))? $(if $needs:ident)?)|+;
    )+ }) => {
        $crate::kernel::attach::Attach {
            kind: $crate::kernel::attach::AttachMethod::$kind,
            parts: &[$($crate::kernel::attach::AttachPoint::$point(&[$(
                $crate::kernel::attach::Program {
                    name: stringify!($program),
                    target: stringify!($target),
                    parameters: $crate::kernel::attach::attach!(@ $($($parameters)*)?),
                    needs: $crate::kernel::attach::attach!(@if $($needs)?),
                }
            ),+])),+],
        }
    };
    (@if) => { None };
    (@if $helper:ident) => { Some(stringify!($helper)) };
    (@) => { $crate::kernel::attach::Parameters::Any };
    (@ $($first:ident,)+ ..) => {
        $crate::kernel::attach::Parameters::Begin(&[$(stringify!($first)),+])
    };
    (@ $($all:ident),+) => {
        $crate::kernel::attach::Parameters::Exactly(&[$(stringify!($all)),+])
    };
}
pub(crate) use attach;

/// A logical place in the kernel with its attach methods, best first.
#[derive(Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name in the status record.
    pub name: &'static str,
    /// Attach methods, best first.
    pub attach: &'static [Attach],
    /// The tool needs it to start; else it runs with less.
    pub required: bool,
}

impl Hook {
    /// Whether it has this attach method on any kernel.
    pub fn has(&self, kind: AttachMethod) -> bool {
        self.attach.iter().any(|one| one.kind == kind)
    }
}
