//! What the dashboard remembers: a small file of JSON, like all that the kit writes. It has no comments that
//! writing it anew would lose.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::View;
use super::args::ThemeChoice;
use super::table::Browse;
use super::tables::Tables;

/// A file larger than this is another one, bytes.
const MOST: u64 = 1 << 16;
/// Its place below the folder of the user's settings.
const NAME: &str = "tcpscope/tcpdash.json";

/// What is remembered.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Colours, unless `--theme` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<ThemeChoice>,
    /// Columns that are not shown, by view: their JSON keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden: BTreeMap<View, BTreeSet<String>>,
}

impl Config {
    /// Hides the columns of the tables that it names. What no table has is left alone: another version of this
    /// program may know it.
    pub fn apply(&self, tables: &mut Tables) {
        for (view, keys) in &self.hidden {
            tables.with(*view, |table| {
                for (index, (key, _, shown)) in table.choices().into_iter().enumerate() {
                    if shown == keys.contains(key) {
                        table.toggle(index);
                    }
                }
            });
        }
    }

    /// Takes over which columns are hidden.
    fn take(&mut self, tables: &Tables) {
        for view in View::ALL {
            let choices = tables.of(view).map(Browse::choices).unwrap_or_default();
            let mut keys = self.hidden.remove(&view).unwrap_or_default();
            for (key, _, shown) in choices {
                if shown {
                    keys.remove(key);
                } else {
                    keys.insert(key.to_owned());
                }
            }
            if !keys.is_empty() {
                self.hidden.insert(view, keys);
            }
        }
    }
}

/// The file, and what it says.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    path: Option<PathBuf>,
    /// What is in force.
    pub config: Config,
    /// Why it is not written: it would replace what could not be read.
    refused: bool,
    /// It was said that nothing is remembered.
    said: bool,
}

impl ConfigFile {
    /// Reads the file that was asked for, else that of the user; none is an empty one. Returns what is wrong
    /// with it, too.
    pub fn open(asked: Option<&Path>) -> (Self, Option<String>) {
        let path =
            asked.map(Path::to_owned).or_else(|| own(|name| env::var_os(name).map(PathBuf::from)));
        let Some(path) = path else { return (Self::default(), None) };
        match read(&path) {
            Ok(config) => (Self { path: Some(path), config, ..Self::default() }, None),
            Err(reason) => {
                let text = format!("{} is ignored: {reason}", path.display());
                (Self { path: Some(path), refused: true, ..Self::default() }, Some(text))
            }
        }
    }

    /// Remembers which columns are hidden. Returns why it cannot, once.
    pub fn remember(&mut self, tables: &Tables) -> Option<String> {
        let before = self.config.clone();
        self.config.take(tables);
        if self.config == before {
            return None;
        }
        let why = match &self.path {
            None => "neither XDG_CONFIG_HOME nor HOME is set; --config names a file".to_owned(),
            Some(path) if self.refused => format!("{} could not be read", path.display()),
            Some(path) => match write(path, &self.config) {
                Ok(()) => return None,
                Err(error) => format!("cannot write {}: {error}", path.display()),
            },
        };
        (!std::mem::replace(&mut self.said, true)).then(|| format!("not remembered: {why}"))
    }
}

/// The user's own file (XDG Base Directory Specification: a path that is not absolute is ignored).
fn own(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join(NAME))
}

fn read(path: &Path) -> Result<Config, String> {
    // To open a pipe would wait for its other end.
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(error) => return Err(error.to_string()),
        Ok(file) if !file.is_file() => return Err("not a regular file".to_owned()),
        Ok(file) if file.len() > MOST => return Err(format!("larger than {MOST} bytes")),
        Ok(_) => {}
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MOST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Writes all of it or nothing. Where the path is a link, what it points to is replaced.
fn write(path: &Path, config: &Config) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let text = serde_json::to_string_pretty(config)? + "\n";
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
