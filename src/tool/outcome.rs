//! How a tool ends: an exit code, and one message if it failed.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::kernel::error::StartError;
use crate::report::{SinkError, escape};

/// Exit code: something was lost, and `--strict` was given.
const EXIT_LOSS: u8 = 9;
/// Exit code: the output cannot be written.
const EXIT_OUTPUT: u8 = 10;

/// How a run without an error ends; `complete`: nothing was lost.
pub(super) fn of_run(complete: bool, strict: bool) -> ExitCode {
    if strict && !complete { ExitCode::from(EXIT_LOSS) } else { ExitCode::SUCCESS }
}

/// Turns the outcome of a tool into its exit code, and into one message where it failed.
pub(super) fn conclude(name: &str, outcome: Result<ExitCode>) -> ExitCode {
    let error = match outcome {
        Ok(code) => return code,
        Err(error) => error,
    };
    match error.downcast_ref() {
        Some(SinkError::Closed) => return ExitCode::SUCCESS,
        Some(SinkError::Write(_)) => {
            complain(&format!("{name}: {error}"));
            return ExitCode::from(EXIT_OUTPUT);
        }
        None => {}
    }
    complain(&format!("{name}: {error:#}"));
    ExitCode::from(error.downcast_ref::<StartError>().map_or(1, StartError::exit_code))
}

/// Prints lines on the standard error output. They hold arguments and names of files, which are as hostile
/// as anything else. Where they cannot be written, the exit code says enough.
pub fn complain(text: &str) {
    let mut out = Vec::with_capacity(text.len() + 1);
    for line in text.lines() {
        escape::text(line.as_bytes(), &mut out);
        out.push(b'\n');
    }
    let _ = io::stderr().write_all(&out);
}
