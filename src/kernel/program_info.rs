//! What the kernel says of loaded programs.

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// More than the kernel writes of one program.
const LONGEST: usize = 1024;

/// Their files in `/proc/self/fdinfo`, kept open: they are read twice a second as long as a tool runs, and one
/// call for each program is an eighth of what it takes to open them again.
#[derive(Debug)]
pub struct ProgramInfos(Vec<File>);

impl ProgramInfos {
    /// Of these programs; `None` without `/proc`.
    pub fn open<'a>(programs: impl IntoIterator<Item = BorrowedFd<'a>>) -> Option<Self> {
        let open = |program: BorrowedFd<'_>| {
            File::open(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()
        };
        Some(Self(programs.into_iter().map(open).collect::<Option<_>>()?))
    }

    /// The sum of a number over all programs; `None` where the kernel does not say it.
    pub fn sum(&self, key: &str) -> Option<u64> {
        let of = |file: &File| {
            let mut buffer = [0; LONGEST];
            let length = file.read_at(&mut buffer, 0).ok()?;
            let text = std::str::from_utf8(&buffer[..length]).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.trim().parse::<u64>().ok()
        };
        self.0.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn numbers_are_read_anew() {
        let file = tempfile::tempfile().unwrap();
        let infos = ProgramInfos::open([file.as_fd(), file.as_fd()]).unwrap();
        assert_eq!(infos.sum("pos"), Some(0));
        file.set_len(10).unwrap();
        std::io::Seek::seek(&mut &file, std::io::SeekFrom::Start(7)).unwrap();
        assert_eq!(infos.sum("pos"), Some(14), "it has moved, for both");
        assert_eq!(infos.sum("recursion_misses"), None, "it is no program");
    }
}
