//! A machine of the room: its link, its disk, and the receivers that run on it one after another.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mimeo_protocol::ids::Mac;
use mimeo_protocol::keys::{Secret, VerifyingKey};
use mimeo_protocol::manifest::Entry;
use mimeo_protocol::receiver::{RendezvousConfig, Resume, Unused};
use mimeo_protocol::wire::{Auth, Effort, FailCode, ReadBack};

use super::own_clock::OwnClock;
use super::{Completion, Dice, DiskProfile, Ending, Image, Incarnation, Link, LinkProfile, Target};

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
    /// What its processor takes for a datagram; while it works others wait in the socket.
    pub work: Duration,
    /// How it hopes to be admitted.
    pub auth: Auth,
    /// Its key file.
    pub secret: Option<Secret>,
    /// The only sender that it takes anything from.
    pub sender_key: Option<VerifyingKey>,
    /// Its interface has no hardware address.
    pub nameless: bool,
    /// It says to be the machine of this number.
    pub poses_as: Option<u16>,
    /// Its disk is a pipe that somebody reads.
    pub piped: bool,
    /// What becomes of what its disk holds.
    pub resume: Resume,
    /// What its disk holds; without an image, nothing.
    pub holds: Option<Image>,
    /// It gives up after this long without a word of the sender.
    pub idle_timeout: Duration,
    /// It reads its disk back before it confirms; not one that discards.
    pub verify: bool,
    /// What becomes of what its disk holds where the image is unused.
    pub unused: Unused,
}

impl Default for MachineProfile {
    fn default() -> Self {
        Self {
            down: LinkProfile::default(),
            up: LinkProfile::default(),
            disk: DiskProfile::default(),
            buffers: 256,
            window: 2048,
            work: Duration::ZERO,
            auth: Auth::Open,
            secret: None,
            sender_key: None,
            poses_as: None,
            nameless: false,
            piped: false,
            resume: Resume::Off,
            holds: None,
            idle_timeout: Duration::from_secs(60),
            verify: false,
            unused: Unused::Keep,
        }
    }
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
    /// All that the program does is by this clock; only the room's events are by the room's.
    pub(super) clock: OwnClock,
    dice: Dice,
    /// What waits in the socket while nobody reads it; `None` while somebody does.
    stopped: Option<VecDeque<Rc<[u8]>>>,
    dropped: u32,
    /// When the processor has done with everything that waits, and what waits.
    busy_until: Option<Instant>,
    waiting: u32,
    effort: Spent,
    /// What the disk did while the machine stood still, each in one of the program's lives and
    /// session of that.
    pub(super) held: Vec<((usize, u32), Completion)>,
}

/// How long the parts of a receiver worked, and what the disk took.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    session: Duration,
    disk: Duration,
    disk_bytes: u64,
}

/// What a machine did when it was driven: datagrams for the sender, and work of its disk.
#[derive(Debug, Default)]
pub(super) struct Doings {
    pub(super) datagrams: Vec<Vec<u8>>,
    pub(super) disk: Vec<(Instant, Completion)>,
    /// Of so many sessions it was a member when the work was begun.
    pub(super) sessions: u32,
}

impl Machine {
    /// A machine that is switched off.
    #[must_use]
    pub fn new(index: u16, profile: MachineProfile, mut dice: Dice) -> Self {
        let [high, low] = index.to_be_bytes();
        Self {
            up: Link::new(profile.up, dice.fork()),
            down: Link::new(profile.down, dice.fork()),
            target: Target::new(profile.disk, profile.unused, profile.holds.as_ref()),
            lives: Vec::new(),
            address: SocketAddr::from(([10, 0, high + 1, low], 50_000)),
            alarm: None,
            clock: OwnClock::default(),
            dice,
            stopped: None,
            dropped: 0,
            busy_until: None,
            waiting: 0,
            effort: Spent::default(),
            held: Vec::new(),
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
        let now = self.clock.shows(now);
        let mac = self.address.port().to_be_bytes();
        let SocketAddr::V4(v4) = self.address else {
            unreachable!("addresses of the room are IPv4")
        };
        let [_, _, mut high, mut low] = v4.ip().octets();
        if let Some(other) = self.profile.poses_as {
            [high, low] = other.to_be_bytes();
            high += 1;
        }
        let config = RendezvousConfig {
            session_name: None,
            auth: self.profile.auth,
            secret: self.profile.secret.clone(),
            sender_key: self.profile.sender_key,
            seed: Secret::new(self.dice.bytes()),
            mac: match self.profile.nameless {
                true => Mac::default(),
                false => Mac([2, 0, mac[0], mac[1], high, low]),
            },
            target_id: 1,
            link_speed: 1000,
            capacity: None,
            resumes: self.profile.resume != Resume::Off,
            piped: self.profile.piped,
            host_name: host.to_owned(),
            sender: None,
            instead_of: None,
        };
        self.stopped = None;
        self.dropped = 0;
        self.waiting = 0;
        self.busy_until = None;
        self.effort = Spent::default();
        self.lives.push(Incarnation::new(now, config));
    }

    pub(super) fn end(&mut self, now: Instant, ending: Ending) {
        let now = self.clock.shows(now);
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

    /// A datagram reaches the socket. Returns when the program gets to it; `None` if the socket is
    /// full.
    pub(super) fn accept(&mut self, now: Instant) -> Option<Instant> {
        if self.profile.work.is_zero() {
            return Some(now);
        }
        if self.waiting >= self.profile.window {
            self.dropped += 1;
            return None;
        }
        self.waiting += 1;
        let at = self.busy_until.map_or(now, |at| at.max(now)) + self.profile.work;
        self.busy_until = Some(at);
        Some(at)
    }

    /// The program has got to a datagram that waited.
    pub(super) fn on_reached(&mut self) {
        if !self.profile.work.is_zero() {
            self.waiting = self.waiting.saturating_sub(1);
            self.effort.session += self.profile.work;
        }
    }

    /// What its parts did, and how long the write under way has lasted.
    fn told_effort(&mut self, now: Instant) -> (Effort, Duration) {
        let ms = |time: Duration| time.as_millis() as u32;
        let writing = self.target.writing(now);
        // Behind a pipe there is no disk that anybody could watch.
        let disk = match self.profile.piped {
            true => Spent::default(),
            false => self.effort,
        };
        let effort = Effort {
            decode_ms: 0,
            session_ms: ms(self.effort.session),
            disk_bytes: disk.disk_bytes,
            disk_ms: ms(disk.disk) + if self.profile.piped { 0 } else { ms(writing) },
        };
        (effort, writing)
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
        let now = self.clock.shows(now);
        let (dropped, (effort, writing)) = (self.dropped, self.told_effort(now));
        let Some(life) = self.life_mut() else { return };
        match &mut life.endpoint {
            Some(endpoint) => {
                endpoint.session_mut().handle_socket_drops(now, dropped);
                endpoint.session_mut().handle_effort(effort, writing);
                endpoint.handle_datagram(now, datagram);
                if let Some(again) = &mut life.again {
                    again.handle_datagram(now, from, datagram, endpoint.session());
                }
            }
            None => life.rendezvous.handle_datagram(now, from, datagram),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.shows(now);
        let Some(life) = self.life_mut() else { return };
        match &mut life.endpoint {
            Some(endpoint) => {
                endpoint.handle_timeout(now);
                if let Some(again) = &mut life.again {
                    again.handle_timeout(now, endpoint.session());
                }
            }
            None => life.rendezvous.handle_timeout(now),
        }
    }

    /// The disk has done something for the given run of the program.
    pub(super) fn handle_disk(
        &mut self,
        now: Instant,
        (life, sessions): (usize, u32),
        done: &Completion,
        image: &Image,
    ) {
        if life + 1 != self.lives.len() {
            return;
        }
        let now = self.clock.shows(now);
        let target = &self.target;
        let Some(life) = self.lives.last_mut().filter(|life| life.ending.is_none()) else {
            return;
        };
        let (bytes, busy) = match done {
            Completion::Written { bytes, busy, .. } => (*bytes, *busy),
            Completion::Zeroed(zeroed) => (zeroed.written, zeroed.busy),
            _ => (0, Duration::ZERO),
        };
        self.effort.disk += busy;
        self.effort.disk_bytes += bytes;
        let failing = life.is_failing();
        let Some(endpoint) = life.endpoint.as_mut().filter(|_| !failing) else {
            return;
        };
        let session = endpoint.session_mut();
        if sessions != life.sessions {
            match done {
                Completion::Written { entry, .. } => {
                    session.note_former(&Entry::Block(entry.clone()));
                }
                Completion::Zeroed(zeroed) => session.note_former(&Entry::Zero(zeroed.run)),
                Completion::Failed => life.fail(now, FailCode::TargetFailed, "the disk is broken"),
                _ => {}
            }
            return;
        }
        match done {
            &Completion::Written {
                block, bytes, busy, ..
            } => session.handle_written(now, block, bytes, busy),
            &Completion::Zeroed(zeroed) => session.handle_zeroed(now, zeroed),
            &Completion::Checked {
                block,
                finding,
                bytes,
            } => session.handle_checked(now, block, finding, bytes),
            Completion::Flushed => {
                life.identical = target.holds(image);
                session.handle_flushed(now);
            }
            Completion::Verifying(bytes) => session.handle_verifying(*bytes),
            Completion::Verified => session.handle_verified(now, ReadBack::Direct),
            Completion::Different(difference) => session.handle_difference(now, difference),
            Completion::Failed => life.fail(now, FailCode::TargetFailed, "the disk is broken"),
        }
    }

    /// The person in front of the machine gives up.
    pub(super) fn interrupt(&mut self, now: Instant) {
        let now = self.clock.shows(now);
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
        let shown = self.clock.shows(now);
        life.search_again(shown, &self.profile, dice, doings);
        life.search(shown, &self.profile, dice, doings);
        life.take_part(shown, &mut self.target, doings);
        doings.sessions = life.sessions;
        for (at, _) in &mut doings.disk {
            *at = self.clock.when(now, *at);
        }
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let life = self.life().filter(|_| !self.is_paused())?;
        let at = match &life.endpoint {
            Some(endpoint) => {
                let again = life.again.as_ref();
                let again = again.and_then(|again| again.poll_timeout(endpoint.session()));
                let own = endpoint.poll_timeout(self.clock.shows(now));
                own.into_iter().chain(again).min()
            }
            None => life.rendezvous.poll_timeout(),
        }?;
        Some(self.clock.when(now, at))
    }
}
