//! The program tcpscope-check; what it does is in `src/check/`.

use std::process::ExitCode;

use tcpscope::check::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
