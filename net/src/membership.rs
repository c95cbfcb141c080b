//! Membership of a multicast group on one interface: join and renewal.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
};

use socket2::{InterfaceIndexOrAddress, SockAddr, SockAddrStorage};

/// The group a socket is a member of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    /// The group's address.
    pub(crate) group: IpAddr,
    /// The index of the interface on which it was joined.
    pub(crate) interface: u32,
}

impl Membership {
    /// Joins the group. The kernel leaves it when the socket is closed.
    pub(crate) fn join(&self, socket: &socket2::Socket) -> io::Result<()> {
        match self.group {
            IpAddr::V4(group) => {
                // Off: else the socket gets every group that anyone on this host joined.
                socket.set_multicast_all_v4(false)?;
                let interface = InterfaceIndexOrAddress::Index(self.interface);
                socket.join_multicast_v4_n(&group, &interface)
            }
            IpAddr::V6(group) => {
                socket.set_multicast_all_v6(false)?;
                socket.join_multicast_v6(&group, self.interface)
            }
        }
    }

    /// Makes the kernel send an unsolicited membership report for the group.
    ///
    /// Leaving and joining again would do that too, but it tells the switch to
    /// prune the port, reprograms the card's filter, and loses what arrives in
    /// between. Instead the membership is narrowed to the one source that matters
    /// and widened again (RFC 3678, full-state filters). The group stays joined
    /// throughout, and the sender's datagrams pass in both states, except in the
    /// microsecond in which the kernel exchanges the filter. The change of mode
    /// makes the kernel report the final state, "exclude nobody", some milliseconds
    /// later, as after a join (RFC 3376 section 5.1, RFC 3810 section 6.1). Should
    /// the intermediate state be reported too, it is a membership in its own right.
    ///
    /// Under IGMPv2 and MLDv1 the kernel has no such report and sends nothing. It
    /// falls back to them when it hears a querier that speaks them, and where there
    /// is a querier its queries keep memberships alive.
    ///
    /// The report is the host's, not the socket's: if another socket of this host
    /// is a member too, the host's filter does not change and nothing is sent.
    ///
    /// An error can leave the membership narrowed; the next renewal widens it.
    pub(crate) fn renew(&self, socket: &socket2::Socket, source: IpAddr) -> io::Result<()> {
        if source.is_ipv4() != self.group.is_ipv4() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{source} cannot be a source of the group {}", self.group),
            ));
        }
        self.narrow(socket, source)?;
        self.widen(socket)
    }

    /// Receives from `source` only.
    pub(crate) fn narrow(&self, socket: &socket2::Socket, source: IpAddr) -> io::Result<()> {
        self.set_filter(socket, libc::MCAST_INCLUDE, Some(source))
    }

    /// Receives from everybody, as after a join.
    pub(crate) fn widen(&self, socket: &socket2::Socket) -> io::Result<()> {
        self.set_filter(socket, libc::MCAST_EXCLUDE, None)
    }

    /// Sets the full-state source filter of the membership.
    #[expect(unsafe_code, reason = "no safe wrapper of MCAST_MSFILTER exists")]
    fn set_filter(
        &self,
        socket: &socket2::Socket,
        mode: libc::c_int,
        source: Option<IpAddr>,
    ) -> io::Result<()> {
        let filter = GroupFilter {
            interface: self.interface,
            group: storage(self.group),
            mode: mode.cast_unsigned(),
            source_count: source.is_some().into(),
            source: source.map_or_else(SockAddrStorage::zeroed, storage),
        };
        let level = match self.group {
            IpAddr::V4(_) => libc::IPPROTO_IP,
            IpAddr::V6(_) => libc::IPPROTO_IPV6,
        };
        // SAFETY: `filter` is laid out as the kernel's struct with room for the
        // sources it counts, and is readable for the length given.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                libc::MCAST_MSFILTER,
                (&raw const filter).cast(),
                size_of::<GroupFilter>() as libc::socklen_t,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// `struct group_filter` of include/uapi/linux/in.h with room for one source.
#[repr(C)]
struct GroupFilter {
    interface: u32,
    group: SockAddrStorage,
    mode: u32,
    source_count: u32,
    source: SockAddrStorage,
}

fn storage(ip: IpAddr) -> SockAddrStorage {
    SockAddr::from(SocketAddr::new(ip, 0)).as_storage()
}
