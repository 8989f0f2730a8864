//! The program tcpports; what it does is in `src/ports/`.

use std::process::ExitCode;

use tcpscope::ports::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
