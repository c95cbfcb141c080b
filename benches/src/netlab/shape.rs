//! What goes wrong on the wires: loss, slow ports, dead links, segmentation.
//!
//! Loss is made by nftables in the switch's bridge, because the kernel's network
//! emulator cannot be assumed. The switch copies a multicast datagram for each
//! port before the filter sees it, so ports lose independently of each other.

use anyhow::{Result, ensure};

use super::{Host, Room, tool};

/// The switch's table in nftables.
const TABLE: &str = "bridge netlab";

/// What a slow port can hold back, in bytes, before it drops: about what a small
/// switch has for one port.
const PORT_QUEUE: u64 = 256 << 10;

/// Room for one Ethernet frame in a port's token bucket.
const FRAME: u64 = 1600;

/// Which UDP datagrams are lost on a port.
///
/// The filter drops whole packets. While the sender's kernel does not segment
/// ([`Room::segmented`]), a packet can be a GSO super-packet of dozens of datagrams,
/// and a rate of single losses becomes a rate of bursts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// None.
    None,
    /// Each with the same probability, independently of the others.
    Random {
        /// Thousandths, 0 to 1000.
        permille: u16,
    },
    /// `length` in a row out of every `every`, at another phase on each port.
    Bursts {
        /// Datagrams lost in a row, at least 1.
        length: u32,
        /// Period in datagrams, at least `length`.
        every: u32,
    },
}

/// Which way the datagrams travel that a [`Loss`] concerns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the switch to the host.
    ToHost,
    /// From the host into the switch.
    FromHost,
}

/// State of a host's cable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Link {
    /// Plugged in.
    Up,
    /// Unplugged: the host's interface has no carrier.
    Down,
}

impl Room {
    /// Sets the loss of UDP datagrams on `host`'s port in one direction, replacing
    /// what was set before. Takes effect at once, also while datagrams travel.
    ///
    /// # Errors
    ///
    /// The room has no such host, or a number of `loss` is out of range.
    pub fn loss(&self, host: Host, direction: Direction, loss: Loss) -> Result<()> {
        self.check(host)?;
        let chain = chain(host, direction);
        let mut script = format!("flush chain {TABLE} {chain}\n");
        if let Some(condition) = condition(loss, self.phase(host))? {
            script += &format!("add rule {TABLE} {chain} ip protocol udp {condition} drop\n");
        }
        self.filter(&script)
    }

    /// Limits what the switch sends to `host`, in bits per second with Ethernet
    /// headers; `None` lifts the limit. Beyond it a queue of 256 KiB fills up and
    /// then drops, as in a switch.
    ///
    /// # Errors
    ///
    /// The room has no such host, or the rate is below 8 bit/s, the smallest that
    /// the kernel can express.
    pub fn port_rate(&self, host: Host, rate: Option<u64>) -> Result<()> {
        self.check(host)?;
        let (switch, port) = (self.switch(), host.port());
        let Some(rate) = rate else {
            // Deleting what is not there is an error to `tc`, so put a limitless
            // queue in its place.
            let args = [
                "-n", &switch, "qdisc", "replace", "dev", &port, "root", "pfifo",
            ];
            return tool::run("tc", &args).map(drop);
        };
        ensure!(rate >= 8, "a port carries at least 8 bit/s, not {rate}");
        // A bucket of 1 ms keeps the rate exact; super-packets that are larger than
        // the bucket are segmented by the kernel.
        let burst = (rate / 8 / 1000).max(FRAME);
        let script = format!(
            "qdisc replace dev {port} root tbf rate {rate}bit burst {burst} limit {PORT_QUEUE}\n"
        );
        tool::feed("tc", &["-n", &switch, "-batch", "-"], &script)
    }

    /// Makes the sender's kernel segment super-packets before they reach the wire
    /// (true), as for a network card without UDP segmentation offload, or lets them
    /// travel whole (false), which flatters every figure.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn segmented(&self, segmented: bool) -> Result<()> {
        let offload = if segmented { "off" } else { "on" };
        let namespace = self.namespace(Host::SENDER);
        let args = ["netns", "exec", &namespace, "ethtool", "-K", "eth0"];
        tool::run(
            "ip",
            &[&args[..], &["tx-udp-segmentation", offload]].concat(),
        )
        .map(drop)
    }

    /// Plugs `host` in or out at the switch.
    ///
    /// # Errors
    ///
    /// The room has no such host.
    pub fn link(&self, host: Host, link: Link) -> Result<()> {
        self.check(host)?;
        let state = match link {
            Link::Up => "up",
            Link::Down => "down",
        };
        let switch = self.switch();
        tool::run("ip", &["-n", &switch, "link", "set", &host.port(), state]).map(drop)
    }

    /// One empty chain for each port and direction, so that a port's loss is changed
    /// without touching the others' counters.
    pub(super) fn prepare_shaping(&self) -> Result<()> {
        let mut script = format!(
            "add table {TABLE}\n\
             add chain {TABLE} forward {{ type filter hook forward priority 0; }}\n"
        );
        for host in self.hosts() {
            for (direction, key) in [
                (Direction::ToHost, "oifname"),
                (Direction::FromHost, "iifname"),
            ] {
                let (chain, port) = (chain(host, direction), host.port());
                script += &format!("add chain {TABLE} {chain}\n");
                script += &format!("add rule {TABLE} forward {key} {port} jump {chain}\n");
            }
        }
        self.filter(&script)
    }

    fn filter(&self, script: &str) -> Result<()> {
        tool::feed(
            "ip",
            &["netns", "exec", &self.switch(), "nft", "-f", "-"],
            script,
        )
    }

    /// Where in its period a port's bursts begin, as a fraction of the room.
    fn phase(&self, host: Host) -> (u32, u32) {
        (host.number().into(), u32::from(self.receivers) + 1)
    }
}

fn chain(host: Host, direction: Direction) -> String {
    match direction {
        Direction::ToHost => format!("to{}", host.number()),
        Direction::FromHost => format!("from{}", host.number()),
    }
}

/// The nftables expression that is true for a lost datagram.
fn condition(loss: Loss, (number, of): (u32, u32)) -> Result<Option<String>> {
    match loss {
        Loss::None | Loss::Random { permille: 0 } => Ok(None),
        // nftables refuses a comparison that is always true.
        Loss::Random { permille: 1000 } => Ok(Some(String::new())),
        Loss::Random { permille } => {
            ensure!(
                permille <= 1000,
                "a loss is at most 1000 permille, not {permille}"
            );
            Ok(Some(format!("numgen random mod 1000 < {permille}")))
        }
        Loss::Bursts { length, every } => {
            ensure!(
                length >= 1 && length <= every,
                "bursts of {length} do not fit into a period of {every} datagrams"
            );
            let free = u64::from(every - length);
            let first = free * u64::from(number) / u64::from(of);
            let last = first + u64::from(length) - 1;
            Ok(Some(format!("numgen inc mod {every} {first}-{last}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(loss: Loss, phase: (u32, u32)) -> String {
        condition(loss, phase).unwrap().unwrap_or_default()
    }

    #[test]
    fn random_loss_counts_thousandths() {
        assert_eq!(rule(Loss::None, (1, 2)), "");
        assert_eq!(rule(Loss::Random { permille: 0 }, (1, 2)), "");
        assert_eq!(
            rule(Loss::Random { permille: 50 }, (1, 2)),
            "numgen random mod 1000 < 50"
        );
        assert_eq!(
            condition(Loss::Random { permille: 1000 }, (1, 2)).unwrap(),
            Some(String::new())
        );
        assert!(condition(Loss::Random { permille: 1001 }, (1, 2)).is_err());
    }

    #[test]
    fn bursts_stay_inside_their_period_at_every_phase() {
        let loss = Loss::Bursts {
            length: 200,
            every: 20_000,
        };
        assert_eq!(rule(loss, (0, 4)), "numgen inc mod 20000 0-199");
        assert_eq!(rule(loss, (1, 4)), "numgen inc mod 20000 4950-5149");
        assert_eq!(
            rule(
                Loss::Bursts {
                    length: 5,
                    every: 5
                },
                (3, 4)
            ),
            "numgen inc mod 5 0-4"
        );
        for (length, every) in [(0, 10), (11, 10)] {
            assert!(condition(Loss::Bursts { length, every }, (0, 1)).is_err());
        }
    }
}
