//! Why a socket could not be opened.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use thiserror::Error;

use super::Family;
use crate::Interface;

/// Why [`Socket::unicast`](super::Socket::unicast) or
/// [`Socket::group`](super::Socket::group) failed.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Another program has the port.
    #[error(
        "port {} is already in use at {} ({interface}): another session may be running there; stop it or take another port with --port",
        address.port(), address.ip()
    )]
    PortInUse {
        /// The interface's name.
        interface: String,
        /// The address that is taken.
        address: SocketAddr,
    },
    /// The interface has no address of that family.
    #[error(
        "{interface} has no {family:?} address; give it one or choose another with --interface"
    )]
    NoAddress {
        /// The interface's name.
        interface: String,
        /// The family that was wanted.
        family: Family,
    },
    /// The address is not that of a group.
    #[error("{group} is not a multicast address")]
    NotMulticast {
        /// What was given as the group.
        group: IpAddr,
    },
    /// The operating system refused.
    #[error("cannot {what} for {address} on {interface}: {source}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// The interface's name.
        interface: String,
        /// The address that was to be bound.
        address: SocketAddr,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl SocketError {
    /// Says what failed where; a taken port becomes [`Self::PortInUse`].
    pub(super) fn failed(
        what: &'static str,
        interface: &Interface,
        address: SocketAddr,
    ) -> impl FnOnce(io::Error) -> Self {
        let interface = interface.name.clone();
        move |source| {
            if source.kind() == io::ErrorKind::AddrInUse {
                Self::PortInUse { interface, address }
            } else {
                Self::Failed {
                    what,
                    interface,
                    address,
                    source,
                }
            }
        }
    }
}
