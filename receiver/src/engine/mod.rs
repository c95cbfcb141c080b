//! The receiver at work: the session's thread between the network and the writer.

mod again;
mod check;
mod ending;
mod events;
mod fitting;
mod gather;
mod phases;
mod pictures;
mod room;
mod search;
mod spent;
mod verify;
mod writer;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mimeo_image::target::{ReadMode, TargetWriter};
use mimeo_net::{Readiness, ReceiveBatch, Waiter, precise_timers};
use mimeo_protocol::receiver::Endpoint;
use mimeo_protocol::wire::FailCode;
use tokio::sync::mpsc::UnboundedSender;

use crate::exit::Exit;
use crate::status::Status;
use crate::status::{Command, Severity, Update};
pub(crate) use again::{Again, seed_of};
use check::{Checked, Checker};
use ending::with_remains;
use gather::Gather;
pub(crate) use pictures::Pictures;
pub(crate) use room::Room;
pub(crate) use search::{NotJoined, Search};
use spent::Spent;
use writer::{Done, Work, Writer};

/// Pictures are sent and the socket's drops are looked at this often.
const PICTURE_EVERY: Duration = Duration::from_millis(200);

/// Batches that are received before other inputs are looked at: a few MiB at most.
const BATCHES_AT_ONCE: usize = 16;

/// Told once.
const CANNOT_DISCARD: &str = "--unused discard: the disk cannot be told what nobody needs (no discard); \
                              it keeps what it has there";

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) endpoint: Endpoint,
    /// Datagrams that the data socket holds.
    pub(crate) window: u32,
    pub(crate) room: Room,
    pub(crate) sender: SocketAddr,
    pub(crate) waiter: Waiter,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) updates: UnboundedSender<Update>,
    pub(crate) pictures: Pictures,
    pub(crate) again: Again,
}

/// The session's thread after the join.
pub(crate) struct Engine {
    endpoint: Endpoint,
    room: Room,
    sender: SocketAddr,
    waiter: Waiter,
    writer: Option<Writer>,
    /// Of a receiver that resumes.
    checker: Option<Checker>,
    commands: mpsc::Receiver<Command>,
    updates: UnboundedSender<Update>,
    pictures: Pictures,
    batch: ReceiveBatch,
    out: Vec<u8>,
    gather: Gather,
    again: Again,
    /// Whether more may wait in the sockets than was received.
    more: bool,
    ended: Option<(Exit, Option<String>)>,
    spent: Spent,
}

impl Engine {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            endpoint: parts.endpoint,
            room: parts.room,
            sender: parts.sender,
            waiter: parts.waiter,
            writer: None,
            checker: None,
            commands: parts.commands,
            updates: parts.updates,
            pictures: parts.pictures,
            batch: ReceiveBatch::new(),
            out: Vec::new(),
            gather: Gather::new(parts.window),
            again: parts.again,
            more: false,
            ended: None,
            spent: Spent::new(Instant::now()),
        }
    }

    /// Starts the threads that work on the target; without them the engine only tells the sender
    /// that it gives up. With `resume` what the target holds is compared with the image; with `verify` it is read back in the end.
    pub(crate) fn set_target(
        &mut self,
        target: TargetWriter,
        image_len: Option<u64>,
        resume: bool,
        verify: bool,
    ) -> io::Result<()> {
        if resume {
            let reader = target.reader(ReadMode::Cached).map_err(io::Error::other)?;
            self.checker = Some(Checker::start(
                reader,
                (image_len, target.capacity()),
                self.waiter.waker(),
            )?);
        }
        if let Some(text) = target.warning() {
            self.tell(Severity::Warn, text.to_owned());
        }
        self.spent.set_medium(target.medium());
        let waker = self.waiter.waker();
        self.writer = Some(Writer::start(target, image_len, resume, verify, waker)?);
        Ok(())
    }

    /// The receiver gives up and tells the sender.
    pub(crate) fn give_up(&mut self, exit: Exit, code: FailCode, text: &str) {
        if self.ended.is_none() {
            self.ended = Some((exit, Some(text.to_owned())));
            self.endpoint
                .session_mut()
                .handle_failure(Instant::now(), code, text);
        }
    }

    /// Runs the session to its end. Returns exit code, error and the last picture.
    pub(crate) fn run(mut self) -> (Exit, Option<String>, Status) {
        if let Err(error) = precise_timers() {
            tracing::debug!(%error, "no precise timers: datagrams gather longer");
        }
        let mut ready = None;
        loop {
            self.receive(ready);
            self.take_checked();
            self.take_done();
            self.take_commands();
            self.endpoint.handle_timeout(Instant::now());
            self.handle_events();
            self.search_again();
            self.pictures.observe(&self.endpoint, Instant::now());
            self.tell_effort(Instant::now());
            self.transmit();
            self.picture();
            if self.endpoint.session().is_finished() {
                break;
            }
            ready = self.sleep();
        }
        let (exit, error) = self.ended.unwrap_or((
            Exit::Failure,
            Some("the session ended without a result".to_owned()),
        ));
        let status = self.pictures.last_of(&self.endpoint, exit, Instant::now());
        let (former, in_order) = (self.pictures.former_bytes(), self.again.in_order());
        let error = error.map(|error| with_remains(&error, &status, former, in_order));
        (exit, error, status)
    }

    /// Tells the session what the parts of this receiver do with their time.
    fn tell_effort(&mut self, now: Instant) {
        let effort = self.spent.effort(now);
        let writing = self.writer.as_ref().map(|writer| writer.writing(now));
        let session = self.endpoint.session_mut();
        session.handle_effort(effort, writing.unwrap_or_default());
    }

    /// Sleeps until something happens. `None`: look at every socket.
    fn sleep(&mut self) -> Option<Readiness> {
        let now = Instant::now();
        self.spent.on_asleep(now);
        let waited = self.wait(now);
        self.spent.on_awake(Instant::now());
        waited
    }

    fn wait(&mut self, now: Instant) -> Option<Readiness> {
        let until = self.endpoint.poll_timeout(now).unwrap_or(now);
        let until = until.min(self.pictures.last() + PICTURE_EVERY);
        let search = self.again.search.poll_timeout(self.endpoint.session());
        let until = search.map_or(until, |search| until.min(search));
        let held = self.again.holds_data().then_some(PICTURE_EVERY);
        let pause = held.or(self.gather.pause());
        if std::mem::take(&mut self.more) {
            return None;
        }
        let waited = match pause {
            // Only the writer ends this wait.
            Some(pause) => self
                .waiter
                .wait(&[], Some(until.min(now + pause)))
                .map(|_| None),
            None => self
                .waiter
                .wait(&self.room.interests(), Some(until))
                .map(Some),
        };
        waited.unwrap_or_else(|error| {
            let text = format!("waiting for the network failed: {error}");
            self.give_up(Exit::Failure, FailCode::Internal, &text);
            None
        })
    }

    fn receive(&mut self, ready: Option<Readiness>) {
        for (i, socket) in self.room.sockets().enumerate() {
            // The first socket is the data's.
            let is_held = i == 0 && self.again.holds_data();
            if is_held || ready.is_some_and(|ready| !ready.readable(i)) {
                continue;
            }
            for batch in 1..=BATCHES_AT_ONCE {
                let messages = match socket.recv(&mut self.batch) {
                    Ok(0) => break,
                    Ok(messages) => messages,
                    Err(error) => {
                        tracing::warn!(%error, "receiving failed");
                        break;
                    }
                };
                self.more |= batch == BATCHES_AT_ONCE;
                let (now, mut datagrams) = (Instant::now(), 0);
                let mut coming = self.batch.datagrams().peekable();
                while let Some((from, datagram)) = coming.next() {
                    if let Some((_, next)) = coming.peek() {
                        self.endpoint.prefetch(next);
                    }
                    self.endpoint.handle_datagram(now, datagram);
                    if self.again.search.is_searching() {
                        let session = self.endpoint.session();
                        let search = &mut self.again.search;
                        search.handle_datagram(now, from, datagram, session);
                    }
                    datagrams += 1;
                }
                self.gather.on_received(messages, datagrams);
            }
        }
    }

    fn take_checked(&mut self) {
        while let Some(checked) = self.checker.as_ref().and_then(Checker::poll) {
            let Checked {
                block,
                finding,
                bytes,
                unreadable,
            } = checked;
            self.pictures.on_checked(unreadable);
            self.endpoint
                .session_mut()
                .handle_checked(Instant::now(), block, finding, bytes);
        }
    }

    fn take_done(&mut self) {
        while let Some(done) = self.writer.as_ref().and_then(Writer::poll) {
            let now = Instant::now();
            let Some(done) = self.take_former(done) else {
                continue;
            };
            match done {
                Done::Written {
                    block,
                    buffer,
                    symbols,
                    bytes,
                    busy,
                    decoding,
                    ..
                } => {
                    self.spent.on_decoded(decoding);
                    self.endpoint.give_back(buffer, symbols);
                    self.endpoint
                        .session_mut()
                        .handle_written(now, block, bytes, busy);
                }
                Done::Bad {
                    block,
                    esis,
                    buffer,
                    symbols,
                } => {
                    self.endpoint.give_back(buffer, symbols);
                    self.endpoint.handle_bad_block(block, &esis);
                }
                Done::Zeroed(zeroed) => self.endpoint.session_mut().handle_zeroed(now, zeroed),
                Done::Fitted(notes) => self.tell_fitted(&notes),
                Done::CannotDiscard => {
                    self.pictures.on_cannot_discard();
                    self.tell(Severity::Warn, CANNOT_DISCARD.to_owned());
                }
                Done::Flushed => self.endpoint.session_mut().handle_flushed(now),
                Done::Verifying { bytes } => self.endpoint.session_mut().handle_verifying(bytes),
                Done::Verified(read_back) => {
                    self.pictures.on_verified(read_back);
                    self.endpoint.session_mut().handle_verified(now, read_back);
                }
                Done::Different(difference) => {
                    let session = self.endpoint.session_mut();
                    session.handle_difference(now, &difference);
                }
                Done::Forgotten => {}
                Done::Failed(error) => {
                    let exit = if error.is_refusal() {
                        Exit::Refused
                    } else {
                        Exit::Failure
                    };
                    self.give_up(exit, FailCode::TargetFailed, &error.to_string());
                }
            }
        }
    }

    fn take_commands(&mut self) {
        while let Ok(Command::Interrupt) = self.commands.try_recv() {
            self.give_up(
                Exit::Interrupted,
                FailCode::Interrupted,
                "interrupted at the receiver",
            );
        }
    }

    fn write(&self, work: Work) {
        if let Some(writer) = &self.writer {
            writer.push(work);
        }
    }

    fn transmit(&mut self) {
        while self.endpoint.poll_transmit(Instant::now(), &mut self.out) {
            self.room.send_to(self.sender, &self.out);
        }
    }

    fn picture(&mut self) {
        let now = Instant::now();
        if now >= self.pictures.last() + PICTURE_EVERY {
            self.endpoint
                .session_mut()
                .handle_socket_drops(now, self.room.drops());
            self.room.renew(now, self.sender.ip());
            let status = self.pictures.take(&self.endpoint, now);
            let _ = self.updates.send(Update::Status(status));
        }
    }

    pub(crate) fn tell(&self, severity: Severity, text: String) {
        // Nobody listening is no reason to stop.
        let _ = self.updates.send(Update::Line(severity, text));
    }
}
