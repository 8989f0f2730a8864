//! Man pages and shell completions of every tool, laid out as they are installed.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap::builder::Resettable;
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

/// Writes them below `share`.
pub fn write(share: &Path) -> Result<()> {
    for command in tcpscope::registry::TOOLS.map(|tool| (tool.command)()) {
        write_assets(share, command)?;
    }
    Ok(())
}

fn write_assets(share: &Path, mut command: Command) -> Result<()> {
    let name = command.get_name().to_owned();
    write_manual(&command, &mut create(&share.join(format!("man/man1/{name}.1")))?)?;
    let completions = [
        (Shell::Bash, format!("bash-completion/completions/{name}")),
        (Shell::Zsh, format!("zsh/site-functions/_{name}")),
        (Shell::Fish, format!("fish/vendor_completions.d/{name}.fish")),
    ];
    for (shell, path) in completions {
        generate(shell, &mut command, &name, &mut create(&share.join(path))?);
    }
    Ok(())
}

/// The examples at the end of `--help` become a section of their own, whose lines stay as they are.
fn write_manual(command: &Command, out: &mut File) -> Result<()> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    Man::new(command.clone().after_help(Resettable::Reset)).render(out)?;
    let examples = help.strip_prefix("Examples:\n").context("--help ends without examples")?;
    let mut section = Roff::new();
    section.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in examples.lines() {
        section.text([roman(line.trim_start())]);
    }
    Ok(section.control("fi", []).to_writer(out)?)
}

fn create(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}
