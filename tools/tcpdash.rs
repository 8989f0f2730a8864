//! The program tcpdash; what it does is in `src/dash/`.

use std::process::ExitCode;

use tcpscope::dash::Tcpdash;

fn main() -> ExitCode {
    tcpscope::tool::main(&Tcpdash)
}
