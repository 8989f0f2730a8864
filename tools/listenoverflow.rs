//! The program listenoverflow; what it does is in `src/listen/`.

use std::process::ExitCode;

use tcpscope::listen::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
