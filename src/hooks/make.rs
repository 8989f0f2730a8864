//! Short words for the tables of hooks.

use crate::kernel::rung::{Parameters, Part, Program, Rung, RungKind};

pub(super) const fn program(
    name: &'static str,
    target: &'static str,
    parameters: Parameters,
) -> Program {
    Program { name, target, parameters, needs: None }
}

/// A program that reads no parameter which has ever changed.
pub(super) const fn plain(name: &'static str, target: &'static str) -> Program {
    program(name, target, Parameters::Any)
}

pub(super) const fn fentry(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::Fentry, parts }
}

pub(super) const fn kprobe(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::Kprobe, parts }
}

pub(super) const fn tracepoint(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::Tracepoint, parts }
}

pub(super) const fn raw_tracepoint(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::RawTracepoint, parts }
}

pub(super) const fn iterator(parts: &'static [Part]) -> Rung {
    Rung { kind: RungKind::Iterator, parts }
}
