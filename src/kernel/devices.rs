//! Names of network devices, by their index in their network namespace.

use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::netns_list::NetnsList;
use crate::report::Device;

/// A name may be given to another device, and an inode to another namespace.
const TRUST: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Devices {
    namespaces: NetnsList,
    known: HashMap<(u32, u32), (Instant, Device)>,
}

static DEVICES: LazyLock<Mutex<Devices>> = LazyLock::new(Mutex::default);

/// The device with this index in a namespace; of one whose name is not known the index. 0 is none.
pub fn device(netns: u32, index: u32) -> Option<Device> {
    if index == 0 {
        return None;
    }
    let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
    let Devices { namespaces, known } = &mut *devices;
    known.retain(|_, (read, _)| read.elapsed() < TRUST);
    let read = || {
        let name = name(namespaces, netns, index);
        (Instant::now(), name.map_or_else(|| Device::numbered(index), |name| name.as_str().into()))
    };
    Some(known.entry((netns, index)).or_insert_with(read).1)
}

/// The index of a device in a namespace.
pub fn index(netns: u32, device: &str) -> Option<u32> {
    let mut list = NetnsList::default();
    let by_number = || device.strip_prefix("if").unwrap_or(device).parse().ok();
    let inside = || Ok(name_to_index(any_socket()?, device)?);
    let place = list.places(Some(netns)).into_iter().next();
    let found = place.as_ref().and_then(|place| place.within(inside)).and_then(Result::ok);
    let listed =
        || place.as_ref()?.read_net(|net| Ok(listed(net)))?.into_iter().find(|one| one.1 == device);
    found.or_else(|| Some(listed()?.0)).or_else(by_number).filter(|index| *index != 0)
}

/// For requests about devices of this thread's namespace.
fn any_socket() -> Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

fn name(namespaces: &mut NetnsList, netns: u32, index: u32) -> Option<String> {
    let place = namespaces.places(Some(netns)).into_iter().next()?;
    let inside = || Ok(index_to_name(any_socket()?, index)?);
    if let Some(Ok(name)) = place.within(inside) {
        return Some(name);
    }
    let listed = place.read_net(|net| Ok(listed(net)))?;
    listed.into_iter().find(|one| one.0 == index).map(|one| one.1)
}

/// Devices that have a group or an address, which who may not enter the namespace can read.
fn listed(net: &Path) -> Vec<(u32, String)> {
    let read = |file: &str| fs::read_to_string(net.join(file)).unwrap_or_default();
    let mut found = Vec::new();
    for line in read("igmp").lines() {
        // "2	vb        :     2      V3"; groups are indented
        let mut words = line.split_whitespace();
        if let Some(index) =
            words.next().filter(|_| !line.starts_with('\t')).and_then(|word| word.parse().ok())
        {
            found.extend(words.next().map(|name| (index, name.trim_end_matches(':').to_owned())));
        }
    }
    for line in read("if_inet6").lines() {
        // address, index, prefix, scope, flags, name
        let words: Vec<_> = line.split_whitespace().collect();
        if let [_, index, .., name] = words[..]
            && let Ok(index) = u32::from_str_radix(index, 16)
        {
            found.push((index, name.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netns::Netns;

    #[test]
    fn loopback_has_its_name() {
        let own = Netns::own().unwrap().inode();
        assert_eq!(device(own, 1), Some(Device::from("lo")));
        assert_eq!(index(own, "lo"), Some(1));
        assert_eq!(device(own, 0), None);
        assert_eq!(device(own, 4_000_000), Some(Device::from("if4000000")));
        assert_eq!(index(own, "if7"), Some(7));
        assert_eq!(index(own, "no-such-device"), None);
        let listed = listed(Path::new("/proc/thread-self/net"));
        assert!(
            listed.iter().all(|(index, name)| device(own, *index) == Some(name.as_str().into()))
        );
    }
}
