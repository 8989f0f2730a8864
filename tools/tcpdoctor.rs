//! The program tcpdoctor; what it does is in `src/doctor/`.

use std::process::ExitCode;

use tcpscope::doctor::TOOL;

fn main() -> ExitCode {
    tcpscope::tool::main(&TOOL)
}
