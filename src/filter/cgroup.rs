//! Cgroups by number: the inode of their directory.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::wire::CgroupSource;

/// A cgroup of the unified hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its path below the mount, starting with `/`.
    pub path: PathBuf,
    /// Its number: the inode of its directory.
    pub id: u64,
    /// The directory.
    pub directory: PathBuf,
    /// Levels below the mount, which is 0.
    pub depth: u32,
}

impl Cgroup {
    /// Finds a cgroup by its directory (`/sys/fs/cgroup/a/b`) or by its path in the hierarchy as
    /// in /proc/PID/cgroup (`/a/b`, `a/b`).
    pub fn find(text: &str) -> Result<Self, String> {
        Self::find_in(&mounts_in(&mountinfo()), text)
    }

    fn find_in(mounts: &[PathBuf], text: &str) -> Result<Self, String> {
        let Some(first) = mounts.first() else {
            return Err("no cgroup2 file system is mounted".to_owned());
        };
        if text.is_empty() {
            return Err("empty path; / is the root cgroup".to_owned());
        }
        let within = mounts.iter().map(|mount| (mount, mount.join(text.trim_start_matches('/'))));
        let as_given = mounts.iter().map(|mount| (mount, PathBuf::from(text)));
        as_given
            .filter(|(_, path)| path.is_absolute())
            .chain(within)
            .find_map(|(mount, path)| Self::at(mount, &path))
            .ok_or_else(|| {
                format!("no such cgroup below {}; 'systemd-cgls' lists them", first.display())
            })
    }

    /// The cgroup at a directory, unless it is outside of the mount.
    fn at(mount: &Path, path: &Path) -> Option<Self> {
        let directory = path.canonicalize().ok()?;
        let below = directory.strip_prefix(mount.canonicalize().ok()?).ok()?;
        let metadata = fs::metadata(&directory).ok().filter(fs::Metadata::is_dir)?;
        Some(Self {
            path: Path::new("/").join(below),
            id: metadata.ino(),
            directory: directory.clone(),
            depth: u32::try_from(below.components().count()).ok()?,
        })
    }
}

/// The hierarchy that cgroups are named by: the unified one, else that of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupTree {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Which it is, for the programs.
    pub source: CgroupSource,
}

/// Controllers whose hierarchy (cgroup v1) container managers use, best first.
const LEGACY: [(CgroupSource, &str); 3] =
    [(CgroupSource::Memory, "memory"), (CgroupSource::Cpu, "cpu"), (CgroupSource::Pids, "pids")];

impl CgroupTree {
    /// The one to use here; `None` where none is mounted or /proc is missing.
    pub fn find() -> Option<Self> {
        Self::find_in(&mountinfo())
    }

    fn find_in(mountinfo: &[u8]) -> Option<Self> {
        if let Some(mount) = mounts_in(mountinfo).into_iter().next() {
            return Some(Self { mount, source: CgroupSource::Unified });
        }
        LEGACY.into_iter().find_map(|(source, controller)| {
            let has = |options: &[u8]| {
                options.split(|&byte| byte == b',').any(|word| word == controller.as_bytes())
            };
            let mut legacy = mounted(mountinfo, b"cgroup").filter(|(_, options)| has(options));
            legacy.next().map(|(mount, _)| Self { mount, source })
        })
    }

    /// A note on names that are missing or of another hierarchy than usual.
    pub fn remark(found: Option<&Self>) -> Option<String> {
        let none = "no cgroup2 file system is mounted";
        match found {
            None => Some(format!("{none}: cgroups have no names")),
            Some(tree) => {
                let (_, name) = LEGACY.iter().find(|(source, _)| *source == tree.source)?;
                Some(format!("{none}: cgroups are those of the {name} hierarchy (cgroup v1)"))
            }
        }
    }
}

fn mountinfo() -> Vec<u8> {
    fs::read("/proc/self/mountinfo").unwrap_or_default()
}

/// Where cgroup2 is mounted, according to a mountinfo file.
fn mounts_in(mountinfo: &[u8]) -> Vec<PathBuf> {
    mounted(mountinfo, b"cgroup2").map(|(mount, _)| mount).collect()
}

/// Mounts of a type with their options, according to a mountinfo file (`proc_pid_mountinfo(5)`).
fn mounted<'a>(
    mountinfo: &'a [u8],
    file_system: &'a [u8],
) -> impl Iterator<Item = (PathBuf, &'a [u8])> {
    mountinfo.split(|&byte| byte == b'\n').filter_map(move |line| {
        let mut fields = line.split(|&byte| byte == b' ');
        let point = unescape(fields.nth(4)?);
        // A varying number of optional fields ends with a lone dash.
        fields.find(|field| *field == b"-")?;
        let is = fields.next()? == file_system;
        is.then(|| (OsString::from_vec(point).into(), fields.nth(1).unwrap_or_default()))
    })
}

/// Undoes the octal escapes of space, tab, newline and backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'\\', &[a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ref after @ ..]) => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => plain.push(first),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"\
        22 1 0:20 / /proc rw shared:5 - proc proc rw\n\
        30 24 0:26 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n\
        31 24 0:27 / /sys/fs/cgroup/my\\040own rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw\n\
        32 24 0:27 / /mnt rw - cgroup2 none rw\n\
        broken line\n";

    #[test]
    fn finds_the_mounts() {
        let expected = ["/sys/fs/cgroup/my own", "/mnt"].map(PathBuf::from);
        assert_eq!(mounts_in(MOUNTINFO), expected);
        assert_eq!(unescape(br"a\\b\134"), br"a\\b\");
    }

    #[test]
    fn a_controllers_hierarchy_is_used_where_the_unified_one_is_not_mounted() {
        let unified = CgroupTree::find_in(MOUNTINFO).unwrap();
        assert_eq!(unified.source, CgroupSource::Unified);
        assert_eq!(CgroupTree::remark(Some(&unified)), None);
        let line = |point: &str, options: &str| {
            format!("30 24 0:26 / {point} rw shared:9 - cgroup cgroup rw,{options}\n")
        };
        let both = line("/cg/cpu", "cpu,cpuacct") + &line("/cg/memory", "memory");
        let found = CgroupTree::find_in(both.as_bytes()).unwrap();
        assert_eq!((found.mount, found.source), ("/cg/memory".into(), CgroupSource::Memory));
        let found = CgroupTree::find_in(line("/cg/cpu", "cpu,cpuacct").as_bytes()).unwrap();
        assert!(CgroupTree::remark(Some(&found)).unwrap().contains("cpu hierarchy"));
        assert_eq!(CgroupTree::find_in(line("/cg/systemd", "name=systemd").as_bytes()), None);
        assert!(CgroupTree::remark(None).unwrap().contains("no names"));
    }

    #[test]
    fn finds_cgroups_by_directory_and_by_path() {
        // Any directory does for a mount.
        let root = tempfile::tempdir().unwrap();
        let mount = root.path().canonicalize().unwrap();
        let deep = mount.join("system.slice/x.service");
        fs::create_dir_all(&deep).unwrap();
        let id = fs::metadata(&deep).unwrap().ino();
        let mounts = [PathBuf::from("/nowhere"), mount.clone()];
        let find = |text: &str| Cgroup::find_in(&mounts, text);
        let path = "/system.slice/x.service".into();
        let expected = Cgroup { path, id, directory: deep.clone(), depth: 2 };
        assert_eq!(find("/system.slice/x.service"), Ok(expected.clone()));
        assert_eq!(find("system.slice/x.service/"), Ok(expected.clone()));
        assert_eq!(find(deep.to_str().unwrap()), Ok(expected));
        let root = find("/").unwrap();
        assert_eq!((root.depth, root.path), (0, PathBuf::from("/")));
        for (text, part) in [("nope", "no such cgroup"), ("../..", "no such"), ("", "empty path")] {
            assert!(find(text).unwrap_err().contains(part), "{text}");
        }
        assert!(Cgroup::find_in(&[], "/").unwrap_err().contains("no cgroup2"));
    }
}
