//! Writes lines into a file of limited size.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What `--record` asks for.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to write.
    pub path: PathBuf,
    /// Bytes that the file and the one before it, called the same with `.1` at the end, may have together.
    pub max: u64,
    /// Replace files that are there.
    pub force: bool,
}

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
    /// Begins a new file. A pipe or a device is written to without end.
    ///
    /// # Errors
    /// One of the two files is there, also as a symbolic link, and is not to be replaced; or it cannot be
    /// created.
    pub fn create(target: &Target) -> io::Result<Self> {
        let Target { path, max, force } = target;
        // Something that could be lost: a regular file, or a link that leads nowhere yet.
        let is_stream = fs::metadata(path).is_ok_and(|data| !data.is_file());
        if is_stream {
            let file = File::options().write(true).open(path)?;
            return Ok(Self { path: path.clone(), file, written: 0, each: u64::MAX });
        }
        let before = before(path);
        if !force && before.symlink_metadata().is_ok() {
            return Err(exists(&format!("{} exists", before.display())));
        }
        let file = match File::options().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !force {
                    return Err(exists("it exists"));
                }
                File::create(path)?
            }
            created => created?,
        };
        Ok(Self { path: path.clone(), file, written: 0, each: max / 2 })
    }

    /// Appends whole lines.
    ///
    /// # Errors
    /// The disk is full, or the next file cannot be begun.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let more = lines.len() as u64;
        if self.written > 0 && self.written + more > self.each {
            fs::rename(&self.path, before(&self.path))?;
            self.file = File::create(&self.path)?;
            self.written = 0;
        }
        self.file.write_all(lines)?;
        self.written += more;
        Ok(())
    }
}

/// The name of the file before one.
fn before(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".1");
    name.into()
}

fn exists(what: &str) -> io::Error {
    let words = format!("{what}: choose another name, or replace it with --force");
    io::Error::new(io::ErrorKind::AlreadyExists, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &Path, force: bool) -> io::Result<Recorder> {
        Recorder::create(&Target { path: path.to_owned(), max: 1000, force })
    }

    #[test]
    fn two_files_stay_below_the_limit_with_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording");
        let mut recorder = create(&path, false).unwrap();
        for number in 0..100 {
            recorder.write(format!("line {number:03}\n").as_bytes()).unwrap();
            let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
            assert!(size(&path) + size(&before(&path)) <= 1000);
        }
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let text = read(&before(&path)) + &read(&path);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(*lines.last().unwrap(), "line 099");
        assert!(lines.len() > 50 && lines.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn what_is_there_is_replaced_only_when_forced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "kept\n").unwrap();
        fs::write(path("rotated.1"), "kept\n").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("absent"), path("dangling")).unwrap();
        for (name, named) in
            [("file", "it"), ("link", "it"), ("dangling", "it"), ("rotated", "rotated.1")]
        {
            let error = create(&path(name), false).unwrap_err().to_string();
            assert!(error.contains(&format!("{named} exists")), "{name}: {error}");
            assert!(error.contains("--force"), "{error}");
        }
        assert!(!path("absent").exists() && !path("rotated").exists());
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "kept\n");
        create(&path("link"), true).unwrap().write(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "new\n");
        let mut stream = create(Path::new("/dev/null"), false).unwrap();
        (0..100).for_each(|_| stream.write(&[b'x'; 100]).unwrap());
        assert!(!Path::new("/dev/null.1").exists(), "a device is not renamed");
    }
}
