//! A machine of the room: its link, its disk, and the receivers that run on it one after another.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mimeo_protocol::ids::{Mac, Nonce, ReceiverNumber};
use mimeo_protocol::keys::Secret;
use mimeo_protocol::receiver::{
    Assembled, Endpoint, Event, Failure, Rendezvous, RendezvousConfig, RendezvousEvent,
    SessionConfig,
};
use mimeo_protocol::wire::{Auth, FailCode, WelcomeBody};

use super::{Completion, Dice, DiskProfile, Image, Link, LinkProfile, Target};

/// What a machine is like.
#[derive(Debug, Clone)]
pub struct MachineProfile {
    /// From the sender.
    pub down: LinkProfile,
    /// To the sender.
    pub up: LinkProfile,
    /// Its disk.
    pub disk: DiskProfile,
    /// Block buffers; fewer than 64 are not offered by any option.
    pub buffers: u32,
    /// Datagrams that its socket holds while nobody reads.
    pub window: u32,
    /// How it hopes to be admitted.
    pub auth: Auth,
    /// Its key file.
    pub secret: Option<Secret>,
    /// It gives up after this long without a word of the sender.
    pub idle_timeout: Duration,
}

impl Default for MachineProfile {
    fn default() -> Self {
        Self {
            down: LinkProfile::default(),
            up: LinkProfile::default(),
            disk: DiskProfile::default(),
            buffers: 256,
            window: 2048,
            auth: Auth::Open,
            secret: None,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// How a receiver ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It has the image; the flag says whether the sender knows.
    Finished {
        /// Whether the sender acknowledged.
        acknowledged: bool,
    },
    /// It failed, and says why.
    Failed(Failure),
    /// It was not admitted, and says why.
    Refused(String),
    /// The machine was switched off under it.
    Killed,
}

/// One run of the receiver's program.
#[derive(Debug)]
pub struct Incarnation {
    /// Its search, until it is admitted.
    pub rendezvous: Rendezvous,
    /// Its membership.
    pub endpoint: Option<Endpoint>,
    /// Its number.
    pub number: Option<ReceiverNumber>,
    /// What the rendezvous told on the way.
    pub told: Vec<String>,
    /// What the welcome said.
    pub welcome: Option<WelcomeBody>,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Whether the disk held the image, byte for byte, when it was flushed.
    pub identical: bool,
    /// Its own failure, which it still tells the sender.
    failing: Option<Failure>,
}

/// A machine.
pub struct Machine {
    /// What it is like.
    pub profile: MachineProfile,
    /// To the sender.
    pub up: Link,
    /// From the sender.
    pub down: Link,
    /// Its disk.
    pub target: Target,
    /// Every run of the program, the last may be running.
    pub lives: Vec<Incarnation>,
    /// Where it is reached.
    pub address: SocketAddr,
    pub(super) alarm: Option<Instant>,
    dice: Dice,
    /// What waits in the socket while nobody reads it; `None` while somebody does.
    stopped: Option<VecDeque<Rc<[u8]>>>,
    dropped: u32,
}

/// What a machine did when it was driven: datagrams for the sender, and work of its disk.
#[derive(Debug, Default)]
pub(super) struct Doings {
    pub(super) datagrams: Vec<Vec<u8>>,
    pub(super) disk: Vec<(Instant, Completion)>,
}

impl Machine {
    /// A machine that is switched off.
    #[must_use]
    pub fn new(index: u16, profile: MachineProfile, mut dice: Dice) -> Self {
        let [high, low] = index.to_be_bytes();
        Self {
            up: Link::new(profile.up, dice.fork()),
            down: Link::new(profile.down, dice.fork()),
            target: Target::new(profile.disk),
            lives: Vec::new(),
            address: SocketAddr::from(([10, 0, high + 1, low], 50_000)),
            alarm: None,
            dice,
            stopped: None,
            dropped: 0,
            profile,
        }
    }

    /// The receiver that runs now.
    #[must_use]
    pub fn life(&self) -> Option<&Incarnation> {
        self.lives.last().filter(|life| life.ending.is_none())
    }

    /// The last run that there was.
    ///
    /// # Panics
    ///
    /// If there was none.
    #[must_use]
    pub fn last(&self) -> &Incarnation {
        self.lives.last().expect("the machine was started")
    }

    fn life_mut(&mut self) -> Option<&mut Incarnation> {
        self.lives.last_mut().filter(|life| life.ending.is_none())
    }

    pub(super) fn start(&mut self, now: Instant, host: &str) {
        let mac = self.address.port().to_be_bytes();
        let SocketAddr::V4(v4) = self.address else {
            unreachable!("addresses of the room are IPv4")
        };
        let [_, _, high, low] = v4.ip().octets();
        let config = RendezvousConfig {
            session_name: None,
            auth: self.profile.auth,
            secret: self.profile.secret.clone(),
            nonce: Nonce(self.dice.bytes()),
            mac: Mac([2, 0, mac[0], mac[1], high, low]),
            target_id: 1,
            link_speed: 1000,
            capacity: None,
            host_name: host.to_owned(),
            sender: None,
        };
        self.stopped = None;
        self.dropped = 0;
        self.lives.push(Incarnation {
            rendezvous: Rendezvous::new(now, config),
            endpoint: None,
            number: None,
            told: Vec::new(),
            welcome: None,
            ended_at: None,
            ending: None,
            identical: false,
            failing: None,
        });
    }

    pub(super) fn end(&mut self, now: Instant, ending: Ending) {
        if let Some(life) = self.life_mut() {
            life.ending = Some(ending);
            life.ended_at = Some(now);
            // A flush under way dies with the program.
            self.stopped = None;
        }
    }

    /// The program stands still; its socket fills.
    pub(super) fn pause(&mut self) {
        self.stopped.get_or_insert_default();
    }

    /// The program goes on; returns what its socket held.
    pub(super) fn resume(&mut self) -> VecDeque<Rc<[u8]>> {
        self.stopped.take().unwrap_or_default()
    }

    /// Whether the program stands still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.stopped.is_some()
    }

    pub(super) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &Rc<[u8]>) {
        if let Some(socket) = &mut self.stopped {
            if socket.len() < self.profile.window as usize {
                socket.push_back(Rc::clone(datagram));
            } else {
                self.dropped += 1;
            }
            return;
        }
        let dropped = self.dropped;
        let Some(life) = self.life_mut() else { return };
        match &mut life.endpoint {
            Some(endpoint) => {
                endpoint.session_mut().handle_socket_drops(dropped);
                endpoint.handle_datagram(now, datagram);
            }
            None => life.rendezvous.handle_datagram(now, from, datagram),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let Some(life) = self.life_mut() else { return };
        match &mut life.endpoint {
            Some(endpoint) => endpoint.handle_timeout(now),
            None => life.rendezvous.handle_timeout(now),
        }
    }

    /// The disk has done something for the given run of the program.
    pub(super) fn handle_disk(
        &mut self,
        now: Instant,
        life: usize,
        done: &Completion,
        image: &Image,
    ) {
        if life + 1 != self.lives.len() {
            return;
        }
        let target = &self.target;
        let Some(life) = self.lives.last_mut().filter(|life| life.ending.is_none()) else {
            return;
        };
        let Some(endpoint) = life.endpoint.as_mut().filter(|_| life.failing.is_none()) else {
            return;
        };
        let session = endpoint.session_mut();
        match *done {
            Completion::Written { block, bytes, busy } => {
                session.handle_written(now, block, bytes, busy);
            }
            Completion::Zeroed { bytes, busy } => session.handle_zeroed(now, bytes, busy, true),
            Completion::Flushed => {
                life.identical = target.holds(image);
                session.handle_flushed(now);
            }
            Completion::Failed => life.fail(now, FailCode::TargetFailed, "the disk is broken"),
        }
    }

    /// The person in front of the machine gives up.
    pub(super) fn interrupt(&mut self, now: Instant) {
        if let Some(life) = self.life_mut() {
            life.fail(now, FailCode::Interrupted, "interrupted");
        }
    }

    /// Does what is to be done now.
    pub(super) fn drive(&mut self, now: Instant, doings: &mut Doings) {
        if self.is_paused() {
            return;
        }
        let dice = &mut self.dice;
        let Some(life) = self.lives.last_mut().filter(|life| life.ending.is_none()) else {
            return;
        };
        life.search(now, &self.profile, dice, doings);
        life.take_part(now, &mut self.target, doings);
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let life = self.life().filter(|_| !self.is_paused())?;
        match &life.endpoint {
            Some(endpoint) => endpoint.poll_timeout(now),
            None => life.rendezvous.poll_timeout(),
        }
    }
}

impl Incarnation {
    fn fail(&mut self, now: Instant, code: FailCode, text: &str) {
        let text = text.to_owned();
        match &mut self.endpoint {
            Some(endpoint) => {
                endpoint.session_mut().handle_failure(now, code, &text);
                self.failing = Some(Failure { code, text });
            }
            None => self.end(now, Ending::Failed(Failure { code, text })),
        }
    }

    fn end(&mut self, now: Instant, ending: Ending) {
        if self.ending.is_none() {
            self.ending = Some(ending);
            self.ended_at = Some(now);
        }
    }

    fn search(
        &mut self,
        now: Instant,
        profile: &MachineProfile,
        dice: &mut Dice,
        doings: &mut Doings,
    ) {
        let mut out = Vec::new();
        while self.endpoint.is_none() && self.ending.is_none() {
            if self.rendezvous.poll_transmit(now, &mut out).is_some() {
                doings.datagrams.push(out.clone());
                continue;
            }
            match self.rendezvous.poll_event() {
                None => return,
                Some(RendezvousEvent::Joined(admitted)) => {
                    let config = SessionConfig {
                        buffers: profile.buffers,
                        window: profile.window,
                        in_order: false,
                        idle_timeout: profile.idle_timeout,
                        seed: dice.next(),
                        image_len: admitted.body.image_len,
                    };
                    self.number = Some(admitted.number);
                    self.welcome = Some(admitted.body.clone());
                    self.endpoint = Some(Endpoint::new(now, config, *admitted));
                }
                Some(
                    event @ (RendezvousEvent::Rejected { .. }
                    | RendezvousEvent::WrongKey
                    | RendezvousEvent::Ambiguous { .. }),
                ) => self.end(now, Ending::Refused(format!("{event:?}"))),
                Some(event) => self.told.push(format!("{event:?}")),
            }
        }
    }

    fn take_part(&mut self, now: Instant, target: &mut Target, doings: &mut Doings) {
        let mut out = Vec::new();
        while let Some(endpoint) = self.endpoint.as_mut() {
            if let Some(event) = endpoint.poll_event() {
                self.handle_event(now, event, target, doings);
            } else if endpoint.poll_transmit(now, &mut out) {
                doings.datagrams.push(out.clone());
            } else {
                return;
            }
        }
    }

    fn handle_event(
        &mut self,
        now: Instant,
        event: Event,
        target: &mut Target,
        doings: &mut Doings,
    ) {
        let failing = self.failing.is_some();
        match event {
            Event::Started | Event::NoGroupData => self.told.push(format!("{event:?}")),
            Event::Block {
                block,
                buffer,
                esis,
                entry,
            } => {
                let endpoint = self.endpoint.as_mut().expect("only members have events");
                let symbols = endpoint.take(buffer).expect("a whole block has a buffer");
                let mut assembled = Assembled {
                    block,
                    entry,
                    esis,
                    symbols,
                    buffer,
                };
                let len = self.welcome.as_ref().and_then(|welcome| welcome.image_len);
                let done = (!failing).then(|| target.write(now, len, &mut assembled));
                endpoint.give_back(buffer, assembled.symbols);
                match done {
                    Some(Some(done)) => doings.disk.push(done),
                    Some(None) => endpoint.session_mut().handle_bad_block(now, block),
                    None => {}
                }
            }
            Event::Zero(_) | Event::Flush { .. } if failing => {}
            Event::Zero(run) => doings.disk.push(target.zero(now, run)),
            Event::Flush { image_len } => doings.disk.push(target.flush(now, image_len)),
            Event::Finished { acknowledged } => self.end(now, Ending::Finished { acknowledged }),
            // The sender is told before the program ends.
            Event::Failed(failure) => self.failing = Some(failure),
            Event::Left => {
                let failure = self.failing.clone().expect("it leaves because it failed");
                self.end(now, Ending::Failed(failure));
            }
        }
    }
}
