//! One direction of the path between the sender and one receiver.

use std::time::{Duration, Instant};

use super::Dice;

/// Loss in bursts: a chain of two states (Gilbert 1960, Elliott 1963).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// Datagrams lost in a row, on average, at least 1.
    pub length: f64,
    /// Datagrams between two bursts, on average, at least 1.
    pub gap: f64,
}

/// What a link does to datagrams. May be changed while the room runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkProfile {
    /// Every datagram takes at least this long.
    pub delay: Duration,
    /// And up to this much longer, each its own time: they overtake each other.
    pub jitter: Duration,
    /// Bits per second of a port in the way; `None`: no such port.
    pub rate: Option<u64>,
    /// Bytes that wait for that port; what comes on top is dropped.
    pub queue: usize,
    /// Share of datagrams lost, each by its own bad luck.
    pub loss: f64,
    /// Loss in bursts on top of that.
    pub bursts: Option<Bursts>,
    /// Share of datagrams that arrive twice.
    pub duplicates: f64,
    /// Share of datagrams that arrive with a bit flipped.
    pub corruption: f64,
    /// Nothing passes.
    pub cut: bool,
}

impl Default for LinkProfile {
    /// A quiet switched network: 100 us, nothing lost.
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(100),
            jitter: Duration::ZERO,
            rate: None,
            queue: 512 * 1024,
            loss: 0.0,
            bursts: None,
            duplicates: 0.0,
            corruption: 0.0,
            cut: false,
        }
    }
}

/// When one copy of a datagram arrives, and in what state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: Instant,
    /// The bit that was flipped on the way, counted over the whole datagram modulo its length.
    pub flipped: Option<u64>,
}

/// A link with its queue and its luck.
#[derive(Debug)]
pub struct Link {
    /// What it does.
    pub profile: LinkProfile,
    dice: Dice,
    bad: bool,
    /// When the port has sent everything that waits.
    free_at: Option<Instant>,
}

/// Bytes that every datagram takes on the wire beside its payload: Ethernet, IPv4 and UDP.
const OVERHEAD: usize = 66;

impl Link {
    /// An idle link.
    #[must_use]
    pub fn new(profile: LinkProfile, dice: Dice) -> Self {
        Self {
            profile,
            dice,
            bad: false,
            free_at: None,
        }
    }

    /// Sends a datagram of `bytes`: the copies of it that will arrive, none to two.
    pub fn send(&mut self, now: Instant, bytes: usize) -> [Option<Delivery>; 2] {
        let lost = self.profile.cut | self.loses();
        let Some(out) = self.through_port(now, bytes).filter(|_| !lost) else {
            return [None, None];
        };
        let twice = self.dice.chance(self.profile.duplicates);
        let first = self.deliver(out);
        [Some(first), twice.then(|| self.deliver(out))]
    }

    fn loses(&mut self) -> bool {
        if let Some(Bursts { length, gap }) = self.profile.bursts {
            let change = if self.bad { 1.0 / length } else { 1.0 / gap };
            self.bad ^= self.dice.chance(change);
        } else {
            self.bad = false;
        }
        self.bad | self.dice.chance(self.profile.loss)
    }

    /// When the port has sent the datagram; `None` if its queue is full.
    fn through_port(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(rate) = self.profile.rate else {
            return Some(now);
        };
        let free = self.free_at.map_or(now, |at| at.max(now));
        let waiting = free.duration_since(now).as_secs_f64() * rate as f64 / 8.0;
        if waiting > self.profile.queue as f64 {
            return None;
        }
        let bits = 8 * (bytes + OVERHEAD) as u64;
        let out = free + Duration::from_nanos(bits * 1_000_000_000 / rate);
        self.free_at = Some(out);
        Some(out)
    }

    fn deliver(&mut self, out: Instant) -> Delivery {
        let jitter = self.profile.jitter.mul_f64(self.dice.unit());
        let flipped = self.dice.chance(self.profile.corruption);
        Delivery {
            at: out + self.profile.delay + jitter,
            flipped: flipped.then(|| self.dice.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(profile: LinkProfile, sent: usize, gap: Duration) -> Vec<(usize, Duration)> {
        let mut link = Link::new(profile, Dice::new(1));
        let start = Instant::now();
        let mut arrived = Vec::new();
        for i in 0..sent {
            let now = start + gap * u32::try_from(i).unwrap();
            let copies = link.send(now, 1434);
            arrived.extend(copies.iter().flatten().map(|d| (i, d.at - start)));
        }
        arrived
    }

    fn longest_gap(arrived: &[(usize, Duration)]) -> usize {
        arrived.windows(2).map(|w| w[1].0 - w[0].0).max().unwrap()
    }

    #[test]
    fn loss_has_its_share_and_bursts_their_length() {
        let every = Duration::from_micros(10);
        let loss = LinkProfile {
            loss: 0.05,
            ..LinkProfile::default()
        };
        let arrived = arrivals(loss, 100_000, every);
        assert!(
            (94_500..95_500).contains(&arrived.len()),
            "{}",
            arrived.len()
        );
        assert!(longest_gap(&arrived) < 8);
        let bursts = Some(Bursts {
            length: 50.0,
            gap: 950.0,
        });
        let arrived = arrivals(
            LinkProfile {
                bursts,
                ..LinkProfile::default()
            },
            100_000,
            every,
        );
        assert!(
            (92_000..98_000).contains(&arrived.len()),
            "{}",
            arrived.len()
        );
        assert!(longest_gap(&arrived) > 100);
    }

    #[test]
    fn a_port_passes_its_rate_and_drops_what_does_not_fit_its_queue() {
        let port = LinkProfile {
            rate: Some(100_000_000),
            queue: 15_000,
            ..LinkProfile::default()
        };
        // 1500 bytes on the wire take 120 us; they come twice as fast.
        let arrived = arrivals(port, 1000, Duration::from_micros(60));
        assert!((505..=515).contains(&arrived.len()), "{}", arrived.len());
        let step = arrived[400].1 - arrived[399].1;
        assert_eq!(step, Duration::from_micros(120));
    }

    #[test]
    fn jitter_overtakes_and_duplicates_double() {
        let jitter = Duration::from_millis(1);
        let profile = LinkProfile {
            jitter,
            duplicates: 0.5,
            ..LinkProfile::default()
        };
        let arrived = arrivals(profile, 1000, Duration::from_micros(10));
        assert!((1400..1600).contains(&arrived.len()));
        assert!(arrived.windows(2).any(|w| w[1].1 < w[0].1));
    }
}
