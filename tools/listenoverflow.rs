//! The program listenoverflow; what it does is in `src/listen/`.

use std::process::ExitCode;

use tcpscope::listen::Listenoverflow;

fn main() -> ExitCode {
    tcpscope::tool::main(&Listenoverflow)
}
