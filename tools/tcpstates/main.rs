//! tcpstates: every TCP state change, or with --summary how many sockets are in which state.

mod events;
mod summary;

use std::process::ExitCode;

use clap::Parser;
use tcpscope::cli::usage_error;
use tcpscope::filter::Filter;
use tcpscope::hooks::TCPSTATES;
use tcpscope::kernel::session::Setup;
use tcpscope::states::Args;
use tcpscope::states::socket_summary::SocketsRow;
use tcpscope::tool::conclude;

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpstates.bpf.o"));

/// Timewait sockets whose closing process is remembered for the summary.
const CLOSERS: u32 = 65_536;

fn main() -> ExitCode {
    let args = Args::parse();
    let usage = |message| -> ! { usage_error::<Args>(message).exit() };
    if let Err(message) = args.check() {
        usage(message);
    }
    let filter = args.common.filters.filter().unwrap_or_else(|message| usage(message));
    if let Err(message) = args.interval.sort_column::<SocketsRow>() {
        usage(message);
    }
    let setup = setup(&args, &filter);
    let outcome = if args.summary {
        summary::run(&args, &filter, setup)
    } else {
        events::run(&args, &filter, setup)
    };
    conclude(TCPSTATES.name, outcome)
}

fn setup(args: &Args, filter: &Filter) -> Setup {
    Setup {
        object: OBJECT,
        filter: filter.to_wire(),
        options: args.options(filter),
        map_sizes: vec![
            ("events", if args.summary { 4096 } else { args.buffer }),
            ("closers", if args.summary { CLOSERS } else { 1 }),
        ],
        verbose: args.common.output.verbose,
    }
}
