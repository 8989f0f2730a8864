//! Names of network namespaces, for people.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::netns::{inode_at, named, processes};

/// The name of a namespace that had none is looked for at most this often.
const RETRY: Duration = Duration::from_secs(1);
/// After this time it is checked that what gave the name still leads to the namespace: the inode is
/// soon given to another one. Also the shortest time between two readings of all names.
const TRUST: Duration = Duration::from_millis(100);
/// Hexadecimal digits of a container's id, and those that are shown of it.
const ID: usize = 64;
const SHOWN: usize = 12;

/// A name, the file that leads to its namespace, and when it last did.
#[derive(Debug)]
struct Named {
    name: Arc<str>,
    path: PathBuf,
    checked: Instant,
}

impl Named {
    fn is_of(&mut self, inode: u32) -> bool {
        if self.checked.elapsed() >= TRUST {
            self.checked = Instant::now();
            return inode_at(&self.path) == Some(inode);
        }
        true
    }
}

/// Names by inode.
#[derive(Debug, Default)]
pub struct NetnsNames {
    names: HashMap<u32, Named>,
    /// Those that had no name when it was last looked for.
    unnamed: HashMap<u32, Instant>,
    read: Option<Instant>,
}

impl NetnsNames {
    /// The name that `ip netns` gave it, or the pod or container in it, else its oldest process;
    /// `None` where nothing leads to it.
    pub fn name(&mut self, inode: u32) -> Option<Arc<str>> {
        if self.names.get_mut(&inode).is_some_and(|named| !named.is_of(inode)) {
            self.names.remove(&inode);
            self.read = None;
        }
        if !self.names.contains_key(&inode) && self.may_look(inode) {
            let now = Instant::now();
            self.names = read();
            self.read = Some(now);
            self.unnamed.retain(|_, looked| now - *looked < RETRY);
            if !self.names.contains_key(&inode) {
                self.unnamed.insert(inode, now);
            }
        }
        self.names.get(&inode).map(|named| Arc::clone(&named.name))
    }

    fn may_look(&self, inode: u32) -> bool {
        self.read.is_none_or(|read| read.elapsed() >= TRUST)
            && self.unnamed.get(&inode).is_none_or(|looked| looked.elapsed() >= RETRY)
    }

    /// The namespace with a name as shown, or of a container by the beginning of its id.
    pub fn find(name: &str) -> Option<u32> {
        let is = |shown: &str| {
            let id = shown.strip_prefix("container/");
            shown == name || id.is_some_and(|id| name.starts_with(id))
        };
        read().into_iter().find(|(_, named)| is(&named.name)).map(|(inode, _)| inode)
    }
}

fn read() -> HashMap<u32, Named> {
    let checked = Instant::now();
    let mut names: HashMap<u32, Named> = HashMap::new();
    for path in named() {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if let Some((inode, name)) = inode_at(&path).zip(name)
            && !is_generated(&name)
        {
            let name = name.into();
            names.insert(inode, Named { name, path, checked });
        }
    }
    for pid in processes() {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let path = folder.join("ns/net");
        let Some(inode) = inode_at(&path) else { continue };
        names.entry(inode).or_insert_with(|| {
            let cgroups = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
            let host = || fs::read_to_string(folder.join("root/etc/hostname")).ok();
            let process = || {
                let comm = fs::read_to_string(folder.join("comm")).unwrap_or_default();
                format!("{}[{pid}]", comm.trim_end_matches('\n'))
            };
            let name = container(&cgroups, host).unwrap_or_else(process).into();
            Named { name, path, checked }
        });
    }
    names
}

/// Names that no person gave: of CNI (`cni-UUID`) and docker (hexadecimal digits).
fn is_generated(name: &str) -> bool {
    name.strip_prefix("cni-").is_some_and(|rest| rest.len() == 36)
        || (name.len() == SHOWN && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `pod/NAME` or `container/ID` of a process with this /proc/PID/cgroup. A pod's host name is its
/// own.
fn container(cgroups: &str, host: impl FnOnce() -> Option<String>) -> Option<String> {
    let path = cgroups.lines().find(|line| id_in(line).is_some())?;
    let id = &id_in(path)?[..SHOWN];
    let pod = path.contains("kubepods").then(host).flatten();
    let pod = pod.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    Some(pod.map_or_else(|| format!("container/{id}"), |pod| format!("pod/{pod}")))
}

/// A container's id: the last 64 hexadecimal digits in a row.
fn id_in(path: &str) -> Option<&str> {
    path.split(|c: char| !c.is_ascii_hexdigit()).rfind(|part| part.len() == ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_pods_are_named() {
        let id = "0123456789abcdef".repeat(4);
        let docker = format!("1:name=systemd:/\n0::/system.slice/docker-{id}.scope\n");
        let none = || None;
        assert_eq!(container(&docker, none).unwrap(), "container/0123456789ab");
        let pod = format!("0::/kubepods.slice/kubepods-pod12.slice/cri-containerd-{id}.scope\n");
        assert_eq!(container(&pod, none).unwrap(), "container/0123456789ab");
        assert_eq!(container(&pod, || Some("web-7d9c\n".into())).unwrap(), "pod/web-7d9c");
        assert_eq!(container("0::/user.slice/session-1.scope\n", none), None);
        assert!(is_generated("cni-4f3c2a1e-8b7d-4c6e-9f01-23456789abcd"));
        assert!(is_generated("0123456789ab") && !is_generated("blue"));
    }
}
