//! The receiver's half: search and endpoint, and in one thread what its writer does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mimeo_protocol::block::Decoder;
use mimeo_protocol::ids::Mac;
use mimeo_protocol::keys::Secret;
use mimeo_protocol::receiver::{
    Assembled, Endpoint, Event, Rendezvous, RendezvousConfig, RendezvousEvent, Resume,
    SessionConfig, Unused,
};
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::Auth;

/// What the disk takes for a block in virtual time: 2.6 GB/s, so it does not slow the stream.
const WRITING: Duration = Duration::from_micros(100);

/// What was on the disk before.
const LEFTOVERS: u8 = 0xee;

pub struct Receiving {
    rendezvous: Rendezvous,
    endpoint: Option<Endpoint>,
    decoder: Decoder,
    target: Vec<u8>,
    confirmed: bool,
}

impl Receiving {
    pub fn new(now: Instant, image_len: usize) -> Self {
        let config = RendezvousConfig {
            session_name: Some("bench".to_owned()),
            auth: Auth::Open,
            secret: None,
            sender_key: None,
            seed: Secret::new([8; 32]),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            target_id: 1,
            link_speed: 1000,
            capacity: None,
            resumes: false,
            piped: false,
            host_name: "bench".to_owned(),
            sender: None,
            instead_of: None,
        };
        Self {
            rendezvous: Rendezvous::new(now, config),
            endpoint: None,
            decoder: Decoder::new(),
            target: vec![LEFTOVERS; image_len],
            confirmed: false,
        }
    }

    /// Whether it has the image and the sender knows.
    pub fn has_confirmed(&self) -> bool {
        self.confirmed
    }

    pub fn is_finished(&self) -> bool {
        let endpoint = self.endpoint.as_ref();
        endpoint.is_some_and(|endpoint| endpoint.session().is_finished())
    }

    pub fn target(&self) -> &[u8] {
        &self.target
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.endpoint {
            Some(endpoint) => endpoint.handle_timeout(now),
            None => self.rendezvous.handle_timeout(now),
        }
    }

    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match &self.endpoint {
            Some(endpoint) => endpoint.poll_timeout(now),
            None => self.rendezvous.poll_timeout(),
        }
    }

    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        match &mut self.endpoint {
            Some(endpoint) => endpoint.handle_datagram(now, datagram),
            None => self.rendezvous.handle_datagram(now, from, datagram),
        }
    }

    /// The next datagram to the sender, everything that came before being written.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        while let Some(event) = self.rendezvous.poll_event() {
            if let RendezvousEvent::Joined(admitted) = event {
                let config = SessionConfig {
                    buffers: 254,
                    window: 8192,
                    in_order: false,
                    target_len: None,
                    resume: Resume::Off,
                    idle_timeout: Duration::from_secs(60),
                    seed: 9,
                    image_len: admitted.body.image_len,
                    verify: false,
                    unused: Unused::Keep,
                };
                self.endpoint = Some(Endpoint::new(now, config, *admitted));
            }
        }
        if self.endpoint.is_none() {
            return self.rendezvous.poll_transmit(now, out).is_some();
        }
        self.handle_events(now);
        let endpoint = self.endpoint.as_mut().expect("it was looked at above");
        endpoint.poll_transmit(now, out)
    }

    fn handle_events(&mut self, now: Instant) {
        while let Some(endpoint) = &mut self.endpoint {
            match endpoint.poll_event() {
                None => return,
                Some(Event::Block {
                    block,
                    buffer,
                    esis,
                    entry,
                }) => {
                    let symbols = endpoint.take(buffer);
                    let mut assembled = Assembled {
                        block,
                        entry,
                        esis,
                        symbols: symbols.expect("a whole block has a buffer"),
                        buffer,
                    };
                    let bytes = self.write(&mut assembled);
                    let endpoint = self.endpoint.as_mut().expect("nobody took it away");
                    endpoint.give_back(buffer, assembled.symbols);
                    let session = endpoint.session_mut();
                    session.handle_written(now, block, bytes as u64, WRITING);
                }
                Some(Event::Flush { .. }) => endpoint.session_mut().handle_flushed(now),
                Some(Event::Finished { acknowledged }) => self.confirmed = acknowledged,
                Some(Event::Started) => {}
                Some(other) => panic!("unexpected in this room: {other:?}"),
            }
        }
    }

    /// Recovers, decodes and checks a block and copies it to its place.
    fn write(&mut self, assembled: &mut Assembled) -> usize {
        let place = assembled.entry.place;
        let image_len = Some(self.target.len() as u64);
        let raw = assembled
            .decode(image_len, &mut self.decoder)
            .expect("nothing was damaged");
        self.target[place.0 as usize * BLOCK_SIZE..][..raw.len()].copy_from_slice(raw);
        raw.len()
    }
}
