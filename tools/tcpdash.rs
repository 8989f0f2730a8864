//! The program tcpdash; what it does is in `src/dash/`.

use std::process::ExitCode;

use tcpscope::dash::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
