//! The receiving side.
//!
//! One thread receives and writes in turn: a second one for writing was slower on two
//! cores, at 1 receiver (15 instead of 18 Gbit/s to tmpfs) and at 8 (3.2 instead of 3.7),
//! because it takes a core from the sender, and the data out of its cache.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mimeo_net::{Family, Interest, ReceiveBatch, Socket, Waiter};

use super::datagram::{self, GIVEN_UP, Message};
use super::target::Target;
use super::{GROUP, REPORT, Receive, SILENCE, SOCKET_BUFFER};

/// How long a datagram is waited for when later ones have arrived. The network keeps
/// the order, but for a sender that the kernel moves to another processor.
const PATIENCE: Duration = Duration::from_secs(1);

/// Receives a file.
pub(super) fn run(args: &Receive) -> Result<()> {
    let interface = args.network.choose()?;
    let target = Target::create(&args.target)?;
    let data = Socket::group(&interface, IpAddr::V4(GROUP), args.network.port)?;
    let grant = data.set_receive_buffer(SOCKET_BUFFER)?;
    ensure!(
        !grant.is_short(),
        "the socket's buffer is too small: {grant:?}"
    );
    let mut receiver = Receiver {
        data,
        unicast: Socket::unicast(&interface, Family::V4, 0, 1)?,
        waiter: Waiter::new()?,
        target,
        stream: Stream::default(),
    };
    eprintln!("ready");
    let result = receiver.run();
    if let (Err(_), Some((sender, _))) = (&result, receiver.stream.sender) {
        // So that it does not wait; if it does not hear it, it does so in vain.
        let _ = receiver.unicast.send(sender, &GIVEN_UP.to_le_bytes(), 8);
    }
    result
}

struct Receiver {
    data: Socket,
    unicast: Socket,
    waiter: Waiter,
    target: Target,
    stream: Stream,
}

/// What is known of the file.
#[derive(Debug, Default)]
struct Stream {
    /// Where it comes from, and its length.
    sender: Option<(SocketAddr, u64)>,
    /// Bytes received.
    received: u64,
    /// Bytes that the sender knows of.
    reported: u64,
    /// Where the last datagram so far ends.
    end: u64,
}

impl Receiver {
    fn run(&mut self) -> Result<()> {
        let mut batch = ReceiveBatch::new();
        let mut waited_since = Instant::now();
        loop {
            if self.data.recv(&mut batch)? == 0 {
                let deadline = Instant::now() + PATIENCE;
                let ready = self
                    .waiter
                    .wait(&[(&self.data, Interest::Readable)], Some(deadline))?;
                if ready.timed_out() {
                    self.check_for_loss(waited_since)?;
                }
                continue;
            }
            self.take(&mut batch)?;
            waited_since = Instant::now();
            let Some((sender, length)) = self.stream.sender else {
                continue;
            };
            let received = self.stream.received;
            if received >= length {
                self.target.flush()?;
                self.report(sender)?;
                eprintln!("complete");
                return Ok(());
            }
            if received >= self.stream.reported + REPORT {
                self.report(sender)?;
            }
        }
    }

    /// Writes what the batch holds.
    fn take(&mut self, batch: &mut ReceiveBatch) -> Result<()> {
        let mut pieces: Vec<IoSlice<'_>> = Vec::new();
        let (mut first, mut next) = (0, 0);
        for (from, bytes) in batch.datagrams() {
            match datagram::decode(bytes) {
                Some(Message::Data(place, payload)) => {
                    if place != next {
                        self.target.write(first, &pieces)?;
                        pieces.clear();
                        first = place;
                    }
                    next = place + payload.len() as u64;
                    pieces.push(IoSlice::new(payload));
                    self.stream.received += payload.len() as u64;
                    self.stream.end = self.stream.end.max(next);
                }
                Some(Message::Hello(GIVEN_UP)) => bail!("the sender has given up"),
                Some(Message::Hello(length)) => {
                    self.stream.sender = Some((from, length));
                    self.report(from)?;
                }
                None => bail!("{from} sent something else"),
            }
        }
        self.target.write(first, &pieces)
    }

    fn report(&mut self, sender: SocketAddr) -> Result<()> {
        let received = self.stream.received;
        let sent = self.unicast.send(sender, &received.to_le_bytes(), 8);
        self.stream.reported = received;
        let sent = sent.context("cannot report")?;
        ensure!(sent.datagrams == 1, "cannot report: {:?}", sent.refusal);
        Ok(())
    }

    /// Fails when nothing more can come after a time without data.
    fn check_for_loss(&self, waited_since: Instant) -> Result<()> {
        let Stream { received, end, .. } = self.stream;
        let dropped = self.data.dropped()?;
        ensure!(
            received == end,
            "{} bytes were lost, {dropped} packets of them at the socket",
            end - received
        );
        ensure!(
            waited_since.elapsed() < SILENCE,
            "the sender is silent after {received} bytes"
        );
        Ok(())
    }
}
