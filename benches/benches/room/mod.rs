//! A sender and a receiver, joined by memory.
//!
//! Time is virtual: where nobody has anything to do it jumps to the next deadline, so what is
//! measured is work and never a pause. A datagram arrives the moment it is sent, or is lost.

mod receiving;
mod sending;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mimeo_benches::fixture::Random;
use mimeo_protocol::block::Level;
use mimeo_protocol::sender::Destination;

use receiving::Receiving;
use sending::Sending;

const SENDER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 1), 64_636);
const RECEIVER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 2), 50_000);

/// No image of a bench takes longer in virtual time.
const LIMIT: Duration = Duration::from_secs(60);

/// See the module's page.
pub struct Room<'a> {
    started: Instant,
    image: &'a [u8],
    sending: Sending<'a>,
    receiving: Receiving,
    /// Of the group's datagrams this many in a hundred are lost.
    loss_percent: u64,
    luck: Random,
    /// Datagrams that were lost.
    lost: u64,
}

impl<'a> Room<'a> {
    /// A room in which nothing has happened yet.
    pub fn new(image: &'a [u8], level: Level, loss_percent: u64) -> Self {
        // A day of room to look back from the beginning, as pacers do.
        let started = Instant::now() + Duration::from_secs(86_400);
        Self {
            started,
            image,
            sending: Sending::new(started, image, level),
            receiving: Receiving::new(started, image.len()),
            loss_percent,
            luck: Random::new(11),
            lost: 0,
        }
    }

    /// Runs the session to its end.
    ///
    /// # Panics
    ///
    /// If the receiver does not confirm.
    pub fn run(&mut self) {
        let mut now = self.started;
        loop {
            self.sending.handle_timeout(now);
            self.receiving.handle_timeout(now);
            self.exchange(now);
            if self.sending.is_over() && self.receiving.is_finished() {
                break;
            }
            assert!(now - self.started < LIMIT, "the session does not end");
            let deadlines = [
                self.sending.poll_timeout(now),
                self.receiving.poll_timeout(now),
            ];
            let next = deadlines.into_iter().flatten().min();
            // Neither clock nor timer of a real machine is finer.
            now = next.unwrap_or(now).max(now + Duration::from_micros(1));
        }
        assert!(self.receiving.has_confirmed(), "the session failed");
    }

    /// Whether the receiver has the image, and something was lost if that was to be.
    pub fn went_as_planned(&self) -> bool {
        self.receiving.target() == self.image && (self.lost > 0) == (self.loss_percent > 0)
    }

    /// Lets both talk until neither has anything to say.
    fn exchange(&mut self, now: Instant) {
        let (mut burst, mut message) = (Vec::new(), Vec::new());
        loop {
            let mut silent = true;
            while let Some(out) = self.sending.poll_transmit(now, &mut burst) {
                silent = false;
                for datagram in burst.chunks(out.segment) {
                    if out.to == Destination::DataGroup && self.loses() {
                        continue;
                    }
                    self.receiving.handle_datagram(now, SENDER.into(), datagram);
                }
            }
            while self.receiving.poll_transmit(now, &mut message) {
                silent = false;
                self.sending
                    .handle_datagram(now, SocketAddr::from(RECEIVER), &message);
            }
            if silent {
                return;
            }
        }
    }

    fn loses(&mut self) -> bool {
        let lost = self.loss_percent > 0 && self.luck.next_u64() % 100 < self.loss_percent;
        self.lost += u64::from(lost);
        lost
    }
}
