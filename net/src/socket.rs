//! UDP sockets bound to one interface.
//!
//! There are two kinds. A *unicast* socket is bound to the interface's own
//! address; it sends everything, also to groups, and receives what is addressed
//! to this host. A *group* socket is bound to a group's address and only
//! receives. Neither is bound to the wildcard address, so no datagram arrives
//! that was meant for another address or another group on the same port.

mod error;
mod receive;
mod send;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6},
    os::fd::{AsFd, BorrowedFd},
};

use quinn_udp::UdpSocketState;
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Type};

pub use error::SocketError;
pub use receive::ReceiveBatch;
pub use send::{MAX_DATAGRAM, SendError, Sent};

use crate::{Interface, ancillary, membership::Membership};

/// The version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes of the headers in front of a datagram: IP without options (RFC 791, RFC 8200) and UDP
    /// (RFC 768).
    #[must_use]
    pub fn headers(self) -> usize {
        match self {
            Self::V4 => 20 + 8,
            Self::V6 => 40 + 8,
        }
    }
}

/// A non-blocking UDP socket on one interface.
#[derive(Debug)]
pub struct Socket {
    pub(crate) socket: socket2::Socket,
    state: UdpSocketState,
    local: SocketAddr,
    membership: Option<Membership>,
}

impl Socket {
    /// Opens a socket bound to the interface's own address of `family` and to
    /// `port`; port 0 lets the kernel choose.
    ///
    /// Multicast sent with it leaves through this interface with `ttl` (the hop
    /// limit; 1 stays in the segment). Unicast has the system's own TTL.
    ///
    /// # Errors
    ///
    /// [`SocketError::PortInUse`] if another program, for example another sender,
    /// has the port; [`SocketError::NoAddress`] if the interface has no address of
    /// that family; [`SocketError::Failed`] for what else the kernel refuses.
    pub fn unicast(
        interface: &Interface,
        family: Family,
        port: u16,
        ttl: u8,
    ) -> Result<Self, SocketError> {
        let Some(ip) = interface.address(family) else {
            return Err(SocketError::NoAddress {
                interface: interface.name.clone(),
                family,
            });
        };
        let address = address_on(interface, ip, port);
        let failed = |what| SocketError::failed(what, interface, address);
        let socket = open(address).map_err(failed("open a socket"))?;
        send_through(&socket, interface, family, ttl).map_err(failed("set up multicast"))?;
        if family == Family::V6 {
            // For a second or two after a link came up, while the kernel looks for a duplicate
            // (RFC 4862 section 5.4), an address cannot be bound otherwise; machines in a
            // room start just then.
            socket
                .set_freebind_v6(true)
                .map_err(failed("set up a socket"))?;
        }
        // No SO_REUSEADDR: a second sender on this port must fail, not steal datagrams.
        Self::bind(socket, interface, address, None)
    }

    /// Opens a socket that receives what is sent to `group` and `port` on the
    /// interface. Several on one host each get a copy.
    ///
    /// What comes through another interface is left out, with one exception: an
    /// IPv6 group of wider scope than the link, if another socket of this host has
    /// joined it there (Linux checks only the group then).
    ///
    /// # Errors
    ///
    /// [`SocketError::NotMulticast`] if `group` is no multicast address;
    /// [`SocketError::PortInUse`] if a program that does not share it has the port;
    /// [`SocketError::Failed`] for what else the kernel refuses.
    pub fn group(interface: &Interface, group: IpAddr, port: u16) -> Result<Self, SocketError> {
        if !group.is_multicast() {
            return Err(SocketError::NotMulticast { group });
        }
        let address = address_on(interface, group, port);
        let failed = |what| SocketError::failed(what, interface, address);
        let socket = open(address).map_err(failed("open a socket"))?;
        socket
            .set_reuse_address(true)
            .map_err(failed("share the port"))?;
        let membership = Membership {
            group,
            interface: interface.index,
        };
        Self::bind(socket, interface, address, Some(membership))
    }

    fn bind(
        socket: socket2::Socket,
        interface: &Interface,
        address: SocketAddr,
        membership: Option<Membership>,
    ) -> Result<Self, SocketError> {
        let failed = |what| SocketError::failed(what, interface, address);
        socket
            .bind(&address.into())
            .map_err(failed("bind a socket"))?;
        if let Some(membership) = &membership {
            membership.join(&socket).map_err(failed("join the group"))?;
        }
        let local = socket
            .local_addr()
            .map_err(failed("read the address of a socket"))?;
        let local = local.as_socket().expect("an IP socket has an IP address");
        let state = UdpSocketState::new((&socket).into()).map_err(failed("set up a socket"))?;
        ancillary::leave_out(&socket, Family::of(address.ip()))
            .map_err(failed("set up a socket"))?;
        Ok(Self {
            socket,
            state,
            local,
            membership,
        })
    }

    /// The address the socket is bound to, with the port that the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Makes the kernel send a fresh membership report for the socket's group, so
    /// that switches which snoop without a querier do not forget this host.
    /// Traffic from `source`, the address the group's datagrams come from, goes on;
    /// what arrives in the microsecond of the renewal itself may be lost.
    ///
    /// Under IGMPv2 and MLDv1, and while another socket of this host is a member of
    /// the same group, nothing is sent.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a socket without a group and for a source of the other
    /// family; else what the kernel refuses, for example `NoDevice` when the
    /// interface is gone.
    pub fn renew_membership(&self, source: IpAddr) -> io::Result<()> {
        match &self.membership {
            Some(membership) => membership.renew(&self.socket, source),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the socket on {} is not a member of a group", self.local),
            )),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket of the family of `address`, not bound.
fn open(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Lets the multicast of `socket` leave through `interface`.
///
/// It is looped back, so that receivers on this host get it. Where none is, that
/// costs nothing: the kernel makes a copy only if the group has a member on the
/// interface that it leaves through.
fn send_through(
    socket: &socket2::Socket,
    interface: &Interface,
    family: Family,
    ttl: u8,
) -> io::Result<()> {
    match family {
        Family::V4 => {
            let any = Ipv4Addr::UNSPECIFIED;
            sockopt::set_ip_multicast_if_with_ifindex(socket, &any, &any, interface.index)?;
            socket.set_multicast_ttl_v4(ttl.into())?;
            socket.set_multicast_loop_v4(true)
        }
        Family::V6 => {
            socket.set_multicast_if_v6(interface.index)?;
            socket.set_multicast_hops_v6(ttl.into())?;
            socket.set_multicast_loop_v6(true)
        }
    }
}

/// `ip` and `port` with the scope of `interface` where IPv6 needs one: for
/// addresses that are unique only on their link (RFC 4007).
fn address_on(interface: &Interface, ip: IpAddr, port: u16) -> SocketAddr {
    /// Multicast scope "link-local", RFC 4291 section 2.7.
    const LINK_LOCAL_GROUP: u16 = 2;
    let IpAddr::V6(ip) = ip else {
        return SocketAddr::new(ip, port);
    };
    let on_link = if ip.is_multicast() {
        ip.segments()[0] & 0xf == LINK_LOCAL_GROUP
    } else {
        ip.is_unicast_link_local()
    };
    let scope = if on_link { interface.index } else { 0 };
    SocketAddrV6::new(ip, port, 0, scope).into()
}

#[cfg(test)]
#[path = "socket/tests.rs"]
mod tests;
