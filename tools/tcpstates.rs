//! The program tcpstates; what it does is in `src/states/`.

use std::process::ExitCode;

use tcpscope::states::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
