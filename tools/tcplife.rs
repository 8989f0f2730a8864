//! The program tcplife; what it does is in `src/life/`.

use std::process::ExitCode;

use tcpscope::life::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
