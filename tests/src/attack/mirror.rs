//! A port of the switch that is mirrored: everything that one host sends and gets.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mimeo_benches::netlab::{Host, Room};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::{Domain, Protocol, Socket, Type};

/// `ETH_P_ALL` of `linux/if_ether.h`: frames of all protocols, those that leave too.
const ALL_PROTOCOLS: u16 = 3;

/// Many times what passes while the recording thread is not running.
const BUFFER: usize = 64 << 20;

/// How soon the recording thread sees that it is to end.
const GLANCE: Duration = Duration::from_millis(20);

/// The protocol number of UDP in an IPv4 header.
pub(super) const UDP: u8 = 17;

/// A datagram that passed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Who sent it, as it says.
    pub from: SocketAddrV4,
    /// Where to.
    pub to: SocketAddrV4,
    /// What the network carries for it.
    pub payload: Vec<u8>,
}

/// Records until it is dropped. Where datagrams are to be told apart, the room must be
/// [`Room::segmented`].
#[derive(Debug)]
pub struct Mirror {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Mirror {
    /// Begins to record what `host` sends and gets.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    #[must_use]
    pub fn of(room: &Room, host: Host) -> Self {
        let socket = room
            .inside(host, open)
            .expect("a host of the room can be entered")
            .expect("root may open a packet socket");
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            std::thread::spawn(move || record(&socket, &seen, &stop))
        };
        Self {
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// All that passed since the last call, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell; a panic of it was printed.
            let _ = thread.join();
        }
    }
}

fn open() -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
    set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    socket.set_read_timeout(Some(GLANCE))?;
    Ok(socket)
}

fn record(mut socket: &Socket, seen: &Mutex<Vec<Seen>>, stop: &AtomicBool) {
    let mut packet = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        let Ok(length) = socket.read(&mut packet) else {
            continue;
        };
        if let Some(datagram) = parse(&packet[..length]) {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(datagram);
        }
    }
}

/// The datagram in an IPv4 packet (RFC 791, RFC 768), if it holds a whole one.
fn parse(packet: &[u8]) -> Option<Seen> {
    let head = packet.first_chunk::<20>()?;
    let [version, length] = [head[0] >> 4, head[0] & 15];
    let is_whole = u16::from_be_bytes([head[6], head[7]]) & 0x3fff == 0;
    if version != 4 || head[9] != UDP || !is_whole {
        return None;
    }
    let udp = packet.get(usize::from(length) * 4..)?;
    let end = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    let ip = |at: usize| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]);
    Some(Seen {
        from: SocketAddrV4::new(ip(12), port(0)),
        to: SocketAddrV4::new(ip(16), port(2)),
        payload: udp.get(8..end)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::spoofer::packet;

    #[test]
    fn a_datagram_is_read_as_it_was_made() {
        let (from, to) = ("10.77.0.9:5", "239.255.77.77:64636");
        let seen = Seen {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            payload: b"hello".to_vec(),
        };
        let mut bytes = packet(seen.from, seen.to, &seen.payload);
        assert_eq!(parse(&bytes), Some(seen));
        // Ethernet pads short frames.
        bytes.extend_from_slice(&[0; 13]);
        assert_eq!(parse(&bytes).map(|seen| seen.payload.len()), Some(5));
        for cut in 0..33 {
            assert_eq!(parse(&bytes[..cut]), None, "{cut}");
        }
    }
}
