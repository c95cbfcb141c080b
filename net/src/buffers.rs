//! What the kernel holds for a socket: the size of its buffers, and what did not
//! fit into them.

use std::{io, os::fd::AsRawFd};

use rustix::net::sockopt;

use crate::Socket;

/// The largest size the kernel takes: it doubles it into a C `int`.
const MAX_BUFFER: usize = (i32::MAX / 2) as usize;

/// Indices into the answer of `SO_MEMINFO`, include/uapi/linux/sock_diag.h.
const SK_MEMINFO_DROPS: usize = 8;
const SK_MEMINFO_VARS: usize = 9;

/// The size of a socket buffer that was asked for and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferGrant {
    /// Bytes that were asked for.
    pub requested: usize,
    /// Bytes that the kernel granted. It reserves as much again for its own
    /// bookkeeping, which is not counted here.
    pub granted: usize,
}

impl BufferGrant {
    /// Whether the kernel granted less than was asked for. The remedy is to run
    /// with CAP_NET_ADMIN or to raise `net.core.rmem_max` (receiving) or
    /// `net.core.wmem_max` (sending).
    #[must_use]
    pub fn is_short(self) -> bool {
        self.granted < self.requested
    }
}

impl Socket {
    /// Sets the size of the receive buffer, in bytes.
    ///
    /// With CAP_NET_ADMIN any size is granted (`SO_RCVBUFFORCE`), without it at
    /// most `net.core.rmem_max`.
    ///
    /// # Errors
    ///
    /// Only if the socket does not take the option at all; a small grant is no
    /// error but [`BufferGrant::is_short`].
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<BufferGrant> {
        let size = bytes.min(MAX_BUFFER);
        if sockopt::set_socket_recv_buffer_size_force(self, size).is_err() {
            sockopt::set_socket_recv_buffer_size(self, size)?;
        }
        let doubled = sockopt::socket_recv_buffer_size(self)?;
        Ok(BufferGrant {
            requested: bytes,
            granted: doubled / 2,
        })
    }

    /// Sets the size of the send buffer, in bytes; as
    /// [`set_receive_buffer`](Self::set_receive_buffer), with `net.core.wmem_max`.
    ///
    /// # Errors
    ///
    /// Only if the socket does not take the option at all.
    pub fn set_send_buffer(&self, bytes: usize) -> io::Result<BufferGrant> {
        let size = bytes.min(MAX_BUFFER);
        if sockopt::set_socket_send_buffer_size_force(self, size).is_err() {
            sockopt::set_socket_send_buffer_size(self, size)?;
        }
        let doubled = sockopt::socket_send_buffer_size(self)?;
        Ok(BufferGrant {
            requested: bytes,
            granted: doubled / 2,
        })
    }

    /// How many datagrams the kernel has dropped at this socket since it exists,
    /// mostly because the receive buffer was full. Counts modulo 2^32.
    ///
    /// A burst that the kernel had coalesced (GRO) counts once: this is a lower
    /// bound of the datagrams lost.
    ///
    /// # Errors
    ///
    /// If the kernel does not know `SO_MEMINFO` (before Linux 4.12).
    #[expect(unsafe_code, reason = "no safe wrapper of SO_MEMINFO exists")]
    pub fn dropped(&self) -> io::Result<u64> {
        let mut info = [0u32; SK_MEMINFO_VARS];
        let mut length = size_of_val(&info) as libc::socklen_t;
        // SAFETY: `info` is writable for `length` bytes and any bit pattern is a
        // valid `u32`; both outlive the call, which writes at most `length` bytes.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                info.as_mut_ptr().cast(),
                &mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(u64::from(info[SK_MEMINFO_DROPS]))
    }
}
