//! The program tcpcount; what it does is in `src/count/`.

use std::process::ExitCode;

use tcpscope::count::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
