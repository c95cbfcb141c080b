//! The room: everybody in it and everything that happens.

mod senders;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mimeo_protocol::keys::Secret;
use mimeo_protocol::sender::{Destination, Fetch};

use super::machine::Doings as MachineDoings;
use super::{
    Completion, Delivery, Dice, Ending, Image, Machine, MachineProfile, Operator, RoomConfig,
    Sight, Tap, Timeline,
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
    /// Of the sender that was started so many senders after the first.
    Operator(usize, OperatorEvent),
    MachineAlarm(usize, Instant),
    /// To every sender: they share an address.
    ToOperators(usize, Rc<[u8]>),
    ToMachine(usize, Rc<[u8]>),
    /// Of a machine, in the given one of its lives and session of that.
    Disk(usize, (usize, u32), Completion),
    /// A machine's program gets to a datagram that waited in its socket, in one of its lives.
    Reached(usize, usize, Rc<[u8]>),
    Deed(Deed),
}

pub(super) enum OperatorEvent {
    Alarm(Instant),
    Datagram(usize, Rc<[u8]>),
    Read,
    Fetched(Box<Fetch>),
}

/// See the module's page.
pub struct Room {
    /// The sender, the newest if it was started again.
    pub operator: Operator,
    /// Those before it.
    pub former: Vec<Operator>,
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
    /// What happens to senders that stand still.
    suspended: HashMap<usize, Vec<OperatorEvent>>,
    config: RoomConfig,
    trace: DefaultHasher,
}

/// Where the sender is reached.
const SENDER: ([u8; 4], u16) = ([10, 0, 0, 1], 64636);

impl Room {
    /// A room with a sender and nobody else.
    #[must_use]
    pub fn new(config: RoomConfig) -> Self {
        let mut dice = Dice::new(config.seed);
        let secret = Secret::new(dice.bytes());
        let timeline = Timeline::default();
        let mut tap = Tap::new(secret.clone());
        let now = timeline.now();
        let mut room = Self {
            operator: senders::operator(now, &config, &secret, &mut dice, &mut tap),
            former: Vec::new(),
            machines: Vec::new(),
            image: config.image.clone(),
            config,
            tap,
            secret,
            most_pending: 0,
            timeline,
            dice,
            filter: None,
            watched: None,
            suspended: HashMap::new(),
            trace: DefaultHasher::new(),
        };
        room.drive_operator(0);
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

    /// A person interrupts a receiver.
    pub fn interrupt(&mut self, machine: usize) {
        let now = self.timeline.now();
        self.machines[machine].interrupt(now);
        self.drive_machine(machine);
    }

    /// Does something to the sender, as its operator would.
    pub fn operate(&mut self, deed: impl FnOnce(&mut Operator, Instant)) {
        let now = self.operator.clock.shows(self.timeline.now());
        deed(&mut self.operator, now);
        self.drive_operator(self.newest());
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
            .after(Duration::ZERO, Event::ToOperators(machine, datagram.into()));
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
        let mut operators = self.former.iter().chain([&self.operator]);
        operators.all(Operator::is_over)
            && self.machines.iter().all(|machine| machine.life().is_none())
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
        match event {
            Event::Operator(index, event) => self.handle_operator(index, event),
            Event::MachineAlarm(machine, at) => {
                if self.machines[machine].alarm == Some(at) {
                    self.machines[machine].alarm = None;
                    self.wake(machine);
                }
            }
            Event::ToOperators(machine, datagram) => {
                self.note(machine, &datagram);
                for index in 0..=self.newest() {
                    let event = OperatorEvent::Datagram(machine, Rc::clone(&datagram));
                    self.handle_operator(index, event);
                }
            }
            Event::ToMachine(machine, datagram) => self.arrive(machine, datagram),
            Event::Reached(machine, life, datagram) => self.reach(machine, life, &datagram),
            Event::Disk(machine, life, done) if self.machines[machine].is_paused() => {
                self.machines[machine].held.push((life, done));
            }
            Event::Disk(machine, life, done) => {
                let lives = &self.machines[machine].lives;
                let image = lives.get(life.0).map(|life| self.operator_of(life));
                let image = image.map_or(&self.image, |sender| sender.source.image());
                let image = image.clone();
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

    /// A datagram reaches a machine's socket.
    fn arrive(&mut self, machine: usize, datagram: Rc<[u8]>) {
        let now = self.timeline.now();
        self.note(machine, &datagram);
        if let Some((_, seen)) = self.watched.as_mut().filter(|w| w.0 == machine) {
            seen.push(Rc::clone(&datagram));
        }
        let life = self.machines[machine].lives.len();
        match self.machines[machine].accept(now) {
            Some(at) if at > now => {
                self.timeline
                    .at(at, Event::Reached(machine, life, datagram));
            }
            Some(_) => self.reach(machine, life, &datagram),
            None => {}
        }
    }

    fn reach(&mut self, machine: usize, life: usize, datagram: &Rc<[u8]>) {
        let now = self.timeline.now();
        if life == self.machines[machine].lives.len() {
            self.machines[machine].on_reached();
            self.machines[machine].handle_datagram(now, SENDER.into(), datagram);
            self.drive_machine(machine);
        }
    }

    /// Whether two rooms are the same is told by who got which bytes when.
    fn note(&mut self, machine: usize, datagram: &[u8]) {
        (self.timeline.elapsed(), machine, datagram).hash(&mut self.trace);
    }

    fn drive_machine(&mut self, index: usize) {
        let now = self.timeline.now();
        let mut doings = MachineDoings::default();
        let machine = &mut self.machines[index];
        machine.drive(now, &mut doings);
        let life = machine.lives.len().saturating_sub(1);
        for (at, done) in doings.disk {
            let begun = (life, doings.sessions);
            self.timeline.at(at, Event::Disk(index, begun, done));
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
                Direction::Up => Event::ToOperators(machine, bytes),
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
