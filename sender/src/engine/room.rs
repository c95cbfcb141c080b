//! The sender's sockets on the interface that leads to the room.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mimeo_console::human;
use mimeo_net::{
    Family, Interest, Interface, InterfaceError, SendError, Socket, SocketError, Waiter,
};
use mimeo_protocol::ids::SessionId;
use mimeo_protocol::wire::{CONTROL_GROUP_V4, CONTROL_GROUP_V6, SYMBOL_DATAGRAM, data_group};

/// Room for the reports of a large room and, on the way out, for some bursts.
const SOCKET_BUFFER: usize = 4 << 20;

/// A send buffer that stays full this long belongs to an interface that does not send.
const SEND_PATIENCE: Duration = Duration::from_secs(1);

/// Why the room cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    /// No interface can be used.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A socket could not be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The image does not fit the interface's packets.
    #[error(
        "interface {interface} takes packets of up to {mtu} bytes (its MTU), and the image travels in \
         packets of {needed}; raise the MTU (ip link set dev {interface} mtu 1500), or name another \
         interface with --interface"
    )]
    Mtu {
        /// The interface.
        interface: String,
        /// Its MTU in bytes.
        mtu: u32,
        /// Bytes of a packet with a symbol.
        needed: usize,
    },
    /// A socket buffer could not be set.
    #[error("cannot set the buffer of a socket: {0}")]
    Buffer(#[from] std::io::Error),
}

/// Interface, sockets and addresses of a session.
#[derive(Debug)]
pub(crate) struct Room {
    interface: Interface,
    unicast: Socket,
    control: Socket,
    control_group: SocketAddr,
    data_group: SocketAddr,
}

impl Room {
    /// Opens the sockets; IPv4 where the interface has an address of it, else IPv6. What the interface
    /// cannot carry is refused here: no receiver has opened its target by then.
    pub(crate) fn open(
        interface: Option<&str>,
        port: u16,
        ttl: u8,
        session: SessionId,
    ) -> Result<Self, RoomError> {
        let interface = Interface::choose(interface)?;
        let family = if interface.ipv4.is_some() {
            Family::V4
        } else {
            Family::V6
        };
        if interface.largest_datagram(family) < SYMBOL_DATAGRAM {
            return Err(RoomError::Mtu {
                mtu: interface.mtu,
                needed: SYMBOL_DATAGRAM + family.headers(),
                interface: interface.name,
            });
        }
        let group = match family {
            Family::V4 => IpAddr::V4(CONTROL_GROUP_V4),
            Family::V6 => IpAddr::V6(CONTROL_GROUP_V6),
        };
        let unicast = Socket::unicast(&interface, family, port, ttl)?;
        let control = Socket::group(&interface, group, port)?;
        unicast.set_receive_buffer(SOCKET_BUFFER)?;
        unicast.set_send_buffer(SOCKET_BUFFER)?;
        let data_group = data_group(session, family == Family::V6);
        let control_group = SocketAddr::new(group, port);
        tracing::info!(interface = interface.name, %data_group, "sending through");
        Ok(Self {
            interface,
            unicast,
            control,
            control_group,
            data_group,
        })
    }

    /// The socket that sends everything and hears the receivers.
    pub(crate) fn unicast(&self) -> &Socket {
        &self.unicast
    }

    /// The socket that hears probes.
    pub(crate) fn control(&self) -> &Socket {
        &self.control
    }

    /// Where announces go.
    pub(crate) fn control_group(&self) -> SocketAddr {
        self.control_group
    }

    /// Where the data goes.
    pub(crate) fn data_group(&self) -> SocketAddr {
        self.data_group
    }

    /// The interface in use, for the operator.
    pub(crate) fn describe(&self) -> String {
        format!("{} ({})", self.interface.name, self.unicast.local_addr())
    }

    /// Sends datagrams of `segment` bytes, waiting while the send buffer is full.
    pub(crate) fn send(
        &self,
        waiter: &Waiter,
        to: SocketAddr,
        contents: &[u8],
        segment: usize,
    ) -> Result<(), SendError> {
        let mut rest = contents;
        let give_up = Instant::now() + SEND_PATIENCE;
        while !rest.is_empty() {
            let sent = self.unicast.send(to, rest, segment)?;
            rest = &rest[sent.bytes..];
            if sent.refused > 0 {
                tracing::debug!(%to, refused = sent.refused, refusal = ?sent.refusal, "not sent");
            }
            if !sent.blocked {
                continue;
            }
            if Instant::now() >= give_up {
                // What is left counts as lost, as if the network had dropped it.
                tracing::warn!(%to, "the interface has not sent anything for a second");
                return Ok(());
            }
            // A wake in between is not lost: the loop looks at all inputs after this anyway.
            let soon = Instant::now() + Duration::from_millis(5);
            if waiter
                .wait(&[(&self.unicast, Interest::Writable)], Some(soon))
                .is_err()
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// What to check when nobody comes.
    pub(crate) fn nobody_came(&self, waited: Duration) -> String {
        format!(
            "no receiver has come in {}. This sender is on {} and announces itself on {}. \
             Check that receivers run with the same --session and --port, that a firewall lets \
             UDP port {} pass, that they are in the same VLAN, and that a switch which snoops \
             IGMP has a querier",
            human::seconds(waited),
            self.describe(),
            self.control_group,
            self.control_group.port(),
        )
    }
}
