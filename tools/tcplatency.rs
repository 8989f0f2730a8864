//! The program tcplatency; what it does is in `src/latency/`.

use std::process::ExitCode;

use tcpscope::latency::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
