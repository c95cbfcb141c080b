//! The receiver's sockets.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mimeo_console::human;
use mimeo_net::{Family, Interest, Interface, InterfaceError, Socket, SocketError};
use mimeo_protocol::ids::Mac;
use mimeo_protocol::wire::{CONTROL_GROUP_V4, CONTROL_GROUP_V6};

/// Asked for the data socket: 90 ms of a 10 Gbit/s stream. The kernel counts 2304 bytes for a
/// datagram of 1448.
const DATA_BUFFER: usize = 16 << 20;

/// Below this the stream is slowed down by the buffer: 2 ms of a Gigabit.
const SMALL_BUFFER: usize = 256 << 10;

/// What the kernel charges a buffer for one symbol datagram; it grants twice what is asked for.
const CHARGE: usize = 2304;

/// Switches that snoop without a querier forget members after some minutes.
const RENEW_EVERY: Duration = Duration::from_secs(60);

/// Why the room cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    /// No interface can be used.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A socket could not be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A socket buffer could not be set.
    #[error("cannot set the buffer of a socket: {0}")]
    Buffer(#[from] std::io::Error),
    /// The named sender cannot be reached from the interface.
    #[error(
        "interface {interface} has no address to reach {sender} from; name another with --interface"
    )]
    NoFamily {
        /// The interface.
        interface: String,
        /// The sender.
        sender: SocketAddr,
    },
}

/// The sockets of one address family.
#[derive(Debug)]
struct Side {
    family: Family,
    unicast: Socket,
    control: Socket,
    control_group: SocketAddr,
}

/// Interface and sockets.
#[derive(Debug)]
pub(crate) struct Room {
    interface: Interface,
    sides: Vec<Side>,
    data: Option<Socket>,
    renewed: Instant,
}

impl Room {
    /// Opens the sockets of the rendezvous, for every address family that the interface has.
    pub(crate) fn open(
        interface: Option<&str>,
        port: u16,
        sender: Option<SocketAddr>,
    ) -> Result<Self, RoomError> {
        let interface = Interface::choose(interface)?;
        let mut sides = Vec::new();
        for family in [Family::V4, Family::V6] {
            let wanted = sender.is_none_or(|sender| Family::of(sender.ip()) == family);
            if wanted && interface.address(family).is_some() {
                sides.push(Side::open(&interface, family, port)?);
            }
        }
        if let (true, Some(sender)) = (sides.is_empty(), sender) {
            return Err(RoomError::NoFamily {
                interface: interface.name,
                sender,
            });
        }
        tracing::info!(interface = interface.name, "listening on");
        Ok(Self {
            interface,
            sides,
            data: None,
            renewed: Instant::now(),
        })
    }

    /// The interface's hardware address.
    pub(crate) fn mac(&self) -> Mac {
        Mac(self.interface.mac.unwrap_or_default())
    }

    /// Mbit/s, 0 where unknown.
    pub(crate) fn link_speed(&self) -> u32 {
        self.interface.link_speed.unwrap_or(0)
    }

    /// The interface in use, for the person in front of the machine.
    pub(crate) fn describe(&self) -> String {
        let addresses: Vec<String> = self
            .sides
            .iter()
            .map(|side| side.unicast.local_addr().to_string())
            .collect();
        format!("{} ({})", self.interface.name, addresses.join(", "))
    }

    /// Joins the group of the data. Returns how many symbol datagrams the socket holds, and a
    /// warning if these are too few.
    pub(crate) fn join(&mut self, group: SocketAddr) -> Result<(u32, Option<String>), RoomError> {
        let data = Socket::group(&self.interface, group.ip(), group.port())?;
        let grant = data.set_receive_buffer(DATA_BUFFER)?;
        self.data = Some(data);
        // A quarter is left for datagrams that cost more than usual.
        let window = 2 * grant.granted / CHARGE * 3 / 4;
        let warning = (grant.granted < SMALL_BUFFER).then(|| {
            format!(
                "the system grants a receive buffer of only {} KiB, which slows the whole room \
                 down: run as root, or set net.core.rmem_max to {DATA_BUFFER}",
                grant.granted >> 10,
            )
        });
        Ok((u32::try_from(window).unwrap_or(u32::MAX).max(1), warning))
    }

    /// All sockets, the data's first.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &Socket> {
        let sides = self
            .sides
            .iter()
            .flat_map(|side| [&side.unicast, &side.control]);
        self.data.iter().chain(sides)
    }

    /// The sockets as a waiter wants them.
    pub(crate) fn interests(&self) -> Vec<(&Socket, Interest)> {
        self.sockets()
            .map(|socket| (socket, Interest::Readable))
            .collect()
    }

    /// Datagrams that the kernel dropped at the data socket.
    pub(crate) fn drops(&self) -> u32 {
        let dropped = self.data.as_ref().and_then(|data| data.dropped().ok());
        u32::try_from(dropped.unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Sends to the control groups of all families.
    pub(crate) fn send_to_control(&self, datagram: &[u8]) {
        for side in &self.sides {
            side.send(side.control_group, datagram);
        }
    }

    /// Sends to one host.
    pub(crate) fn send_to(&self, to: SocketAddr, datagram: &[u8]) {
        let side = self
            .sides
            .iter()
            .find(|side| side.family == Family::of(to.ip()));
        if let Some(side) = side {
            side.send(to, datagram);
        }
    }

    /// Renews the memberships when it is time to.
    pub(crate) fn renew(&mut self, now: Instant, sender: IpAddr) {
        if now.duration_since(self.renewed) < RENEW_EVERY {
            return;
        }
        self.renewed = now;
        for (socket, source) in self.renewals(sender) {
            if let Err(error) = socket.renew_membership(source) {
                tracing::warn!(%error, "cannot renew the membership in {}", socket.local_addr());
            }
        }
    }

    /// The sockets of groups, each with a source of its own family: the sender's address, or, in
    /// the family that the sender does not use now but may when it is started again, our own.
    fn renewals(&self, sender: IpAddr) -> impl Iterator<Item = (&Socket, IpAddr)> {
        self.sockets().filter_map(move |socket| {
            let group = socket.local_addr().ip();
            let family = Family::of(group);
            let source = if Family::of(sender) == family {
                Some(sender)
            } else {
                self.interface.address(family)
            };
            source
                .filter(|_| group.is_multicast())
                .map(|source| (socket, source))
        })
    }

    /// What to check when no sender is found.
    pub(crate) fn nobody_found(&self, waited: Duration) -> String {
        let groups: Vec<String> = self
            .sides
            .iter()
            .map(|side| side.control_group.to_string())
            .collect();
        format!(
            "no sender has been found in {}. This receiver is on {} and listens to {}. Check \
             that the sender runs with the same --session and --port, that a firewall lets UDP \
             pass, that both are in the same VLAN, and that a switch which snoops IGMP has a \
             querier; --sender HOST asks a host directly",
            human::seconds(waited),
            self.describe(),
            groups.join(" and "),
        )
    }

    /// What to check when the sender is heard and its data is not.
    pub(crate) fn no_data(&self) -> String {
        let group = self.data.as_ref().map(|data| data.local_addr().to_string());
        format!(
            "the sender is heard, but nothing of its stream on {} has come in 10 s. This receiver \
             is on {}. A firewall, or a switch that snoops IGMP without a querier, holds the group back",
            group.unwrap_or_default(),
            self.describe(),
        )
    }
}

impl Side {
    fn open(interface: &Interface, family: Family, port: u16) -> Result<Self, RoomError> {
        let group = match family {
            Family::V4 => IpAddr::V4(CONTROL_GROUP_V4),
            Family::V6 => IpAddr::V6(CONTROL_GROUP_V6),
        };
        let unicast = Socket::unicast(interface, family, 0, 1)?;
        let control = Socket::group(interface, group, port)?;
        Ok(Self {
            family,
            unicast,
            control,
            control_group: SocketAddr::new(group, port),
        })
    }

    /// A datagram that is not sent is as good as lost: all that is sent here is repeated.
    fn send(&self, to: SocketAddr, datagram: &[u8]) {
        match self.unicast.send(to, datagram, datagram.len()) {
            Ok(sent) if sent.datagrams == 0 => {
                tracing::debug!(%to, refusal = ?sent.refusal, "not sent");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%to, %error, "sending failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    /// Whichever family the sender uses, no membership is left out and none is refused.
    #[test]
    fn the_memberships_of_both_families_are_renewed() {
        let room = Room::open(Some("lo"), 0, None).unwrap();
        let families: Vec<Family> = room.sides.iter().map(|side| side.family).collect();
        assert!(!families.is_empty());
        for sender in [
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ] {
            let renewed: Vec<Family> = room
                .renewals(sender)
                .map(|(socket, source)| {
                    socket.renew_membership(source).unwrap();
                    Family::of(source)
                })
                .collect();
            assert_eq!(renewed, families, "the sender is {sender}");
        }
    }
}
