//! Noise on a session's ports: what a stranger can do without any key.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::fixture::Random;
use crate::netlab::{Host, Room};

/// Bytes of a datagram: that of a symbol, so that nothing is dropped for its length alone.
const LENGTH: usize = 1448;

/// The kinds of datagrams of the protocol, in the second byte.
const KINDS: [u8; 12] = [1, 2, 3, 4, 5, 6, 16, 17, 18, 19, 32, 33];

/// Datagrams that are made in advance and sent in turn.
const DIFFERENT: usize = 256;

/// The flooder sleeps at least this long, and sends at once what has become due.
const PAUSE: Duration = Duration::from_millis(1);

/// No more becomes due at once, also where the flooder did not run for a while.
const AT_ONCE: Duration = Duration::from_millis(20);

/// A flood of random datagrams. Half of them begin like those of the session, down to its tag, so
/// that only their seal gives them away.
#[derive(Clone, Debug)]
pub struct Flood {
    /// Where to, in turn.
    pub to: Vec<SocketAddrV4>,
    /// bit/s of payload, over all of them.
    pub rate: u64,
    /// It ends by itself after this.
    pub most: Duration,
}

/// A flood under way. Dropping it ends it.
#[derive(Debug)]
pub struct Flooding {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// The addresses that the sockets of these hosts are bound to: groups, and their own.
///
/// # Errors
///
/// As for [`Room::inside`], or the kernel's table cannot be read.
pub fn ports(room: &Room, hosts: impl IntoIterator<Item = Host>) -> Result<Vec<SocketAddrV4>> {
    let mut ports = Vec::new();
    for host in hosts {
        // `thread-self`, because only this thread is on the host.
        let table = room.inside(host, || {
            std::fs::read_to_string("/proc/thread-self/net/udp")
        })??;
        ports.extend(table.lines().filter_map(local_address));
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// Of a line of proc_net_udp(5): the second column, an address that the kernel prints as a number of
/// the machine's own byte order.
fn local_address(line: &str) -> Option<SocketAddrV4> {
    let (address, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddrV4::new(Ipv4Addr::from(address), port))
}

impl Flood {
    /// Begins it, from `host`.
    ///
    /// # Errors
    ///
    /// It has no aim, or as for [`Room::inside`].
    pub fn begin(self, room: &Room, host: Host) -> Result<Flooding> {
        ensure!(!self.to.is_empty(), "a flood needs somewhere to go");
        let socket = room
            .inside(host, || UdpSocket::bind((host.address(), 0)))?
            .context("the flooder has no socket")?;
        let (stop, sent) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || self.run(&socket, &stopped, &counter));
        Ok(Flooding {
            stop,
            sent,
            thread: Some(thread),
        })
    }

    fn run(&self, socket: &UdpSocket, stop: &AtomicBool, counter: &AtomicU64) {
        let datagrams = self.datagrams();
        let every = Duration::from_secs_f64(LENGTH as f64 * 8.0 / self.rate as f64);
        let begun = Instant::now();
        let (mut due, mut number) = (begun, 0);
        while !stop.load(Ordering::Relaxed) && begun.elapsed() < self.most {
            let now = Instant::now();
            due = due.max(now.checked_sub(AT_ONCE).unwrap_or(now));
            while due <= now {
                let to = self.to[number % self.to.len()];
                // Where a buffer is full, it is: that is what floods are about.
                if socket.send_to(&datagrams[number % DIFFERENT], to).is_ok() {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                number += 1;
                due += every;
            }
            sleep(PAUSE);
        }
    }

    fn datagrams(&self) -> Vec<Vec<u8>> {
        let mut random = Random::new(self.rate);
        let tag = self.tag();
        let one = |number: usize| {
            let mut datagram = vec![0; LENGTH];
            random.fill(&mut datagram);
            if number.is_multiple_of(2) {
                datagram[..4].copy_from_slice(&[
                    1,
                    KINDS[number / 2 % KINDS.len()],
                    tag[0],
                    tag[1],
                ]);
            }
            datagram
        };
        (0..DIFFERENT).map(one).collect()
    }

    /// The tag of the session: the data group is drawn from it.
    fn tag(&self) -> [u8; 2] {
        let mut groups = self.to.iter().map(|to| to.ip().octets());
        let data = groups.find(|group| group[0] == 239 && group[2..] != [77, 77]);
        data.map_or([0, 0], |group| [group[2], group[3]])
    }
}

impl Flooding {
    /// Ends it. Returns how many datagrams left.
    #[must_use]
    pub fn end(mut self) -> u64 {
        self.join();
        self.sent.load(Ordering::Relaxed)
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Flooding {
    fn drop(&mut self) {
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_table() {
        let line = "  471: 01004D0A:FC7C 00000000:0000 07 00000000:00000000 00:00000000 00000000";
        let expected = u32::from_ne_bytes([10, 77, 0, 1]);
        let line = line.replace("01004D0A", &format!("{expected:08X}"));
        assert_eq!(
            local_address(&line),
            Some("10.77.0.1:64636".parse().unwrap())
        );
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt";
        assert_eq!(local_address(head), None);
    }

    #[test]
    fn half_of_it_looks_like_the_session() {
        let to = [
            "10.77.0.1:64636",
            "239.255.77.77:64636",
            "239.255.3.4:50000",
        ];
        let flood = Flood {
            to: to.map(|to| to.parse().unwrap()).to_vec(),
            rate: 1_000_000,
            most: Duration::ZERO,
        };
        let datagrams = flood.datagrams();
        let alike = datagrams.iter().filter(|datagram| {
            datagram[0] == 1 && KINDS.contains(&datagram[1]) && datagram[2..4] == [3, 4]
        });
        assert_eq!(alike.count(), DIFFERENT / 2);
    }
}
