//! Writes lines into a file that does not grow for ever.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file, and the one before it, which together stay below a size.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: File,
    written: u64,
    /// Bytes that one of the two files may have.
    each: u64,
}

impl Recorder {
    /// Begins a new file; one that is there is replaced. `max` bytes are shared by it and the one
    /// before it, which is called the same with `.1` at the end.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path, max: u64) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self { path: path.to_owned(), file, written: 0, each: max / 2 })
    }

    /// Appends whole lines.
    ///
    /// # Errors
    /// The disk is full, or the next file cannot be begun.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let more = lines.len() as u64;
        if self.written > 0 && self.written + more > self.each {
            std::fs::rename(&self.path, self.before())?;
            self.file = File::create(&self.path)?;
            self.written = 0;
        }
        self.file.write_all(lines)?;
        self.written += more;
        Ok(())
    }

    /// The name of the file before this one.
    pub fn before(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".1");
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_share_the_room_and_no_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording");
        let mut recorder = Recorder::create(&path, 1000).unwrap();
        for number in 0..100 {
            recorder.write(format!("line {number:03}\n").as_bytes()).unwrap();
            let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            assert!(size(&path) + size(&recorder.before()) <= 1000);
        }
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let text = read(&recorder.before()) + &read(&path);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(*lines.last().unwrap(), "line 099");
        assert!(lines.len() > 50 && lines.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
