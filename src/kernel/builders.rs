//! Short constructors for the tables of hooks.

use super::attach::{Attach, AttachMethod, AttachPoint, Parameters, Program};

pub(crate) const fn program(
    name: &'static str,
    target: &'static str,
    parameters: Parameters,
) -> Program {
    Program { name, target, parameters, needs: None }
}

/// A program that reads no parameter which has ever changed.
pub(crate) const fn plain(name: &'static str, target: &'static str) -> Program {
    program(name, target, Parameters::Any)
}

pub(crate) const fn fentry(parts: &'static [AttachPoint]) -> Attach {
    Attach { kind: AttachMethod::Fentry, parts }
}

pub(crate) const fn kprobe(parts: &'static [AttachPoint]) -> Attach {
    Attach { kind: AttachMethod::Kprobe, parts }
}

pub(crate) const fn tracepoint(parts: &'static [AttachPoint]) -> Attach {
    Attach { kind: AttachMethod::Tracepoint, parts }
}

pub(crate) const fn raw_tracepoint(parts: &'static [AttachPoint]) -> Attach {
    Attach { kind: AttachMethod::RawTracepoint, parts }
}

pub(crate) const fn iterator(parts: &'static [AttachPoint]) -> Attach {
    Attach { kind: AttachMethod::Iterator, parts }
}
