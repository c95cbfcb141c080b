//! A room and everything that happens in it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mimeo_protocol::ids::{Cycle, Mac, ReceiverNumber};
use mimeo_protocol::keys::Secret;
use mimeo_protocol::sender::{About, MemberState, Phase};
use mimeo_protocol::wire::{SymbolKind, ToSender, WelcomeBody};

use super::cable::Cable;
use super::figures::Figures;
use super::machine::{Burst, Machine};
use super::operator::{Operator, Sent, signer};
use super::setting::{SLOW_DISK, Setting, Starts};
use crate::sim::{Dice, Timeline};

/// Header and tag of a sealed datagram to the sender.
const ENVELOPE: usize = 12 + 16;

/// Those who start together join within this time.
const JOINING: Duration = Duration::from_secs(2);

/// The sender's books are looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A room did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("no end after {0:?}: {1} of {2} receivers have confirmed")]
pub struct NoEnd(Duration, usize, u16);

enum Event {
    Join(usize),
    OperatorAlarm(Instant),
    MachineAlarm(usize, Instant),
    Arrival(Sent),
    /// Of the machine with this index.
    Feedback(usize, Vec<u8>),
    Look,
}

struct Room {
    setting: Setting,
    timeline: Timeline<Event>,
    operator: Operator,
    machines: Vec<Machine>,
    /// From the switch to the sender.
    downlink: Cable,
    tally: Tally,
    sent: Vec<(Instant, Sent)>,
    feedback: Vec<ToSender>,
    work: Duration,
}

/// What is counted while the room runs.
#[derive(Default)]
struct Tally {
    /// Datagrams to the sender in each second from the first data on.
    feedback: Vec<u64>,
    needless_symbols: u64,
    /// Blocks of later cycles, and whether they were of use.
    again: HashMap<(Cycle, u32), bool>,
    last_join: Duration,
    state_bytes: usize,
}

/// Runs a room to its end. Beside its figures it tells how long this machine has worked for the
/// sender, which differs from run to run.
///
/// # Errors
///
/// It did not come to its end in twenty times the time that its image takes on the cable, and a
/// minute.
pub fn run(setting: &Setting) -> Result<(Figures, Duration), NoEnd> {
    let mut room = Room::new(*setting);
    let limit = 20 * setting.wire_time() + Duration::from_secs(60);
    while *room.operator.session.phase() != Phase::Over {
        let event = room.timeline.advance();
        let event = event.filter(|_| room.timeline.elapsed() < limit);
        let Some(event) = event else {
            let confirmed = room.confirmed();
            return Err(NoEnd(room.timeline.elapsed(), confirmed, setting.receivers));
        };
        room.handle(event);
    }
    Ok((room.figures(), room.work))
}

impl Room {
    fn new(setting: Setting) -> Self {
        let timeline = Timeline::default();
        let now = timeline.now();
        // The size of the room and its loss change everybody's luck, nothing else does.
        let mut dice = Dice::new(u64::from(setting.receivers) << 32 | (setting.loss * 1e6) as u64);
        let machine = |index| {
            let (slowest, fastest) = setting.disks;
            // There is always one with the slowest disk, or luck would decide on the time.
            let speed = match index {
                0 => slowest,
                _ => dice.between(slowest, fastest),
            };
            let is_slow = index >= setting.receivers - setting.slow;
            let speed = if is_slow { SLOW_DISK } else { speed };
            Machine::new(now, setting.loss, speed, dice.fork(), setting.image)
        };
        let machines: Vec<Machine> = (0..setting.receivers).map(machine).collect();
        let mut room = Self {
            setting,
            operator: Operator::new(now, &setting, dice.fork()),
            machines,
            downlink: Cable::new(now, setting.cable),
            tally: Tally::default(),
            sent: Vec::new(),
            feedback: Vec::new(),
            work: Duration::ZERO,
            timeline,
        };
        let within = match setting.starts {
            Starts::Together => JOINING,
            Starts::Spread => setting.wire_time(),
        };
        for machine in 0..room.machines.len() {
            let at = if machine == 0 { 0.0 } else { dice.unit() };
            room.timeline
                .after(within.mul_f64(at), Event::Join(machine));
        }
        room.timeline.after(LOOK_EVERY, Event::Look);
        room.drive_operator();
        room
    }

    fn handle(&mut self, event: Event) {
        let now = self.timeline.now();
        match event {
            Event::Join(machine) => self.join(machine),
            Event::OperatorAlarm(at) if self.operator.alarm == Some(at) => {
                let started = Instant::now();
                self.operator.alarm = None;
                self.operator.session.handle_timeout(now);
                self.work += started.elapsed();
                self.drive_operator();
            }
            Event::MachineAlarm(machine, at) if self.machines[machine].alarm == Some(at) => {
                self.machines[machine].alarm = None;
                self.machines[machine].handle_timeout(now);
                self.drive_machine(machine);
            }
            Event::OperatorAlarm(_) | Event::MachineAlarm(..) => {}
            Event::Arrival(Sent::Burst(burst)) => self.spread_burst(&burst),
            Event::Arrival(Sent::Control(seq, control)) => {
                for machine in 0..self.machines.len() {
                    self.machines[machine].handle_control(now, seq, &control);
                    self.drive_machine(machine);
                }
            }
            Event::Arrival(Sent::Message(machine, message)) => {
                self.machines[machine].handle_message(now, message);
                self.drive_machine(machine);
            }
            Event::Feedback(machine, bytes) => {
                let message = ToSender::decode(&bytes).expect("it was encoded by its receiver");
                let from = number(machine);
                let started = Instant::now();
                self.operator.session.handle_message(now, from, message);
                self.work += started.elapsed();
                self.drive_operator();
            }
            Event::Look => {
                let bytes = self.operator.session.state_bytes() / self.machines.len();
                self.tally.state_bytes = self.tally.state_bytes.max(bytes);
                self.timeline.after(LOOK_EVERY, Event::Look);
            }
        }
    }

    fn join(&mut self, machine: usize) {
        let now = self.timeline.now();
        let session = &mut self.operator.session;
        let position = session.position();
        let welcome = WelcomeBody {
            group: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            group_key: Secret::new([0; 32]),
            sender_key: signer().key.verifying_key(),
            image_len: session.image_len(),
            cycle: position.cycle,
            slot: position.slot,
            begun: session.begun(),
            receivers: position.receivers,
            needs: None,
        };
        let index = u32::try_from(machine).expect("rooms have at most 65,535 receivers");
        let [_, _, high, low] = index.to_be_bytes();
        let about = About {
            host_name: format!("classroom-pc{machine:04}"),
            mac: Mac([2, 0, 0, 0, high, low]),
            target_id: 1,
            resumes: false,
            piped: false,
            link_speed: u32::try_from(self.setting.cable / 1_000_000)
                .expect("it is a port's speed"),
            capacity: u64::MAX,
            address: SocketAddr::from((Ipv4Addr::new(10, 0, high + 1, low), 50_000)),
        };
        session.handle_admitted(now, number(machine), about);
        self.machines[machine].join(now, &welcome);
        if let Some(first) = self.operator.first_data {
            self.tally.last_join = now - first;
        }
        self.drive_machine(machine);
    }

    fn spread_burst(&mut self, burst: &Burst) {
        let now = self.timeline.now();
        let mut used = 0;
        for machine in 0..self.machines.len() {
            used |= self.machines[machine].handle_burst(now, burst, &self.operator.pages);
            self.drive_machine(machine);
        }
        for (i, symbol) in burst.symbols.iter().enumerate() {
            let used = used >> i & 1 == 1;
            if symbol.kind == SymbolKind::Block {
                self.tally.needless_symbols += u64::from(!used);
                if burst.cycle > Cycle(1) {
                    *self
                        .tally
                        .again
                        .entry((burst.cycle, symbol.number))
                        .or_default() |= used;
                }
            }
        }
    }

    fn drive_operator(&mut self) {
        let now = self.timeline.now();
        let started = Instant::now();
        self.operator.drive(now, &mut self.sent);
        let wake = self.operator.poll_timeout(now);
        self.work += started.elapsed();
        for (at, sent) in self.sent.drain(..) {
            self.timeline.at(at, Event::Arrival(sent));
        }
        if let Some(at) = wake.filter(|&at| self.operator.alarm.is_none_or(|alarm| at < alarm)) {
            self.operator.alarm = Some(at);
            self.timeline.at(at, Event::OperatorAlarm(at));
        }
    }

    fn drive_machine(&mut self, index: usize) {
        let now = self.timeline.now();
        let machine = &mut self.machines[index];
        let sent = machine.drive(now, &mut self.feedback);
        if sent > 0 {
            self.tally.on_feedback(now, self.operator.first_data, sent);
        }
        for message in self.feedback.drain(..) {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let at = self.downlink.send(now, 1, bytes.len() + ENVELOPE);
            self.timeline.at(at, Event::Feedback(index, bytes));
        }
        let wake = machine.poll_timeout(now);
        if let Some(at) = wake.filter(|&at| machine.alarm.is_none_or(|alarm| at < alarm)) {
            machine.alarm = Some(at);
            self.timeline.at(at, Event::MachineAlarm(index, at));
        }
    }

    fn confirmed(&self) -> usize {
        let members = self.operator.session.roster().members();
        members
            .filter(|(_, member)| member.state == MemberState::Confirmed)
            .count()
    }

    fn figures(&self) -> Figures {
        let blocks = self.setting.blocks();
        for machine in &self.machines {
            assert_eq!(machine.blocks_done(), blocks, "who confirms has everything");
            assert!(
                machine.finished_at.is_some(),
                "the sender has heard everybody"
            );
        }
        let session = &self.operator.session;
        let first = self.operator.first_data.expect("everybody got data");
        let members = session.roster().members();
        let settled: Vec<_> = members
            .map(|(number, member)| (usize::from(number.0) - 1, member.settled_at))
            .collect();
        let last = |is_meant: &dyn Fn(&Machine) -> bool| {
            let meant = settled
                .iter()
                .filter(|&&(index, _)| is_meant(&self.machines[index]));
            let last = meant.filter_map(|&(_, at)| at).max();
            last.map_or(Duration::ZERO, |at| at - first)
        };
        let time = last(&|_| true);
        let seconds = time.as_secs_f64().ceil() as usize;
        let feedback = &self.tally.feedback[..seconds.min(self.tally.feedback.len())];
        Figures {
            time,
            others: last(&|machine| !machine.was_slow),
            last_join: self.tally.last_join,
            counters: session.counters(),
            needless_symbols: self.tally.needless_symbols,
            needless_blocks: self.tally.again.values().filter(|&&used| !used).count() as u64,
            feedback: feedback.iter().sum(),
            feedback_peak: feedback.iter().copied().max().unwrap_or(0),
            cycles: session.position().cycle.0,
            state_bytes: self.tally.state_bytes,
        }
    }
}

impl Tally {
    fn on_feedback(&mut self, now: Instant, first_data: Option<Instant>, datagrams: u64) {
        let Some(first) = first_data else { return };
        let second = now.duration_since(first).as_secs() as usize;
        if self.feedback.len() <= second {
            self.feedback.resize(second + 1, 0);
        }
        self.feedback[second] += datagrams;
    }
}

fn number(machine: usize) -> ReceiverNumber {
    ReceiverNumber(u16::try_from(machine + 1).expect("rooms have at most 65,535 receivers"))
}
