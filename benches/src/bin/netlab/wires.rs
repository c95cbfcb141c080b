//! The room and what is wrong with its wires.

use anyhow::{Result, ensure};
use clap::Args;
use mimeo_benches::netlab::{Direction, Host, Loss, Room, RoomConfig, Snooping};
use mimeo_benches::units::parse_rate;

/// The network's arguments.
#[derive(Args)]
pub(crate) struct Wires {
    /// Datagrams in a thousand that are lost on each receiver's port
    #[arg(long, value_name = "PERMILLE", default_value_t = 0,
          value_parser = clap::value_parser!(u16).range(0..=1000))]
    loss: u16,
    /// Lose so many datagrams in a row out of so many, on each receiver's port
    #[arg(long, value_name = "LEN/EVERY", value_parser = parse_burst, conflicts_with = "loss")]
    burst: Option<(u32, u32)>,
    /// Limit every receiver's port, in bit/s with Ethernet headers; beyond that it queues
    /// 256 KiB and then drops
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    port_rate: Option<u64>,
    /// Limit the port of one receiver, counted from 1; may be given several times
    #[arg(long, value_name = "N:RATE", value_parser = parse_slow_port)]
    slow_port: Vec<(u16, u64)>,
    /// Let the sender's kernel segment, as for a network card without offload
    #[arg(long)]
    segmented: bool,
}

impl Wires {
    /// True when datagrams get lost, be it that a slow port drops them.
    pub(crate) fn lose(&self) -> bool {
        self.loss > 0
            || self.burst.is_some()
            || self.port_rate.is_some()
            || !self.slow_port.is_empty()
    }

    /// What a reader of figures should know of them; empty for a plain network.
    pub(crate) fn describe(&self) -> String {
        let mut words = Vec::new();
        if self.segmented {
            words.push("segmented".to_owned());
        }
        if self.loss > 0 {
            words.push(format!("loss {} per mille", self.loss));
        }
        if let Some((length, every)) = self.burst {
            words.push(format!("loss {length} in a row of {every}"));
        }
        if let Some(rate) = self.port_rate {
            words.push(format!("ports of {}", megabits(rate)));
        }
        for &(number, rate) in &self.slow_port {
            words.push(format!("port {number} of {}", megabits(rate)));
        }
        words.join(", ")
    }

    /// Builds the room.
    pub(crate) fn room(&self, receivers: u16) -> Result<Room> {
        let room = Room::build(&RoomConfig {
            receivers,
            snooping: Snooping::Off,
        })?;
        room.segmented(self.segmented)?;
        let loss = match self.burst {
            Some((length, every)) => Loss::Bursts { length, every },
            None => Loss::Random {
                permille: self.loss,
            },
        };
        for host in room.receivers() {
            room.loss(host, Direction::ToHost, loss)?;
            if self.port_rate.is_some() {
                room.port_rate(host, self.port_rate)?;
            }
        }
        for &(number, rate) in &self.slow_port {
            ensure!(
                number <= receivers,
                "--slow-port {number}: a room of {receivers} receivers has no such port"
            );
            room.port_rate(Host::new(number), Some(rate))?;
        }
        Ok(room)
    }
}

#[allow(clippy::cast_precision_loss, reason = "only for display")]
fn megabits(rate: u64) -> String {
    format!("{} Mbit/s", rate as f64 / 1e6)
}

/// Reads `LEN/EVERY`.
fn parse_burst(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once('/');
    let numbers = numbers.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers
        .filter(|&(length, every)| 1 <= length && length <= every)
        .ok_or_else(|| format!("expected a burst such as 200/20000, found {text:?}"))
}

/// Reads `N:RATE`.
fn parse_slow_port(text: &str) -> Result<(u16, u64), String> {
    let (number, rate) = text
        .split_once(':')
        .ok_or_else(|| format!("expected a port such as 3:100M, found {text:?}"))?;
    let number = number.parse().ok().filter(|&number| number >= 1);
    let number = number.ok_or_else(|| format!("receivers count from 1, found {text:?}"))?;
    Ok((number, parse_rate(rate)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_read() {
        assert_eq!(parse_burst("200/20000"), Ok((200, 20_000)));
        assert_eq!(parse_burst("5/5"), Ok((5, 5)));
        for text in ["", "5", "0/5", "6/5", "a/b", "1/2/3"] {
            assert!(parse_burst(text).is_err(), "{text}");
        }
    }

    #[test]
    fn slow_ports_are_read() {
        assert_eq!(parse_slow_port("3:100M"), Ok((3, 100_000_000)));
        for text in ["", "3", "0:100M", "x:1M", "3:", "3:fast"] {
            assert!(parse_slow_port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plain_network_needs_no_words() {
        let mut wires = Wires {
            loss: 0,
            burst: None,
            port_rate: None,
            slow_port: Vec::new(),
            segmented: true,
        };
        assert_eq!(
            (wires.describe().as_str(), wires.lose()),
            ("segmented", false)
        );
        wires.segmented = false;
        assert_eq!(wires.describe(), "");
        wires.slow_port.push((3, 100_000_000));
        assert_eq!(wires.describe(), "port 3 of 100 Mbit/s");
        assert!(wires.lose());
    }
}
