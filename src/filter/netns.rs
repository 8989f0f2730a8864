//! Network namespaces by path, process, inode number or name.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;

use crate::kernel::netns::by_name;
use crate::kernel::netns_names::NetnsNames;

/// File system type of namespace files (`include/uapi/linux/magic.h`).
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// No process has a higher number (`PID_MAX_LIMIT`); inode numbers of namespaces start far above.
const MAX_PID: u32 = 1 << 22;

/// A network namespace that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetnsChoice {
    /// Its inode number at the start.
    pub inode: u32,
    /// The file of its name, to follow if the namespace is made anew; `None` if a process or an
    /// inode was given.
    pub path: Option<PathBuf>,
}

impl NetnsChoice {
    /// Whether there is a network namespace at a path: without it, its file may still be there.
    pub fn is_at(path: &Path) -> bool {
        inode(path).is_ok()
    }

    /// What `text` names: a path, the number of a living process, the inode number itself, or a name.
    ///
    /// # Errors
    /// It names none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return match inode(Path::new(text)) {
                Ok(inode) => {
                    // A later process of the same number is another one.
                    let path = Some(PathBuf::from(text)).filter(|path| !path.starts_with("/proc"));
                    Ok(Self { inode, path })
                }
                Err(error) => match NetnsNames::find(text) {
                    Some(inode) => Ok(Self { inode, path: None }),
                    None => Err(format!("{text}: {error}")),
                },
            };
        }
        if let Ok(number) = text.parse() {
            return by_number(number).map(|inode| Self { inode, path: None });
        }
        if let Some(path) = by_name(text) {
            let inode = inode(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            return Ok(Self { inode, path: Some(path) });
        }
        let found = NetnsNames::find(text).map(|inode| Self { inode, path: None });
        found.ok_or_else(|| {
            "no such namespace; write a name of 'ip netns', a container's ID, a PID, an inode \
             number or a path"
                .to_owned()
        })
    }
}

fn by_number(number: u32) -> Result<u32, String> {
    match inode(Path::new(&format!("/proc/{number}/ns/net"))) {
        Ok(inode) => Ok(inode),
        Err(Error::Gone) if number > MAX_PID => Ok(number),
        Err(Error::Gone) => {
            Err(format!("no process {number} is running; inode numbers are those of 'lsns -t net'"))
        }
        Err(error) => Err(format!("cannot read the namespace of process {number}: {error}")),
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no such file")]
    Gone,
    #[error("not a network namespace")]
    OtherFile,
    #[error("{0}")]
    Io(std::io::Error),
}

fn inode(path: &Path) -> Result<u32, Error> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Gone,
        _ => Error::Io(error),
    })?;
    let kind = statfs(path).map_err(|error| Error::Io(error.into()))?.f_type;
    // A namespace of another type has no link that says net; a bind mount has none at all.
    let other = fs::read_link(path).is_ok_and(|link| !link.to_string_lossy().starts_with("net:"));
    if u64::try_from(kind).ok() != Some(NSFS_MAGIC) || other && path.starts_with("/proc") {
        return Err(Error::OtherFile);
    }
    u32::try_from(metadata.ino()).map_err(|_| Error::OtherFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_its_own_by_process_and_path() {
        let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
        let inode = |text: &str| NetnsChoice::parse(text).map(|found| found.inode.into());
        assert_eq!(inode("/proc/self/ns/net"), Ok(own));
        assert_eq!(inode(&std::process::id().to_string()), Ok(own));
        assert_eq!(inode("4026531840"), Ok(4_026_531_840));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("no-such-name", "no such namespace"),
            ("4194304", "no process 4194304"),
            ("99999999999", "no such namespace"),
            ("-1", "no such namespace"),
            ("/nowhere/at/all", "no such file"),
            ("/etc/passwd", "not a network namespace"),
            ("/proc/self/ns/mnt", "not a network namespace"),
        ] {
            let error = NetnsChoice::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
