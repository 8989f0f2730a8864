//! The program tcpcount; what it does is in `src/count/`.

use std::process::ExitCode;

use tcpscope::count::Tcpcount;

fn main() -> ExitCode {
    tcpscope::tool::main(&Tcpcount)
}
