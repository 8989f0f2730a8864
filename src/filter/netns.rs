//! Network namespaces by inode number.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::statfs;

/// File system type of namespace files (`include/uapi/linux/magic.h`).
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// No process has a higher number (`PID_MAX_LIMIT`); inode numbers of namespaces start far above.
const MAX_PID: u32 = 1 << 22;

/// The inode number of the network namespace that `text` names: a path, the number of a living
/// process, or the inode number itself.
pub fn netns(text: &str) -> Result<u32, String> {
    if text.contains('/') {
        return inode(Path::new(text)).map_err(|error| format!("{text}: {error}"));
    }
    let number: u32 = text.parse().map_err(|_| {
        "not an inode number, PID or path; \
         'ip netns' namespaces are files in /run/netns/"
            .to_owned()
    })?;
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
        assert_eq!(netns("/proc/self/ns/net").map(u64::from), Ok(own));
        assert_eq!(netns(&std::process::id().to_string()).map(u64::from), Ok(own));
        assert_eq!(netns("4026531840"), Ok(4_026_531_840));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("blue", "/run/netns/"),
            ("4194304", "no process 4194304"),
            ("99999999999", "not an inode number"),
            ("-1", "not an inode number"),
            ("/nowhere/at/all", "no such file"),
            ("/etc/passwd", "not a network namespace"),
            ("/proc/self/ns/mnt", "not a network namespace"),
        ] {
            let error = netns(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
