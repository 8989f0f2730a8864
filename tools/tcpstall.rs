//! The program tcpstall; what it does is in `src/stall/`.

use std::process::ExitCode;

use tcpscope::stall::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
