//! Sockets of the thread's network namespace as `sock_diag(7)` lists them: without any BPF program, in a
//! moment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// `TCP_LISTEN` of `include/net/tcp_states.h`.
pub const LISTEN: u32 = 10;
/// `TCP_BOUND_INACTIVE`: bound, and neither connected nor listening; before Linux 6.8 none is listed.
pub const BOUND: u32 = 13;

/// `SOCK_DIAG_BY_FAMILY` of `include/uapi/linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR`, `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `struct nlmsghdr`, `struct inet_diag_req_v2` and `struct inet_diag_msg`, bytes.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
/// `IPPROTO_TCP`, `AF_INET`, `AF_INET6`.
const TCP: u8 = 6;
const FAMILIES: [u8; 2] = [2, 10];
/// Bytes of an answer: what `ss` reads at once.
const ROOM: usize = 32 << 10;

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiagSocket {
    /// Local address.
    pub laddr: IpAddr,
    /// Local port.
    pub lport: u16,
    /// Device that it is bound to; 0: none.
    pub device: u32,
    /// Of a listener: connections that wait for `accept()`.
    pub queued: u32,
    /// Of a listener: limit of them.
    pub limit: u32,
    /// Inode, as in `/proc/PID/fd`.
    pub inode: u32,
}

fn request(family: u8, state: u32) -> [u8; HEADER + REQUEST] {
    let mut out = [0; HEADER + REQUEST];
    let length = u32::try_from(out.len()).unwrap_or(0);
    out[0..4].copy_from_slice(&length.to_ne_bytes());
    out[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    out[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    out[HEADER] = family;
    out[HEADER + 1] = TCP;
    out[HEADER + 4..HEADER + 8].copy_from_slice(&(1_u32 << state).to_ne_bytes());
    out
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}

fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    if family == FAMILIES[0] {
        let four: [u8; 4] = bytes.get(8..12)?.try_into().ok()?;
        return Some(Ipv4Addr::from(four).into());
    }
    let all: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
    Some(Ipv6Addr::from(all).to_canonical())
}

/// `struct inet_diag_msg`
fn socket(bytes: &[u8]) -> Option<DiagSocket> {
    let bytes = bytes.get(..MESSAGE)?;
    Some(DiagSocket {
        laddr: address(bytes[0], bytes)?,
        lport: u16::from_be_bytes([bytes[4], bytes[5]]),
        device: number(bytes, 40),
        queued: number(bytes, 56),
        limit: number(bytes, 60),
        inode: number(bytes, 68),
    })
}

/// Takes in the messages of one answer; `false`: it was the last one.
fn take(mut answer: &[u8], found: &mut Vec<DiagSocket>) -> Result<bool> {
    while answer.len() >= HEADER {
        let length = usize::try_from(number(answer, 0)).unwrap_or(0);
        let kind = u16::from_ne_bytes([answer[4], answer[5]]);
        let Some(body) = answer.get(HEADER..length) else { bail!("a message of {length} bytes") };
        match kind {
            DONE => return Ok(false),
            ERROR => bail!("error {}", number(body, 0).cast_signed()),
            BY_FAMILY => found.extend(socket(body)),
            _ => {}
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

fn dump(netlink: &OwnedFd, family: u8, state: u32, found: &mut Vec<DiagSocket>) -> Result<()> {
    rustix::net::send(netlink, &request(family, state), SendFlags::empty())?;
    let mut room = vec![0; ROOM];
    loop {
        let (read, _) = rustix::net::recv(netlink, &mut room[..], RecvFlags::empty())?;
        if !take(&room[..read], found)? {
            return Ok(());
        }
    }
}

/// TCP sockets in one state (its number), IPv4 and IPv6.
///
/// # Errors
/// The kernel has no `sock_diag` for TCP.
pub fn sockets(state: u32) -> Result<Vec<DiagSocket>> {
    let flags = SocketFlags::CLOEXEC;
    let protocol = Some(netlink::SOCK_DIAG);
    let netlink =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
            .context("cannot open a netlink socket")?;
    let mut found = Vec::new();
    for family in FAMILIES {
        dump(&netlink, family, state, &mut found).context("sock_diag lists no sockets")?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_the_kernel_lays_it_out() {
        let mut message = [0; MESSAGE];
        message[0] = 2;
        message[4..6].copy_from_slice(&8080_u16.to_be_bytes());
        message[8..12].copy_from_slice(&[192, 0, 2, 1]);
        message[56..60].copy_from_slice(&3_u32.to_ne_bytes());
        message[60..64].copy_from_slice(&128_u32.to_ne_bytes());
        message[68..72].copy_from_slice(&77_u32.to_ne_bytes());
        let laddr = IpAddr::from([192, 0, 2, 1]);
        let whole = DiagSocket { laddr, lport: 8080, device: 0, queued: 3, limit: 128, inode: 77 };
        assert_eq!(socket(&message), Some(whole));
        assert_eq!(socket(&message[..40]), None);
        let header = |length: usize, kind: u16| {
            let mut header = [0; HEADER];
            header[..4].copy_from_slice(&u32::try_from(length).unwrap().to_ne_bytes());
            header[4..6].copy_from_slice(&kind.to_ne_bytes());
            header
        };
        let mut found = Vec::new();
        let one = [&header(HEADER + MESSAGE, BY_FAMILY)[..], &message].concat();
        assert!(take(&one, &mut found).unwrap(), "more may come");
        assert!(!take(&header(HEADER, DONE), &mut found).unwrap());
        assert_eq!(found, [whole]);
        let error = [&header(HEADER + 4, ERROR)[..], &(-2_i32).to_ne_bytes()].concat();
        assert!(take(&error, &mut found).unwrap_err().to_string().contains("-2"));
        assert!(take(&header(HEADER + 9, DONE), &mut found).is_err(), "cut off");
    }

    #[test]
    fn its_own_listener_is_listed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // A kernel without the module says so.
        let Ok(all) = sockets(LISTEN) else { return };
        let own = all.iter().find(|one| one.lport == port).unwrap();
        assert_eq!((own.laddr, own.queued), (IpAddr::from([127, 0, 0, 1]), 0));
        assert!(own.limit > 0);
    }
}
