//! Sending in bursts: many equal-sized datagrams per system call.

use std::{io, net::SocketAddr};

use quinn_udp::Transmit;
use thiserror::Error;

use super::Socket;

/// The largest UDP payload over IPv4 in bytes: 65,535 minus 20 (IP) minus 8 (UDP).
/// IPv6 would allow 20 more. It bounds a burst as it bounds a datagram, because
/// the kernel builds the burst as one packet first.
pub const MAX_DATAGRAM: usize = 65_507;

/// What became of a burst.
#[derive(Debug, Default)]
pub struct Sent {
    /// Bytes of the burst that are dealt with, sent or refused: a multiple of the
    /// segment size, or everything. When `blocked`, the rest is still to be sent.
    pub bytes: usize,
    /// Datagrams that the kernel took.
    pub datagrams: usize,
    /// Datagrams that the kernel did not take. For the protocol they are lost, as
    /// if the network had dropped them.
    pub refused: usize,
    /// Why the last of `refused` was not taken: no route, no neighbour, no buffer
    /// in the driver, or a firewall on this host (`PermissionDenied`).
    pub refusal: Option<io::Error>,
    /// The send buffer is full: wait until the socket is writable, then go on
    /// after `bytes`.
    pub blocked: bool,
}

/// Why a burst can never be sent.
#[derive(Debug, Error)]
pub enum SendError {
    /// A datagram is larger than the path takes; fragmentation is forbidden.
    #[error(
        "a datagram of {size} bytes to {destination} is larger than the MTU of the interface allows; raise the MTU (ip link set dev NAME mtu 1500)"
    )]
    TooLarge {
        /// Payload bytes of the datagram.
        size: usize,
        /// Where it was to go.
        destination: SocketAddr,
    },
    /// The operating system refused for good.
    #[error("cannot send to {destination}: {source}")]
    Failed {
        /// Where it was to go.
        destination: SocketAddr,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl Socket {
    /// Sends `contents` as datagrams of `segment_size` bytes each; the last one may
    /// be shorter. Never blocks.
    ///
    /// Where the kernel can, one system call takes up to 64 datagrams (GSO). Where
    /// the card cannot, which shows only when it is tried, the burst is sent again
    /// datagram by datagram, and so is everything after it.
    ///
    /// # Errors
    ///
    /// Only what would fail again: [`SendError::TooLarge`], or
    /// [`SendError::Failed`] for an address of the wrong family, a segment size of
    /// 0 and the like. What the network or the firewall refuses is counted in
    /// [`Sent::refused`].
    pub fn send(
        &self,
        destination: SocketAddr,
        contents: &[u8],
        segment_size: usize,
    ) -> Result<Sent, SendError> {
        if segment_size == 0 {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "a segment size of 0");
            return Err(SendError::Failed {
                destination,
                source,
            });
        }
        let mut sent = Sent::default();
        while sent.bytes < contents.len() {
            let rest = &contents[sent.bytes..];
            let burst = &rest[..burst_len(rest.len(), segment_size, self.state.max_gso_segments())];
            let count = burst.len().div_ceil(segment_size);
            let Err(error) = self.send_burst(destination, burst, segment_size) else {
                sent.bytes += burst.len();
                sent.datagrams += count;
                continue;
            };
            match Verdict::on(&error, count, self.state.max_gso_segments()) {
                Verdict::Blocked => {
                    sent.blocked = true;
                    break;
                }
                Verdict::OneByOne => {}
                Verdict::Refused => {
                    sent.bytes += burst.len();
                    sent.refused += count;
                    sent.refusal = Some(error);
                }
                Verdict::TooLarge => {
                    let size = burst.len().min(segment_size);
                    return Err(SendError::TooLarge { size, destination });
                }
                Verdict::Failed => {
                    return Err(SendError::Failed {
                        destination,
                        source: error,
                    });
                }
            }
        }
        Ok(sent)
    }

    fn send_burst(
        &self,
        destination: SocketAddr,
        contents: &[u8],
        segment_size: usize,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination,
            ecn: None,
            contents,
            segment_size: Some(segment_size),
            src_ip: None,
        };
        self.state.try_send((&self.socket).into(), &transmit)
    }
}

/// How many of `remaining` bytes go into the next system call: whole datagrams,
/// at most `max_segments`, together no larger than one packet can be, and at
/// least one.
fn burst_len(remaining: usize, segment_size: usize, max_segments: usize) -> usize {
    let segments = max_segments.min(MAX_DATAGRAM / segment_size).max(1);
    remaining.min(segments.saturating_mul(segment_size))
}

/// What an error of one system call means for the burst.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Go on later.
    Blocked,
    /// GSO does not work here and has been turned off: try again without.
    OneByOne,
    /// Not sent; for the protocol the datagrams are lost.
    Refused,
    /// The datagrams exceed the MTU.
    TooLarge,
    /// It would fail again.
    Failed,
}

impl Verdict {
    /// Judges `error`, met when sending `count` datagrams at once;
    /// `max_segments` is what GSO allows after the error.
    fn on(error: &io::Error, count: usize, max_segments: usize) -> Self {
        // Read after the errno, because quinn-udp gives up GSO on EIO and EINVAL.
        // Kernels before 6.14 also answer EINVAL when one segment exceeds the MTU;
        // sending one by one then tells by EMSGSIZE.
        let gave_up_gso = count > 1 && max_segments == 1;
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Self::Blocked,
            Some(libc::EIO | libc::EINVAL) if gave_up_gso => Self::OneByOne,
            Some(libc::EMSGSIZE) => Self::TooLarge,
            Some(
                // The queue of the interface or the memory is full.
                libc::ENOBUFS | libc::ENOMEM
                // The ICMP answer to an earlier datagram.
                | libc::ECONNREFUSED
                // No route, no neighbour, a cable that was pulled.
                | libc::EHOSTUNREACH | libc::EHOSTDOWN | libc::ENETUNREACH | libc::ENETDOWN
                // A firewall on this host, or a route that prohibits.
                | libc::EPERM | libc::EACCES,
            ) => Self::Refused,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the bursts that `total` bytes are sent in.
    fn bursts(total: usize, segment_size: usize, max_segments: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        let mut rest = total;
        while rest > 0 {
            let burst = burst_len(rest, segment_size, max_segments);
            assert!((1..=rest).contains(&burst));
            rest -= burst;
            sizes.push(burst);
        }
        sizes
    }

    #[test]
    fn a_burst_holds_whole_datagrams_and_fits_one_packet() {
        // 45 x 1448 = 65,160; a 46th would exceed 65,507.
        assert_eq!(
            bursts(100 * 1448, 1448, 64),
            [45 * 1448, 45 * 1448, 10 * 1448]
        );
        assert_eq!(bursts(46 * 1448 - 1, 1448, 64), [45 * 1448, 1447]);
        assert_eq!(bursts(130, 1, 64), [64, 64, 2]);
    }

    #[test]
    fn without_offload_every_datagram_goes_alone() {
        assert_eq!(bursts(3 * 1448 + 5, 1448, 1), [1448, 1448, 1448, 5]);
    }

    #[test]
    fn a_single_datagram_is_never_split() {
        assert_eq!(bursts(9000, 9000, 64), [9000]);
        assert_eq!(bursts(10, 9000, 64), [10]);
        // Too large for any packet: the kernel is to say so.
        assert_eq!(bursts(70_000, 70_000, 64), [70_000]);
    }

    #[test]
    fn errors_are_judged() {
        let judge =
            |errno, count, max| Verdict::on(&io::Error::from_raw_os_error(errno), count, max);
        assert_eq!(judge(libc::EAGAIN, 40, 64), Verdict::Blocked);
        assert_eq!(judge(libc::EIO, 40, 1), Verdict::OneByOne);
        assert_eq!(judge(libc::EINVAL, 40, 1), Verdict::OneByOne);
        // With a single datagram it was not the offload, and trying again would
        // never end.
        assert_eq!(judge(libc::EINVAL, 1, 1), Verdict::Failed);
        assert_eq!(judge(libc::EIO, 40, 64), Verdict::Failed);
        assert_eq!(judge(libc::EMSGSIZE, 1, 64), Verdict::TooLarge);
        assert_eq!(judge(libc::EPERM, 40, 64), Verdict::Refused);
        assert_eq!(judge(libc::ENETUNREACH, 1, 64), Verdict::Refused);
        assert_eq!(judge(libc::EAFNOSUPPORT, 1, 64), Verdict::Failed);
    }
}
