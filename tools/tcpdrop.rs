//! The program tcpdrop; what it does is in `src/drop/`.

use std::process::ExitCode;

use tcpscope::drop::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
