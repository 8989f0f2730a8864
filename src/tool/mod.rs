//! What a tool is, and what every tool does around its own work: start, report on itself, end.

mod follow;
pub mod load;
mod names;
mod outcome;
mod owners;
mod reader;
mod running;
mod spec;
mod summarize;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{ArgMatches, Command};
use outcome::conclude;

use crate::cli::{MeasureArgs, hint};
use crate::filter::Filter;
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::report::escape;
pub use names::Names;
pub use outcome::complain;
pub use reader::BATCH;
pub use running::Running;
pub use spec::Spec;
pub use summarize::{Summed, summarize};

/// A program of this kit. All of them are listed in [`registry`](crate::registry).
#[derive(Debug)]
pub struct Tool {
    /// The binary's name.
    pub name: &'static str,
    /// The compiled BPF object; empty where it has none of its own.
    pub object: &'static [u8],
    /// Its command line.
    pub command: fn() -> Command,
    /// What it can be asked to measure, the default first; none where it only asks about the others.
    pub modes: &'static [Mode],
    /// Kinds of the JSON records that it prints, besides notes and its status.
    pub kinds: &'static [&'static str],
    /// Reads the command line; an error where flags do not go together, or values make no sense.
    pub task: fn(&ArgMatches) -> Result<Box<dyn Task>, clap::Error>,
}

/// A mode of a tool with its own hooks.
#[derive(Debug)]
pub struct Mode {
    /// The flag that asks for it.
    pub flag: Option<&'static str>,
    /// What it watches without other flags.
    pub spec: &'static Spec,
}

/// What is to be loaded into the kernel.
pub trait Measurement {
    /// Its hooks.
    fn spec(&self) -> &'static Spec;
    /// The programs with their options and the sizes of their maps under `plan`, but for what
    /// [`load`](load::load) adds for all.
    ///
    /// # Errors
    /// The number of CPUs cannot be read.
    fn setup(&self, plan: &Plan, measure: &MeasureArgs) -> Result<Setup>;
    /// Whether single events are what it is about: then the last line says how many there were.
    fn shows_events(&self) -> bool {
        true
    }
}

/// A tool whose command line has been read.
pub trait Task {
    /// What it loads, if anything.
    fn measurement(&self) -> Option<&dyn Measurement> {
        None
    }
    /// Does the work until it is over or reported to stop.
    ///
    /// # Errors
    /// The programs cannot be loaded or read, or the output not be written.
    fn run(&self) -> Result<ExitCode>;
}

/// A tool with its command line.
pub struct Asked<A> {
    /// The flags.
    pub args: A,
    /// Which sockets.
    pub filter: Filter,
}

/// The whole of a program: reads the command line and does what it says. A wrong one ends the
/// process with 2.
pub fn main(tool: &Tool) -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let read = |words: &[OsString]| {
        let matches = (tool.command)().try_get_matches_from(words).map_err(|mut error| {
            hint::add(&mut error, &(tool.command)(), words);
            error
        })?;
        (tool.task)(&matches)
    };
    let error = match read(&words) {
        Ok(task) => return conclude(tool.name, task.run()),
        Err(error) => error,
    };
    let harmless: Vec<_> = words.iter().map(|word| escape::argument(word)).collect();
    if harmless == words {
        error.exit();
    }
    // The same mistake again, in words that cannot steer a terminal.
    match read(&harmless) {
        Err(error) => error.exit(),
        Ok(_) => conclude(tool.name, Err(anyhow!("{}", error.render()))),
    }
}

/// A tool as it would run with these flags.
///
/// # Errors
/// As clap's, and of [`Tool::task`].
pub fn task_of<'a>(
    tool: &Tool,
    flags: impl IntoIterator<Item = &'a str>,
) -> Result<Box<dyn Task>, clap::Error> {
    let words = [tool.name].into_iter().chain(flags);
    (tool.task)(&(tool.command)().try_get_matches_from(words)?)
}
