//! The sender's half: its endpoint, and in one thread what its encoders do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mimeo_protocol::block::{BlockDigest, Coding, Encoder, ImageHasher, Level, is_zero};
use mimeo_protocol::ids::SessionId;
use mimeo_protocol::keys::{Secret, SigningKey};
use mimeo_protocol::manifest::{Entry, StoredBlock};
use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::{
    Body, Endpoint, EndpointConfig, Fetch, Outgoing, Parity, Phase, Rows, SessionConfig, SlowRules,
    StartPolicy,
};
use mimeo_protocol::units::{BLOCK_SIZE, Place};
use mimeo_protocol::wire::{Auth, data_group};

/// The receiver's port in virtual time: it decides how many reports there are to a block.
const RATE: Rate = Rate(1_000_000_000);

pub struct Sending<'a> {
    endpoint: Endpoint,
    image: &'a [u8],
    next: Place,
    has_ended: bool,
    encoder: Encoder,
    hasher: ImageHasher,
    compressed: Vec<u8>,
}

impl<'a> Sending<'a> {
    pub fn new(now: Instant, image: &'a [u8], level: Level) -> Self {
        let session_id = SessionId([5; 16]);
        let config = EndpointConfig {
            session_id,
            session_name: "bench".to_owned(),
            auth: Auth::Open,
            secret: Secret::new([6; 32]),
            seed: Secret::new([7; 32]),
            signing_key: SigningKey::from_seed(&[8; 32]),
            group: data_group(session_id, false),
            needs: None,
        };
        let session = SessionConfig {
            image_len: Some(image.len() as u64),
            seekable: true,
            start: StartPolicy::default(),
            rate_cap: Some(RATE),
            parity: Parity::Auto,
            slow: SlowRules::default(),
            linger: Duration::ZERO,
            lost_timeout: Duration::ZERO,
        };
        Self {
            endpoint: Endpoint::new(now, config, session),
            image,
            next: Place(0),
            has_ended: false,
            encoder: Encoder::new(level),
            hasher: ImageHasher::default(),
            compressed: Vec::new(),
        }
    }

    pub fn is_over(&self) -> bool {
        *self.endpoint.session().phase() == Phase::Over
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.endpoint.poll_timeout(now)
    }

    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.endpoint.handle_datagram(now, from, datagram);
    }

    /// The next transmit, everything that it needs being read and coded on the way.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Outgoing> {
        while !self.has_ended && self.endpoint.session().wants_entries() {
            self.read(now);
        }
        while let Some(fetch) = self.endpoint.poll_fetch() {
            let (body, rows) = self.fetch(&fetch);
            self.endpoint.handle_fetched(&fetch, body, rows);
        }
        while self.endpoint.poll_event().is_some() {}
        self.endpoint.poll_transmit(now, out)
    }

    fn raw(&self, place: Place) -> &'a [u8] {
        let len = place.raw_len(self.image.len() as u64);
        &self.image[place.0 as usize * BLOCK_SIZE..][..len]
    }

    fn encode(&mut self, raw: &[u8]) -> (Coding, Body) {
        let coding = self.encoder.encode(raw, &mut self.compressed);
        let body = match coding {
            Coding::Zstd => &self.compressed,
            Coding::Raw => raw,
        };
        (coding, Bytes::copy_from_slice(body))
    }

    fn read(&mut self, now: Instant) {
        let (place, raw) = (self.next, self.raw(self.next));
        let digest = BlockDigest::of(place, raw, self.image.len() <= BLOCK_SIZE);
        assert!(!is_zero(raw), "the images of benches have no zero blocks");
        let (coding, body) = self.encode(raw);
        let stored = StoredBlock {
            place,
            stored_len: u32::try_from(body.len()).expect("bodies are at most 256 KiB"),
            coding,
            digest,
        };
        self.endpoint
            .handle_entry(now, Entry::Block(stored), Some(body));
        self.hasher.push(digest);
        self.next.0 += 1;
        self.has_ended = self.next.offset() >= self.image.len() as u64;
        if self.has_ended {
            let digest = self.hasher.clone().finish();
            let len = self.image.len() as u64;
            self.endpoint
                .session_mut()
                .handle_source_end(len, Some(digest));
        }
    }

    fn fetch(&mut self, fetch: &Fetch) -> (Body, Rows) {
        let body = fetch.body.clone().unwrap_or_else(|| {
            let raw = self.raw(fetch.block.place);
            self.encode(raw).1
        });
        let rows = fetch.rows(&body);
        (body, rows)
    }
}
