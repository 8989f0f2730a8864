//! The program tcpretrans; what it does is in `src/retrans/`.

use std::process::ExitCode;

use tcpscope::retrans::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
