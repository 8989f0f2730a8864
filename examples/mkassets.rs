//! Writes the man pages and shell completions of every tool below a `share` folder, laid out as
//! they are installed: `mkassets DIR`.

use std::env;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::{Shell, generate};

fn main() -> Result<()> {
    let share = env::args_os().nth(1).context("usage: mkassets DIR")?;
    for command in tcpscope::cli::commands() {
        write_assets(Path::new(&share), command)?;
    }
    Ok(())
}

fn write_assets(share: &Path, mut command: Command) -> Result<()> {
    let name = command.get_name().to_owned();
    clap_mangen::Man::new(command.clone())
        .render(&mut create(&share.join(format!("man/man1/{name}.1")))?)?;
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

fn create(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}
