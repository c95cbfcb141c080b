//! Sends datagrams that say to come from somebody else.

use std::io;
use std::net::SocketAddrV4;

use mimeo_benches::netlab::{Host, Room};
use socket2::{Domain, Protocol, Socket, Type};

use super::mirror::UDP;

/// `IPPROTO_RAW` of `linux/in.h`: packets with a header of one's own.
const RAW: i32 = 255;

/// On a host of the room.
#[derive(Debug)]
pub struct Spoofer {
    socket: Socket,
}

impl Spoofer {
    /// Stands on `host`.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    #[must_use]
    pub fn on(room: &Room, host: Host) -> Self {
        let open = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW)));
        let socket = room
            .inside(host, open)
            .expect("a host of the room can be entered")
            .expect("root may open a raw socket");
        Self { socket }
    }

    /// Sends one datagram.
    ///
    /// # Panics
    ///
    /// When it cannot be sent for another reason than that nobody is there.
    pub fn send(&self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        let packet = packet(from, to, payload);
        let sent = self.socket.send_to(&packet, &to.into());
        // A host that does not answer for its address is one that has left.
        let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::HostUnreachable;
        match sent {
            Ok(length) => assert_eq!(length, packet.len()),
            Err(error) => assert!(is_gone(&error), "{to}: {error}"),
        }
    }
}

/// An IPv4 packet; the kernel adds length and sum of its header. A UDP checksum of zero stands for
/// none (RFC 768).
pub(super) fn packet(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let udp_length = u16::try_from(8 + payload.len()).expect("a datagram is below 64 KiB");
    let fields: [&[u8]; 9] = [
        // Version and length of the header, type of service, total length, number and fragment.
        &[0x45, 0],
        &(20 + udp_length).to_be_bytes(),
        &[0; 4],
        // Time to live, protocol and sum.
        &[1, UDP, 0, 0],
        &from.ip().octets(),
        &to.ip().octets(),
        &[from.port(), to.port()].map(u16::to_be_bytes).concat(),
        &udp_length.to_be_bytes(),
        &[0; 2],
    ];
    let mut packet = fields.concat();
    packet.extend_from_slice(payload);
    packet
}
