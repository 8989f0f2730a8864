//! listenoverflow: which listener loses connections, why, and who suffers.

mod show;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use tcpscope::cli::usage_error;
use tcpscope::filter::Filter;
use tcpscope::hooks::LISTENOVERFLOW;
use tcpscope::kernel::session::Setup;
use tcpscope::listen::Args;
use tcpscope::listen::{ClientRow, ListenerRow};
use tcpscope::tool::conclude;

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/listenoverflow.bpf.o"));

fn main() -> ExitCode {
    let args = Args::parse();
    let usage = |message| -> ! { usage_error::<Args>(message).exit() };
    let filter = args.common.filters.filter().unwrap_or_else(|message| usage(message));
    if let Err(message) = args.check(&filter) {
        usage(message);
    }
    let sorted = if args.clients {
        args.interval.sort_column::<ClientRow>().map(drop)
    } else {
        args.interval.sort_column::<ListenerRow>().map(drop)
    };
    if let Err(message) = sorted {
        usage(message);
    }
    conclude(LISTENOVERFLOW.name, watch::run(&args, &filter, setup(&args, &filter)))
}

fn setup(args: &Args, filter: &Filter) -> Setup {
    Setup {
        object: OBJECT,
        filter: filter.to_wire(),
        options: args.options(),
        map_sizes: args.map_sizes(),
        verbose: args.common.output.verbose,
    }
}
