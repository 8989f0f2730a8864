//! Every tool of the kit. Whatever goes through the tools goes through this list.

use crate::kernel::facts::SymbolNames;
use crate::tool::{Mode, Tool};

/// In the order in which documentation and [`check`](crate::check) name them.
pub static TOOLS: [&Tool; 12] = [
    &crate::states::TOOL,
    &crate::count::TOOL,
    &crate::latency::TOOL,
    &crate::listen::TOOL,
    &crate::retrans::TOOL,
    &crate::life::TOOL,
    &crate::ports::TOOL,
    &crate::drop::TOOL,
    &crate::stall::TOOL,
    &crate::dash::TOOL,
    &crate::doctor::TOOL,
    &crate::check::TOOL,
];

/// Every tool in each of its modes.
pub fn modes() -> impl Iterator<Item = (&'static Tool, &'static Mode)> {
    TOOLS.into_iter().flat_map(|tool| tool.modes.iter().map(move |mode| (tool, mode)))
}

/// All kernel names that the tools need.
pub fn wanted() -> SymbolNames {
    let mut all = SymbolNames::default();
    for (_, mode) in modes() {
        let SymbolNames { tracepoints, iterators, functions } = mode.spec.wanted();
        all.tracepoints.extend(tracepoints);
        all.iterators.extend(iterators);
        all.functions.extend(functions);
    }
    for names in [&mut all.tracepoints, &mut all.iterators, &mut all.functions] {
        names.sort_unstable();
        names.dedup();
    }
    all
}
