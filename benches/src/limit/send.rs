//! The sending side.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mimeo_net::{Family, Interest, ReceiveBatch, Socket, Waiter};
use rustix::fs::{Advice, fadvise};
use rustix::io::preadv;

use super::datagram::{self, BURST, DATAGRAM, GIVEN_UP, HEADER, PAYLOAD};
use super::{GROUP, Report, SILENCE, SOCKET_BUFFER, Send, WINDOW};

/// How often receivers are called until all are there.
const HELLO_INTERVAL: Duration = Duration::from_millis(50);

/// Sends the file and writes the report.
pub(super) fn run(args: &Send) -> Result<()> {
    let image = &args.image;
    let file = File::open(image).with_context(|| format!("cannot open {image:?}"))?;
    let length = file.metadata()?.len();
    let interface = args.network.choose()?;
    let socket = Socket::unicast(&interface, Family::V4, 0, 1)?;
    socket.set_send_buffer(SOCKET_BUFFER)?;
    let mut sender = Sender {
        socket,
        group: (GROUP, args.network.port).into(),
        waiter: Waiter::new()?,
        batch: ReceiveBatch::new(),
        received: HashMap::new(),
    };
    sender.gather(usize::from(args.receivers), length)?;
    eprintln!("{} receivers are there", args.receivers);
    let seconds = match sender.stream(&file, length) {
        Ok(time) => time.as_secs_f64(),
        Err(error) => {
            // So that nobody waits; who does not hear it does so in vain.
            let _ = sender.send(&datagram::hello(GIVEN_UP));
            return Err(error);
        }
    };
    eprintln!("complete after {seconds:.6} s");
    if let Some(path) = &args.report {
        let json = serde_json::to_vec(&Report { seconds })?;
        fs::write(path, json).with_context(|| format!("cannot write {path:?}"))?;
    }
    Ok(())
}

struct Sender {
    socket: Socket,
    group: SocketAddr,
    waiter: Waiter,
    batch: ReceiveBatch,
    /// How many bytes each receiver has.
    received: HashMap<SocketAddr, u64>,
}

impl Sender {
    /// Calls receivers until there are `count`.
    fn gather(&mut self, count: usize, length: u64) -> Result<()> {
        let deadline = Instant::now() + SILENCE;
        while self.received.len() < count {
            let there = self.received.len();
            ensure!(
                Instant::now() < deadline,
                "only {there} of {count} receivers are there"
            );
            self.send(&datagram::hello(length))?;
            self.hear(Instant::now() + HELLO_INTERVAL)?;
        }
        Ok(())
    }

    /// Sends the file, and returns the time until everybody has it.
    fn stream(&mut self, file: &File, length: u64) -> Result<Duration> {
        let start = Instant::now();
        let mut burst = Burst::new();
        let mut place = 0;
        fadvise(file, 0, None, Advice::Sequential)?;
        while place < length {
            let size = burst.fill(file, place, length)?;
            self.await_received(place.saturating_sub(WINDOW))?;
            self.send(burst.datagrams(size))?;
            place += size as u64;
        }
        self.await_received(length)?;
        Ok(start.elapsed())
    }

    /// Waits until every receiver has `bytes`.
    fn await_received(&mut self, bytes: u64) -> Result<()> {
        let least =
            |received: &HashMap<_, u64>| received.values().copied().min().unwrap_or_default();
        while least(&self.received) < bytes {
            let heard = self.hear(Instant::now() + SILENCE)?;
            ensure!(
                heard,
                "a receiver is silent that has only {} bytes: something was lost",
                least(&self.received)
            );
        }
        Ok(())
    }

    /// Takes reports in, and waits for the first until `deadline`. True if there was one.
    fn hear(&mut self, deadline: Instant) -> Result<bool> {
        self.waiter
            .wait(&[(&self.socket, Interest::Readable)], Some(deadline))?;
        let mut heard = false;
        while self.socket.recv(&mut self.batch)? > 0 {
            for (from, bytes) in self.batch.datagrams() {
                if let Some(bytes) = datagram::report(bytes) {
                    ensure!(bytes != GIVEN_UP, "the receiver {from} has given up");
                    let received = self.received.entry(from).or_default();
                    *received = bytes.max(*received);
                    heard = true;
                }
            }
        }
        Ok(heard)
    }

    fn send(&self, mut datagrams: &[u8]) -> Result<()> {
        while !datagrams.is_empty() {
            let sent = self.socket.send(self.group, datagrams, DATAGRAM)?;
            ensure!(sent.refused == 0, "cannot send: {:?}", sent.refusal);
            datagrams = &datagrams[sent.bytes..];
            if sent.blocked {
                let socket = [(&self.socket, Interest::Writable)];
                self.waiter.wait(&socket, Some(Instant::now() + SILENCE))?;
            }
        }
        Ok(())
    }
}

/// A buffer of datagrams.
struct Burst(Vec<u8>);

impl Burst {
    fn new() -> Self {
        Self(vec![0; BURST * DATAGRAM])
    }

    /// Fills it with numbers and with the file from `place` on, a multiple of
    /// [`PAYLOAD`]. Returns how many bytes of the file it holds.
    ///
    /// The kernel scatters one read over the datagrams, so the file's bytes are copied
    /// only once on their way to the socket.
    fn fill(&mut self, file: &File, place: u64, length: u64) -> Result<usize> {
        let left = usize::try_from(length - place).unwrap_or(usize::MAX);
        let size = left.min(BURST * PAYLOAD);
        let (mut number, mut rest) = (place / PAYLOAD as u64, size);
        let mut payloads = Vec::with_capacity(BURST);
        for datagram in self.0.chunks_mut(DATAGRAM) {
            let (header, payload) = datagram.split_at_mut(HEADER);
            header.copy_from_slice(&number.to_le_bytes());
            let part = rest.min(PAYLOAD);
            payloads.push(std::io::IoSliceMut::new(&mut payload[..part]));
            rest -= part;
            number += 1;
        }
        let read = preadv(file, &mut payloads, place).context("cannot read the image")?;
        ensure!(read == size, "the image ends early");
        Ok(size)
    }

    /// The datagrams that hold `size` bytes of the file.
    fn datagrams(&self, size: usize) -> &[u8] {
        &self.0[..size + size.div_ceil(PAYLOAD) * HEADER]
    }
}
