//! The sender at work: the session's thread between the network and the encoders.

mod codes;
mod digest;
mod effort;
mod events;
#[cfg(test)]
mod memory;
mod origin;
mod pictures;
mod pipeline;
mod pool;
mod queue;
mod reader;
mod results;
mod room;
mod source;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use mimeo_console::Admission;
use mimeo_image::source::Source;
use mimeo_net::{Interest, Readiness, ReceiveBatch, Waiter, Waker, precise_timers};
use mimeo_protocol::block::Level;
use mimeo_protocol::manifest::{Entry, Run};
use mimeo_protocol::sender::{Destination, Endpoint, MemberState, Outgoing, Phase};
use mimeo_protocol::units::BlockNumber;
use mimeo_protocol::wire::FailCode;
use tokio::sync::mpsc::UnboundedSender;

use crate::config::Config;
use crate::status::{Command, Update};
pub(crate) use codes::shown as shown_code;
use digest::WholeDigest;
use origin::Origin;
use pictures::Pictures;
use pipeline::{Pipeline, Reorder};
use queue::Encoded;
use reader::SharedSource;
use results::Produced;
pub(crate) use room::Room;

/// Bursts that are sent before inputs are looked at again.
const BURSTS_AT_ONCE: usize = 8;

/// Pictures of the session are sent this often.
const PICTURE_EVERY: Duration = Duration::from_millis(200);

/// How the session's thread ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The last picture.
    pub(crate) status: crate::status::Status,
    /// Whether a receiver found that what it holds is not the image.
    pub(crate) mismatch: bool,
    /// Why the session was given up, if it was, and whether the source was refused rather than
    /// failed.
    pub(crate) abort: Option<(FailCode, String, bool)>,
}

/// The session's thread.
pub(crate) struct Engine {
    endpoint: Endpoint,
    room: Room,
    pipeline: Pipeline,
    waiter: Waiter,
    commands: mpsc::Receiver<Command>,
    updates: UnboundedSender<Update>,
    pictures: Pictures,
    reorder: Reorder,
    digest: WholeDigest,
    /// Bytes of the image, all of which were read: only its digest may be lacking.
    read: Option<u64>,
    /// The level that was tried on each sent block, by its number: what else is known of a block comes
    /// with the request for its symbols.
    levels: Vec<Level>,
    batch: ReceiveBatch,
    out: Vec<u8>,
    started: bool,
    source_refused: bool,
    /// What is read; not of a stream.
    origin: Option<Origin>,
    opened: Instant,
    nobody_told: bool,
    /// Whether receivers join by a code.
    has_code: bool,
    /// What receivers have to be told beside the code.
    join_options: String,
    /// What they have to be given.
    asks_for: &'static str,
    /// Whether the operator can type anything.
    has_keys: bool,
    unproven: codes::Unproven,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) endpoint: Endpoint,
    pub(crate) room: Room,
    pub(crate) waiter: Waiter,
    pub(crate) source: Source,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) updates: UnboundedSender<Update>,
}

impl Engine {
    /// Starts the encoders and returns the engine, which [`Self::run`] then drives.
    pub(crate) fn new(parts: Parts, config: &Config) -> std::io::Result<Self> {
        let waker: Waker = parts.waiter.waker();
        let sender_key = config.signing_key.as_ref();
        let pictures = Pictures::new(
            config.session_name.clone(),
            parts.source.describe(),
            sender_key.map(|key| key.verifying_key().to_string()),
        );
        let digest = WholeDigest::of(&parts.source, config.hash_image);
        let source = match parts.source {
            Source::Disk(disk) => SharedSource::Origin(Origin::Disk(Arc::new(disk))),
            Source::Captured(image) => SharedSource::Origin(Origin::Captured(Arc::new(image))),
            Source::Stream(stream) => SharedSource::Stream(stream),
        };
        let origin = source.origin();
        let level = config.level.unwrap_or(Level::DEFAULT);
        let pipeline = Pipeline::start(source, level, digest.needs_runs(), waker)?;
        Ok(Self {
            endpoint: parts.endpoint,
            room: parts.room,
            pipeline,
            waiter: parts.waiter,
            commands: parts.commands,
            updates: parts.updates,
            pictures,
            reorder: Reorder::default(),
            digest,
            read: None,
            levels: Vec::new(),
            batch: ReceiveBatch::new(),
            out: Vec::with_capacity(1 << 16),
            started: false,
            source_refused: false,
            origin,
            opened: Instant::now(),
            nobody_told: false,
            has_code: matches!(config.admission, Admission::Code(_)),
            join_options: config.join_options(),
            asks_for: match config.admission {
                Admission::Code(_) => "its join code (--code)",
                Admission::Key(_) => "its key (--key-file)",
                Admission::Open => "nothing (--open)",
            },
            has_keys: config.has_keys(),
            unproven: codes::Unproven::default(),
        })
    }

    /// Runs the session to its end.
    pub(crate) fn run(mut self) -> Ended {
        if let Err(error) = precise_timers() {
            tracing::debug!(%error, "no precise timers: pacing is coarser");
        }
        let mut ready = Readiness::default();
        loop {
            self.receive(ready);
            self.take_results();
            self.take_commands();
            self.endpoint.handle_timeout(Instant::now());
            self.transmit();
            if self.tell_events() {
                break;
            }
            self.picture(false);
            ready = self.sleep();
        }
        self.tell_if_source_changed();
        self.picture(true);
        let refused = self.source_refused;
        let reason = self.endpoint.session().abort_reason().cloned();
        Ended {
            status: self.pictures.take(&mut self.endpoint, Instant::now()),
            mismatch: self.has_mismatch(),
            abort: reason.map(|(code, text)| (code, text, refused)),
        }
    }

    fn has_mismatch(&self) -> bool {
        let mismatch = |code| {
            matches!(
                code,
                FailCode::IdentityMismatch | FailCode::DigestMismatch | FailCode::ReadBackDiffers
            )
        };
        let mut members = self.endpoint.session().roster().members();
        members.any(|(_, member)| match member.state {
            MemberState::Failed { code, .. } => mismatch(code),
            _ => false,
        })
    }

    fn sleep(&mut self) -> Readiness {
        let now = Instant::now();
        let until = self
            .endpoint
            .poll_timeout(now)
            .unwrap_or(now + PICTURE_EVERY);
        let until = until.min(self.pictures.last() + PICTURE_EVERY);
        let sockets = [
            (self.room.unicast(), Interest::Readable),
            (self.room.control(), Interest::Readable),
        ];
        match self.waiter.wait(&sockets, Some(until)) {
            Ok(ready) => ready,
            Err(error) => {
                self.abort(
                    FailCode::Internal,
                    &format!("waiting for the network failed: {error}"),
                );
                Readiness::default()
            }
        }
    }

    fn receive(&mut self, ready: Readiness) {
        for (i, socket) in [self.room.unicast(), self.room.control()]
            .into_iter()
            .enumerate()
        {
            // A few batches, so that a flood does not keep the stream from flowing.
            for _ in 0..4 {
                if !ready.readable(i) {
                    break;
                }
                match socket.recv(&mut self.batch) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "receiving failed");
                        break;
                    }
                }
                let now = Instant::now();
                for (from, datagram) in self.batch.datagrams() {
                    self.endpoint.handle_datagram(now, from, datagram);
                }
            }
        }
    }

    fn take_results(&mut self) {
        while let Some(produced) = self.pipeline.poll() {
            match produced {
                Produced::Item { order, encoded } => self.reorder.push(order, encoded),
                Produced::Zeros { place, digest } => {
                    self.digest.push_zeros(place, &digest);
                }
                Produced::End { order, image_len } => self.reorder.set_end(order, image_len),
                Produced::Fetched { fetch, body, rows } => {
                    self.endpoint.handle_fetched(&fetch, body, rows);
                }
                Produced::Failed(error) => {
                    self.source_refused = error.is_refusal();
                    self.abort(FailCode::SourceFailed, &error.to_string());
                }
                Produced::Changed { place } => {
                    let text = format!(
                        "the image changed while it was sent, at byte {}; send it again when nothing writes to it",
                        place.offset()
                    );
                    self.abort(FailCode::SourceFailed, &text);
                }
            }
        }
        self.feed();
    }

    /// Hands blocks to the session as far as it wants them.
    fn feed(&mut self) {
        while self.endpoint.session().wants_entries() {
            let Some(encoded) = self.reorder.pop() else {
                break;
            };
            self.pipeline.release();
            self.handle_encoded(encoded);
        }
        let running = *self.endpoint.session().phase() == Phase::Running;
        let ahead = self.endpoint.session().ahead() + self.reorder.len();
        self.pipeline.set_ahead(running.then_some(ahead));
        if let Some(image_len) = self.reorder.take_end() {
            self.end_source(image_len);
        }
        self.end_digest();
    }

    fn handle_encoded(&mut self, encoded: Encoded) {
        let now = Instant::now();
        match encoded {
            Encoded::Body {
                stored,
                level,
                body,
            } => {
                self.levels.push(level);
                self.digest.push(stored.place, stored.digest);
                self.endpoint
                    .handle_entry(now, Entry::Block(stored), Some(body));
            }
            Encoded::Zero { place, digest } => {
                self.digest.push(place, digest);
                let entry = Entry::Zero(Run { place, count: 1 });
                self.endpoint.handle_entry(now, entry, None);
            }
            Encoded::Run(entry) => self.endpoint.handle_entry(now, entry, None),
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::StartNow => self.endpoint.session_mut().handle_start_now(Instant::now()),
                Command::NewCode => self.renew_code(),
                Command::Interrupt => {
                    self.abort(FailCode::Interrupted, "the operator ended the session");
                }
            }
        }
    }

    fn abort(&mut self, code: FailCode, text: &str) {
        self.endpoint
            .session_mut()
            .handle_abort(Instant::now(), code, text);
    }

    fn transmit(&mut self) {
        for _ in 0..BURSTS_AT_ONCE {
            self.ask_for_symbols();
            let now = Instant::now();
            let Some(outgoing) = self.endpoint.poll_transmit(now, &mut self.out) else {
                return;
            };
            self.send(outgoing);
        }
    }

    fn ask_for_symbols(&mut self) {
        while let Some(fetch) = self.endpoint.poll_fetch() {
            let BlockNumber(block) = fetch.share.block;
            let level = self.levels[block as usize];
            self.pipeline.fetch(fetch, level);
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let to = match outgoing.to {
            Destination::ControlGroup => self.room.control_group(),
            Destination::DataGroup => self.room.data_group(),
            Destination::Unicast(address) => address,
        };
        if let Err(error) = self
            .room
            .send(&self.waiter, to, &self.out, outgoing.segment)
        {
            // To one receiver it is that receiver's trouble; to the group it is everybody's.
            tracing::warn!(%to, %error, "sending failed");
            if !matches!(outgoing.to, Destination::Unicast(_)) {
                self.abort(FailCode::Internal, &error.to_string());
            }
        }
    }

    fn picture(&mut self, always: bool) {
        let now = Instant::now();
        if always || now >= self.pictures.last() + PICTURE_EVERY {
            self.watch_source();
            let status = self.pictures.take(&mut self.endpoint, now);
            let _ = self.updates.send(Update::Status(status));
        }
    }
}
