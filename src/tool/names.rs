//! Names that events have in JSON alone.

use std::sync::Arc;

use crate::cgroup::CgroupNames;
use crate::kernel::netns_names::NetnsNames;

/// Names of cgroups and network namespaces.
#[derive(Default)]
pub struct Names {
    cgroups: CgroupNames,
    namespaces: Option<NetnsNames>,
}

impl Names {
    /// Those of this machine; none where nothing `shows` them.
    pub fn of_machine(shows: bool) -> Self {
        if !shows {
            return Self::default();
        }
        Self { cgroups: CgroupNames::of_machine(), namespaces: Some(NetnsNames::default()) }
    }

    /// The path of a cgroup.
    pub fn cgroup(&mut self, id: u64) -> Option<Arc<str>> {
        self.cgroups.name(id)
    }

    /// The name of a network namespace.
    pub fn netns(&mut self, inode: u32) -> Option<Arc<str>> {
        self.namespaces.as_mut()?.name(inode)
    }
}
