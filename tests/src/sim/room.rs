//! The room: everybody in it and everything that happens.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mimeo_protocol::ids::SessionId;
use mimeo_protocol::keys::Secret;
use mimeo_protocol::sender::{Destination, Endpoint, EndpointConfig, Fetch, SessionConfig};
use mimeo_protocol::wire::data_group;

use super::machine::Doings as MachineDoings;
use super::operator::Doings as OperatorDoings;
use super::{
    Completion, Delivery, Dice, Ending, Image, Machine, MachineProfile, Operator, RoomConfig,
    Sight, Source, Tap, Timeline,
};

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the sender.
    Down,
    /// To the sender.
    Up,
}

/// A datagram that enters a link, as the tap reads it.
#[derive(Debug)]
pub struct Crossing {
    /// Whose link.
    pub machine: usize,
    /// Which way.
    pub direction: Direction,
    /// What it is.
    pub sight: Sight,
}

type Filter = Box<dyn FnMut(&Crossing) -> bool>;
type Deed = Box<dyn FnOnce(&mut Room)>;

pub(super) enum Event {
    OperatorAlarm(Instant),
    MachineAlarm(usize, Instant),
    ToOperator(usize, Rc<[u8]>),
    ToMachine(usize, Rc<[u8]>),
    Read,
    Fetched(Box<Fetch>),
    /// Of a machine, in the given one of its lives.
    Disk(usize, usize, Completion),
    Deed(Deed),
}

/// See the module's page.
pub struct Room {
    /// The sender.
    pub operator: Operator,
    /// All machines, switched on or not.
    pub machines: Vec<Machine>,
    /// What is sent.
    pub image: Image,
    /// The secret of the session, for a key file.
    pub secret: Secret,
    /// The most datagrams and other events that were under way at a time.
    pub most_pending: usize,
    pub(super) timeline: Timeline<Event>,
    dice: Dice,
    tap: Tap,
    filter: Option<Filter>,
    watched: Option<(usize, Vec<Rc<[u8]>>)>,
    /// What happens to a sender that stands still; `None` while it runs.
    suspended: Option<Vec<Event>>,
    trace: DefaultHasher,
}

/// Datagrams that wait for a sender that stands still.
const SOCKET: usize = 500;

/// Where the sender is reached.
const SENDER: ([u8; 4], u16) = ([10, 0, 0, 1], 64636);

impl Room {
    /// A room with a sender and nobody else.
    #[must_use]
    pub fn new(config: RoomConfig) -> Self {
        let mut dice = Dice::new(config.seed);
        let secret = Secret::new(dice.bytes());
        let session_id = SessionId(dice.bytes());
        let timeline = Timeline::default();
        let endpoint = EndpointConfig {
            session_id,
            session_name: "room".to_owned(),
            auth: config.auth,
            secret: secret.clone(),
            seed: dice.bytes(),
            group: data_group(session_id, false),
        };
        let session = SessionConfig {
            image_len: config.length_known.then_some(config.image.len() as u64),
            seekable: config.seekable,
            start: config.start,
            rate_cap: config.rate_cap,
            parity: config.parity,
            linger: config.linger,
        };
        let endpoint = Endpoint::new(timeline.now(), endpoint, session);
        let source = Source::new(config.image.clone(), config.seekable);
        let mut room = Self {
            operator: Operator::new(endpoint, source, Duration::from_micros(100)),
            machines: Vec::new(),
            image: config.image,
            tap: Tap::new(secret.clone()),
            secret,
            most_pending: 0,
            timeline,
            dice,
            filter: None,
            watched: None,
            suspended: None,
            trace: DefaultHasher::new(),
        };
        room.drive_operator();
        room
    }

    /// Since the sender was started.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.timeline.elapsed()
    }

    /// When the sender was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.timeline.now() - self.timeline.elapsed()
    }

    /// A number that tells two different histories apart.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// Brings in a machine, switched off.
    pub fn add(&mut self, profile: MachineProfile) -> usize {
        let index = u16::try_from(self.machines.len()).expect("rooms are small");
        let machine = Machine::new(index, profile, self.dice.fork());
        self.machines.push(machine);
        usize::from(index)
    }

    /// Brings in a machine and starts a receiver on it.
    pub fn join(&mut self, profile: MachineProfile) -> usize {
        let machine = self.add(profile);
        self.start(machine);
        machine
    }

    /// Starts a receiver on a machine, again if need be.
    pub fn start(&mut self, machine: usize) {
        self.kill(machine);
        let now = self.timeline.now();
        self.machines[machine].start(now, &format!("pc{machine}"));
        self.drive_machine(machine);
    }

    /// Switches a machine off.
    pub fn kill(&mut self, machine: usize) {
        let now = self.timeline.now();
        self.machines[machine].end(now, Ending::Killed);
    }

    /// A machine stands still.
    pub fn pause(&mut self, machine: usize) {
        self.machines[machine].pause();
    }

    /// A machine goes on.
    pub fn resume(&mut self, machine: usize) {
        let now = self.timeline.now();
        self.machines[machine].clock.wake_up(now);
        for datagram in self.machines[machine].resume() {
            self.machines[machine].handle_datagram(now, SENDER.into(), &datagram);
            self.drive_machine(machine);
        }
        for (life, done) in std::mem::take(&mut self.machines[machine].held) {
            self.handle(Event::Disk(machine, life, done));
        }
        self.wake(machine);
    }

    /// The sender's machine stands still.
    pub fn suspend_sender(&mut self) {
        self.suspended.get_or_insert_default();
    }

    /// The sender's machine goes on, and finds what its sockets and disk hold for it.
    pub fn resume_sender(&mut self) {
        self.operator.clock.wake_up(self.timeline.now());
        for event in self.suspended.take().unwrap_or_default() {
            self.handle(event);
        }
        self.drive_operator();
    }

    /// A person interrupts a receiver.
    pub fn interrupt(&mut self, machine: usize) {
        let now = self.timeline.now();
        self.machines[machine].interrupt(now);
        self.drive_machine(machine);
    }

    /// Does something to the sender, as its operator would.
    pub fn operate(&mut self, deed: impl FnOnce(&mut Operator, Instant)) {
        let now = self.sender_now();
        deed(&mut self.operator, now);
        self.drive_operator();
    }

    /// Does something when the time comes, counted from the start of the room.
    pub fn at(&mut self, elapsed: Duration, deed: impl FnOnce(&mut Room) + 'static) {
        let pause = elapsed.saturating_sub(self.timeline.elapsed());
        self.timeline.after(pause, Event::Deed(Box::new(deed)));
    }

    /// From now on a datagram for which this says true is lost.
    pub fn lose(&mut self, filter: impl FnMut(&Crossing) -> bool + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// A datagram from nowhere reaches the sender.
    pub fn throw_at_sender(&mut self, machine: usize, datagram: &[u8]) {
        self.timeline
            .after(Duration::ZERO, Event::ToOperator(machine, datagram.into()));
    }

    /// A datagram from nowhere reaches a machine.
    pub fn throw_at_machine(&mut self, machine: usize, datagram: &[u8]) {
        self.timeline
            .after(Duration::ZERO, Event::ToMachine(machine, datagram.into()));
    }

    /// Keeps what reaches a machine from now on.
    pub fn watch(&mut self, machine: usize) {
        self.watched = Some((machine, Vec::new()));
    }

    /// What reached the machine that is watched.
    #[must_use]
    pub fn watched(&self) -> &[Rc<[u8]>] {
        self.watched
            .as_ref()
            .map_or(&[], |(_, datagrams)| datagrams)
    }

    /// Whether nobody does anything any more.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.operator.is_over() && self.machines.iter().all(|machine| machine.life().is_none())
    }

    /// Runs until everybody has ended. Returns false if that does not happen in time.
    pub fn run(&mut self, limit: Duration) -> bool {
        self.run_until(limit, Self::is_quiet)
    }

    /// Runs until something is true. Returns false if that does not happen in time.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        while !done(self) {
            let Some(event) = self.timeline.advance().filter(|_| self.elapsed() < limit) else {
                return done(self);
            };
            self.most_pending = self.most_pending.max(self.timeline.pending());
            self.handle(event);
        }
        true
    }

    fn handle(&mut self, event: Event) {
        let now = self.timeline.now();
        let of_sender = matches!(
            event,
            Event::OperatorAlarm(_) | Event::ToOperator(..) | Event::Read | Event::Fetched(_)
        );
        if let Some(held) = self.suspended.as_mut().filter(|_| of_sender) {
            if held.len() < SOCKET || !matches!(event, Event::ToOperator(..)) {
                held.push(event);
            }
            return;
        }
        match event {
            Event::OperatorAlarm(at) => {
                if self.operator.alarm == Some(at) {
                    self.operator.alarm = None;
                    self.operator.endpoint.handle_timeout(self.sender_now());
                    self.drive_operator();
                }
            }
            Event::MachineAlarm(machine, at) => {
                if self.machines[machine].alarm == Some(at) {
                    self.machines[machine].alarm = None;
                    self.wake(machine);
                }
            }
            Event::ToOperator(machine, datagram) => {
                self.note(machine, &datagram);
                if !self.operator.is_over() {
                    let from = self.machines[machine].address;
                    let now = self.sender_now();
                    self.operator.endpoint.handle_datagram(now, from, &datagram);
                    self.drive_operator();
                }
            }
            Event::ToMachine(machine, datagram) => {
                self.note(machine, &datagram);
                if let Some((_, seen)) = self.watched.as_mut().filter(|w| w.0 == machine) {
                    seen.push(Rc::clone(&datagram));
                }
                self.machines[machine].handle_datagram(now, SENDER.into(), &datagram);
                self.drive_machine(machine);
            }
            Event::Read => {
                self.operator.handle_read(self.sender_now());
                self.drive_operator();
            }
            Event::Fetched(fetch) => {
                self.operator.handle_fetched(&fetch);
                self.drive_operator();
            }
            Event::Disk(machine, life, done) if self.machines[machine].is_paused() => {
                self.machines[machine].held.push((life, done));
            }
            Event::Disk(machine, life, done) => {
                let image = self.image.clone();
                self.machines[machine].handle_disk(now, life, &done, &image);
                self.drive_machine(machine);
            }
            Event::Deed(deed) => deed(self),
        }
    }

    pub(super) fn wake(&mut self, machine: usize) {
        let now = self.timeline.now();
        if !self.machines[machine].is_paused() {
            self.machines[machine].handle_timeout(now);
        }
        self.drive_machine(machine);
    }

    /// Whether two rooms are the same is told by who got which bytes when.
    fn note(&mut self, machine: usize, datagram: &[u8]) {
        (self.timeline.elapsed(), machine, datagram).hash(&mut self.trace);
    }

    /// The sender's clock.
    fn sender_now(&self) -> Instant {
        self.operator.clock.shows(self.timeline.now())
    }

    pub(super) fn drive_operator(&mut self) {
        if self.suspended.is_some() {
            return;
        }
        let now = self.timeline.now();
        let shown = self.sender_now();
        let mut doings = OperatorDoings::default();
        self.operator.drive(shown, &mut doings);
        for sent in doings.sent {
            for datagram in sent.bytes.chunks(sent.segment) {
                self.send_down(sent.to, datagram);
            }
        }
        for fetch in doings.fetches {
            let event = Event::Fetched(Box::new(fetch));
            self.timeline.after(self.operator.read_time, event);
        }
        if doings.reads {
            self.timeline.after(self.operator.read_time, Event::Read);
        }
        if let Some(at) = self.operator.endpoint.poll_timeout(shown) {
            let at = self.operator.clock.when(now, at).max(now);
            if self.operator.alarm.is_none_or(|alarm| at < alarm) {
                self.operator.alarm = Some(at);
                self.timeline.at(at, Event::OperatorAlarm(at));
            }
        }
    }

    fn drive_machine(&mut self, index: usize) {
        let now = self.timeline.now();
        let mut doings = MachineDoings::default();
        let machine = &mut self.machines[index];
        machine.drive(now, &mut doings);
        let life = machine.lives.len().saturating_sub(1);
        for (at, done) in doings.disk {
            self.timeline.at(at, Event::Disk(index, life, done));
        }
        for datagram in doings.datagrams {
            self.send_up(index, &datagram);
        }
        let machine = &mut self.machines[index];
        if let Some(at) = machine.poll_timeout(now) {
            let at = at.max(now);
            if machine.alarm.is_none_or(|alarm| at < alarm) {
                machine.alarm = Some(at);
                self.timeline.at(at, Event::MachineAlarm(index, at));
            }
        }
    }

    fn send_down(&mut self, to: Destination, datagram: &[u8]) {
        let bytes: Rc<[u8]> = datagram.into();
        for machine in 0..self.machines.len() {
            let is_member = match to {
                Destination::Unicast(to) => self.machines[machine].address == to,
                Destination::ControlGroup | Destination::DataGroup => true,
            };
            if is_member && self.machines[machine].life().is_some() {
                self.cross(machine, Direction::Down, &bytes);
            }
        }
    }

    fn send_up(&mut self, machine: usize, datagram: &[u8]) {
        self.cross(machine, Direction::Up, &datagram.into());
    }

    fn cross(&mut self, machine: usize, direction: Direction, datagram: &Rc<[u8]>) {
        if let Some(filter) = &mut self.filter {
            let sight = self.tap.read(datagram);
            let crossing = Crossing {
                machine,
                direction,
                sight,
            };
            if filter(&crossing) {
                return;
            }
        }
        let now = self.timeline.now();
        let link = match direction {
            Direction::Down => &mut self.machines[machine].down,
            Direction::Up => &mut self.machines[machine].up,
        };
        for delivery in link.send(now, datagram.len()).into_iter().flatten() {
            let bytes = arrived(datagram, delivery);
            let event = match direction {
                Direction::Down => Event::ToMachine(machine, bytes),
                Direction::Up => Event::ToOperator(machine, bytes),
            };
            self.timeline.at(delivery.at, event);
        }
    }
}

/// The bytes of a delivery. Sealed datagrams arrive as the link flipped them; clear ones are
/// dropped instead, as UDP's checksum would: nothing else protects them.
fn arrived(datagram: &Rc<[u8]>, delivery: Delivery) -> Rc<[u8]> {
    const FIRST_SEALED: u8 = 16;
    match delivery.flipped {
        None => Rc::clone(datagram),
        Some(_) if datagram[1] < FIRST_SEALED => Rc::from([].as_slice()),
        Some(bit) => {
            let bit = (bit % (8 * datagram.len() as u64)) as usize;
            let mut bytes = datagram.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes.into()
        }
    }
}
