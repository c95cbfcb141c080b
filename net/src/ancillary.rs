//! What the kernel tells beside each datagram.

use std::{io, os::fd::AsRawFd};

use libc::c_int;

use crate::Family;

/// Spares the kernel the destination and the type of service of each message, which quinn-udp
/// asks for and nobody here reads. The destination alone costs a look into the routing table for
/// every datagram of a group.
pub(crate) fn leave_out(socket: &socket2::Socket, family: Family) -> io::Result<()> {
    let options = match family {
        Family::V4 => [
            (libc::IPPROTO_IP, libc::IP_PKTINFO),
            (libc::IPPROTO_IP, libc::IP_RECVTOS),
        ],
        Family::V6 => [
            (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
        ],
    };
    for (level, name) in options {
        turn_off(socket, level, name)?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "no safe wrapper of IP_PKTINFO exists")]
fn turn_off(socket: &socket2::Socket, level: c_int, name: c_int) -> io::Result<()> {
    let off: c_int = 0;
    let len = size_of_val(&off) as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` is borrowed, and the kernel reads `len` bytes
    // of `off`, which is that long.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const off).cast(),
            len,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
