//! Names of cgroups.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::filter::CgroupTree;
use crate::wire::MAX_CGROUP_DEPTH;

/// An unknown id makes us read the tree again, but not more often than this.
const REREAD: Duration = Duration::from_secs(1);
/// Ids of cgroups to paths below the mount, read from the tree when an id is new.
#[derive(Debug, Default)]
pub struct CgroupNames {
    mount: Option<PathBuf>,
    names: HashMap<u64, Arc<str>>,
    read: Option<Instant>,
}

impl CgroupNames {
    /// Names in the hierarchy that is used here.
    pub fn of_machine() -> Self {
        Self::new(CgroupTree::find().map(|tree| tree.mount))
    }

    /// Names below the given mount; without one every name is unknown.
    pub fn new(mount: Option<PathBuf>) -> Self {
        Self { mount, names: HashMap::new(), read: None }
    }

    /// The path of a cgroup, `/` for the root; `None` when it is not in the tree (any more).
    pub fn name(&mut self, id: u64) -> Option<Arc<str>> {
        if id == 0 {
            return None;
        }
        if let Some(name) = self.names.get(&id) {
            return Some(Arc::clone(name));
        }
        let mount = self.mount.clone()?;
        if self.read.is_none_or(|at| at.elapsed() >= REREAD) {
            self.names.clear();
            self.walk(&mount, "/", 0);
            self.read = Some(Instant::now());
        }
        self.names.get(&id).cloned()
    }

    /// The id of a cgroup is the inode of its folder.
    fn walk(&mut self, folder: &Path, name: &str, depth: usize) {
        let Ok(metadata) = fs::metadata(folder) else { return };
        self.names.insert(metadata.ino(), name.into());
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            if depth < MAX_CGROUP_DEPTH && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let below = format!(
                    "{}/{}",
                    name.trim_end_matches('/'),
                    entry.file_name().to_string_lossy()
                );
                self.walk(&entry.path(), &below, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_below_the_mount() {
        let tree = tempfile::tempdir().unwrap();
        let service = tree.path().join("system.slice/nginx.service");
        fs::create_dir_all(&service).unwrap();
        let id = fs::metadata(&service).unwrap().ino();
        let root = fs::metadata(tree.path()).unwrap().ino();
        let mut names = CgroupNames::new(Some(tree.path().to_owned()));
        assert_eq!(names.name(id).as_deref(), Some("/system.slice/nginx.service"));
        assert_eq!(names.name(root).as_deref(), Some("/"));
        assert_eq!(names.name(0), None);
    }

    #[test]
    fn without_a_mount_every_name_is_unknown() {
        assert_eq!(CgroupNames::new(None).name(1), None);
    }
}
