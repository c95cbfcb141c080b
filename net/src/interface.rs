//! The choice of the network interface.
//!
//! A wrong interface is the most common reason why a room waits for ever, so the
//! choice is explicit: either the operator names the interface, or exactly one
//! qualifies. What the machine has is read by [`system`]; the decision itself is a
//! pure function in [`choice`].

mod choice;
mod error;
mod system;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use error::{InterfaceError, Obstacle, Refusal};

use crate::Family;

/// What kind of link an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceKind {
    /// A network card with a cable (also a virtual machine's card).
    Wired,
    /// IEEE 802.11. Multicast crawls there (lowest basic rate, no retries), so it
    /// is used only when named.
    Wireless,
    /// `lo`: this machine only.
    Loopback,
    /// A point-to-point link such as a VPN tunnel: no room is behind it.
    Tunnel,
    /// A link without hardware of its own: bridge, bond, VLAN, veth, macvlan.
    Virtual,
}

/// A network interface that can carry a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's name, for example `eth0`.
    pub name: String,
    /// The kernel's index, never 0.
    pub index: u32,
    /// The primary IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// An IPv6 address, the link-local one if there is one: multicast in one
    /// segment needs no other, and it exists without any configuration. Always
    /// `None` for `lo`, which has no IPv6 multicast route.
    pub ipv6: Option<Ipv6Addr>,
    /// The hardware address, if the link has one.
    pub mac: Option<[u8; 6]>,
    /// The negotiated speed in Mbit/s, if the driver tells.
    pub link_speed: Option<u32>,
    /// The largest IP packet in bytes.
    pub mtu: u32,
    /// What kind of link it is.
    pub kind: InterfaceKind,
}

impl Interface {
    /// Chooses the interface called `name`, or without a name the one that is
    /// obviously meant.
    ///
    /// Without a name that is the interface with the default route, if it is up,
    /// not wireless and capable of multicast. Where there is no default route at
    /// all, it is the only such interface; a network card goes before bridges
    /// and other links without hardware.
    ///
    /// # Errors
    ///
    /// An [`InterfaceError`] that lists what exists, why it was not taken and what
    /// to do. Several interfaces that qualify are an error, never a guess.
    pub fn choose(name: Option<&str>) -> Result<Self, InterfaceError> {
        let candidates = system::candidates()?;
        let default_routes = system::default_routes()?;
        choice::choose(name, &candidates, &default_routes)
    }

    /// Bytes of the largest UDP datagram of `family` that goes over it in one packet.
    #[must_use]
    pub fn largest_datagram(&self, family: Family) -> usize {
        (self.mtu as usize).saturating_sub(family.headers())
    }

    /// The interface's own address of `family`.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.ipv4.map(IpAddr::V4),
            Family::V6 => self.ipv6.map(IpAddr::V6),
        }
    }
}
