//! The program tcpscope-check; what it does is in `src/check/`.

use std::process::ExitCode;

use tcpscope::check::TcpscopeCheck;

fn main() -> ExitCode {
    tcpscope::tool::main(&TcpscopeCheck)
}
