//! The virtual network: a room of machines on one switch, as network namespaces.
//!
//! ```text
//! namespace PREFIX-switch            PREFIX-h0 .. PREFIX-hN
//!   bridge br0 -- port v0 ---------- eth0 10.77.0.1   (host 0, the sender)
//!              -- port v1 ---------- eth0 10.77.0.2   (host 1, a receiver)
//!              ...
//! ```
//!
//! The switch has a namespace of its own, so neither the machine's interfaces nor
//! its firewall rules are touched, and rooms can run side by side. PREFIX names
//! the process that built the room ([`clean`] removes what a killed one left).

mod clean;
mod name;
mod shape;
mod tool;

use std::ffi::OsStr;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use clean::{clean, clean_directory};
pub use name::fresh as fresh_name;
pub use shape::{Direction, Link, Loss};
pub use tool::{Missing, available, is_installed, skip, usable};

/// The most receivers a room can have: hosts are numbered in the last byte of the
/// address, from 1 to 254.
pub const MAX_RECEIVERS: u16 = 253;

/// When to give up on the switch's ports; they take milliseconds.
const PORTS_READY: Duration = Duration::from_secs(20);

/// The bridge inside the switch's namespace.
const BRIDGE: &str = "br0";

/// A machine in the room: 0 is the sender, receivers count from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Host(u16);

impl Host {
    /// The machine at 10.77.0.1.
    pub const SENDER: Self = Self(0);

    /// The `number`th machine; 0 is the sender.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number it was made of.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The address of its `eth0`.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        let [high, low] = (self.0 + 1).to_be_bytes();
        Ipv4Addr::new(10, 77, high, low)
    }

    /// The switch's port that leads to it.
    fn port(self) -> String {
        format!("v{}", self.0)
    }
}

/// Whether the switch forwards multicast by membership.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Snooping {
    /// Every port gets every datagram, as on an unmanaged switch.
    #[default]
    Off,
    /// Only ports that asked for a group get it. The switch is also the querier,
    /// without which a Linux bridge floods all the same.
    On,
}

/// What the room looks like.
#[derive(Clone, Copy, Debug)]
pub struct RoomConfig {
    /// Machines besides the sender, 1 to [`MAX_RECEIVERS`]. Ask for exactly those
    /// that take part: an idle port costs time, too.
    pub receivers: u16,
    /// Multicast snooping.
    pub snooping: Snooping,
}

/// What an interface has carried since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Bytes that arrived, with Ethernet headers.
    pub received_bytes: u64,
    /// Packets that arrived; a GSO super-packet counts once.
    pub received_packets: u64,
    /// Bytes that left, with Ethernet headers.
    pub sent_bytes: u64,
    /// Packets that left; a GSO super-packet counts once.
    pub sent_packets: u64,
}

/// A room that exists until it is dropped.
#[derive(Debug)]
pub struct Room {
    prefix: String,
    receivers: u16,
}

impl Room {
    /// Builds the network and brings it up.
    ///
    /// # Errors
    ///
    /// The number of receivers is out of range, a tool is missing
    /// ([`available`]), or the kernel refuses a step; nothing remains then.
    pub fn build(config: &RoomConfig) -> Result<Self> {
        ensure!(
            (1..=MAX_RECEIVERS).contains(&config.receivers),
            "a room has 1 to {MAX_RECEIVERS} receivers, not {}",
            config.receivers
        );
        available()?;
        // Made first: dropped on any error below, it removes what exists by then.
        let room = Self {
            prefix: name::fresh()?,
            receivers: config.receivers,
        };
        room.add_namespaces()
            .context("cannot make the room's network namespaces")?;
        room.add_switch(config.snooping)
            .context("cannot make the room's switch")?;
        for host in room.hosts() {
            room.configure(host)
                .with_context(|| format!("cannot configure host {}", host.0))?;
        }
        room.prepare_shaping()
            .context("cannot install the room's packet filter")?;
        room.await_ports()?;
        Ok(room)
    }

    /// What the names of the room's namespaces begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// All machines, the sender first.
    pub fn hosts(&self) -> impl Iterator<Item = Host> + use<> {
        (0..=self.receivers).map(Host)
    }

    /// The machines besides the sender.
    pub fn receivers(&self) -> impl Iterator<Item = Host> + use<> {
        (1..=self.receivers).map(Host)
    }

    /// A command that runs `program` on `host`. Its process is the program itself
    /// (`ip netns exec` replaces itself), which sees the host's own `/sys/class/net`.
    #[must_use]
    pub fn command(&self, host: Host, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host)]);
        command.arg(program);
        command
    }

    /// Runs `work` on a thread that has moved to `host`: sockets it makes belong to
    /// the host and stay there, wherever they are used later.
    ///
    /// # Errors
    ///
    /// The room has no such host, or the kernel refuses the move.
    ///
    /// # Panics
    ///
    /// When `work` panics.
    pub fn inside<T: Send>(&self, host: Host, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = name::path(&self.namespace(host));
        let namespace = File::open(&path).with_context(|| format!("cannot open {path:?}"))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .with_context(|| format!("cannot enter {path:?}"))?;
                Ok(work())
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// What `host`'s `eth0` has carried so far.
    ///
    /// # Errors
    ///
    /// As for [`Room::inside`].
    pub fn traffic(&self, host: Host) -> Result<Traffic> {
        // `thread-self`, because only this thread is on the host.
        let table = self.inside(host, || {
            std::fs::read_to_string("/proc/thread-self/net/dev")
        })??;
        traffic_in(&table).context("the kernel's table of interfaces has no eth0")
    }

    fn namespace(&self, host: Host) -> String {
        format!("{}h{}", self.prefix, host.0)
    }

    fn switch(&self) -> String {
        format!("{}switch", self.prefix)
    }

    fn add_namespaces(&self) -> Result<()> {
        let names = self
            .hosts()
            .map(|host| self.namespace(host))
            .chain([self.switch()]);
        let script: String = names.map(|name| format!("netns add {name}\n")).collect();
        tool::feed("ip", &["-batch", "-"], &script)
    }

    fn add_switch(&self, snooping: Snooping) -> Result<()> {
        let mut script = match snooping {
            Snooping::Off => format!("link add {BRIDGE} type bridge mcast_snooping 0\n"),
            // A querier counts only after one response interval, as it is when the
            // querier is switched on. In its default of 10 s the switch would flood:
            // shorten it (in 10 ms) in a step of its own.
            Snooping::On => format!(
                "link add {BRIDGE} type bridge mcast_query_response_interval 10\n\
                 link set {BRIDGE} type bridge mcast_querier 1\n"
            ),
        };
        for host in self.hosts() {
            let (port, namespace) = (host.port(), self.namespace(host));
            script += &format!("link add {port} type veth peer name eth0 netns {namespace}\n");
            script += &format!("link set {port} master {BRIDGE} up\n");
        }
        script += &format!("link set {BRIDGE} up\n");
        tool::feed("ip", &["-n", &self.switch(), "-batch", "-"], &script)
    }

    fn configure(&self, host: Host) -> Result<()> {
        // The broadcast address is where udpcast's programs look for each other.
        let script = format!(
            "link set lo up\naddress add {}/16 broadcast + dev eth0\nlink set eth0 up\n\
             route add default dev eth0\n",
            host.address()
        );
        tool::feed("ip", &["-n", &self.namespace(host), "-batch", "-"], &script)
    }

    /// Waits until every port forwards. The kernel tells the bridge of a new carrier a
    /// moment later, and until then drops what arrives, reports of membership too.
    fn await_ports(&self) -> Result<()> {
        let deadline = Instant::now() + PORTS_READY;
        let args = [
            "-n",
            &self.switch(),
            "-d",
            "-o",
            "link",
            "show",
            "master",
            BRIDGE,
        ];
        loop {
            let ports = tool::run("ip", &args)?;
            let ready = ports
                .lines()
                .filter(|port| port.contains(" state forwarding "))
                .count();
            if ready == self.hosts().count() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "only {ready} of the switch's ports came up"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Fails for a host that this room does not have.
    fn check(&self, host: Host) -> Result<()> {
        ensure!(host.0 <= self.receivers, "the room has no host {}", host.0);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(error) = clean::remove(&self.prefix) {
            eprintln!("netlab: {} was not removed: {error:#}", self.prefix);
        }
    }
}

/// The row of `eth0` in the kernel's `/proc/net/dev`: eight columns for what was
/// received, then eight for what was sent; bytes and packets come first in both.
fn traffic_in(table: &str) -> Option<Traffic> {
    let row = table
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("eth0:"))?;
    let columns: Vec<u64> = row
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    Some(Traffic {
        received_bytes: *columns.first()?,
        received_packets: *columns.get(1)?,
        sent_bytes: *columns.get(8)?,
        sent_packets: *columns.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_numbered_in_their_addresses() {
        assert_eq!(Host::SENDER.address(), Ipv4Addr::new(10, 77, 0, 1));
        assert_eq!(
            Host::new(MAX_RECEIVERS).address(),
            Ipv4Addr::new(10, 77, 0, 254)
        );
    }

    #[test]
    fn reads_the_kernels_table() {
        let table = "Inter-|   Receive\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  \
                     eth0: 1500 3 0 0 0 0 0 1 700 2 0 0 0 0 0 0\n";
        let expected = Traffic {
            received_bytes: 1500,
            received_packets: 3,
            sent_bytes: 700,
            sent_packets: 2,
        };
        assert_eq!(traffic_in(table), Some(expected));
        assert_eq!(traffic_in("    lo: 9 9\n"), None);
    }
}
