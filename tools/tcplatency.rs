//! The program tcplatency; what it does is in `src/latency/`.

use std::process::ExitCode;

use tcpscope::latency::Tcplatency;

fn main() -> ExitCode {
    tcpscope::tool::main(&Tcplatency)
}
