//! How a tool ends: an exit code, and one message where it failed.

use std::process::ExitCode;

use anyhow::Result;

use crate::kernel::error::StartError;
use crate::report::SinkError;

/// Exit code: the output cannot be written.
const EXIT_OUTPUT: u8 = 10;

/// Turns the outcome of a tool into its exit code, and into one message where it failed.
pub fn conclude(name: &str, outcome: Result<ExitCode>) -> ExitCode {
    let error = match outcome {
        Ok(code) => return code,
        Err(error) => error,
    };
    match error.downcast_ref() {
        Some(SinkError::Closed) => return ExitCode::SUCCESS,
        Some(SinkError::Write(_)) => {
            eprintln!("{name}: {error}");
            return ExitCode::from(EXIT_OUTPUT);
        }
        None => {}
    }
    eprintln!("{name}: {error:#}");
    ExitCode::from(error.downcast_ref::<StartError>().map_or(1, StartError::exit_code))
}
