//! A member that asks for more than it could need: the others lose little time, and it is sent away.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use mimeo_protocol::ids::{ReceiverNumber, SessionId, Slot};
use mimeo_protocol::keys::JoinKeys;
use mimeo_protocol::sender::{Event, MemberState};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, PageNumber};
use mimeo_protocol::wire::{
    ALL_SYMBOLS, Deficit, Effort, FailCode, Kind, Parts, Remedy, Report, Spoiled, Stage, ToSender,
    Welcome, unicast_header,
};
use mimeo_tests::sim::{DiskProfile, Ending, Filling, LinkProfile, MachineProfile, Room};

use common::{LIMIT, config, image, long_room, ms, truth};

/// Speaks for a machine that is switched off, under its keys.
struct Liar {
    machine: usize,
    session: SessionId,
    number: ReceiverNumber,
    keys: JoinKeys,
    /// Numbers of its datagrams, above all that the machine has used.
    sent: Cell<u64>,
    /// What it asks for.
    asks: fn(&mut Report),
}

impl Liar {
    /// Takes the place of a further machine in a room.
    fn join(room: &mut Room, asks: fn(&mut Report)) -> Rc<Self> {
        let machine = room.join(MachineProfile::default());
        room.watch(machine);
        let reports = |room: &Room| {
            let number = room.machines[machine].last().number;
            number.is_some_and(|number| room.member(number) == Some(&MemberState::Active))
        };
        assert!(room.run_until(LIMIT, reports));
        let mut heard = room.watched().iter();
        let welcome = heard.find_map(|datagram| Welcome::decode(datagram).ok());
        let welcome = welcome.expect("who has joined was welcomed");
        let keys = welcome.keys(&room.secret);
        room.kill(machine);
        Rc::new(Self {
            machine,
            session: welcome.session_id,
            number: welcome.number,
            keys,
            sent: Cell::new(1000),
            asks,
        })
    }

    /// All that was sent has come, and nothing of it was of use.
    fn report(&self, room: &Room) -> Report {
        let mut report = Self::report_nothing(room);
        (self.asks)(&mut report);
        report
    }

    fn report_nothing(room: &Room) -> Report {
        let session = room.operator.endpoint.session();
        let (position, seq) = (session.position(), session.last_seq());
        let end = match session.end() {
            Some(end) if position.cycle.0 > 1 => end.blocks,
            _ => position.horizon,
        };
        Report {
            stage: Stage::Receiving,
            seq_seen: seq,
            held_us: 0,
            received: seq.0,
            expected: seq.0,
            socket_drops: 0,
            window: 8192,
            credit: Slot(position.slot.0 + 200),
            blocks_done: 0,
            bytes_written: 0,
            bytes_kept: 0,
            busy_ms: 0,
            bytes_verified: 0,
            effort: Effort::default(),
            buffers: 254,
            turn: 0,
            bad_blocks: 0,
            forged_symbols: 0,
            pages_up_to: PageNumber(0),
            missing_pages: Vec::new(),
            spoiled: Vec::new(),
            complete_up_to: BlockNumber(0),
            covered_up_to: end,
            deficits: Vec::new(),
        }
    }

    /// Reports every few milliseconds for as long as the sender is there.
    fn begin(self: Rc<Self>, room: &mut Room) {
        let report = self.report(room);
        self.say(room, &ToSender::Report(report));
        if !room.operator.is_over() {
            room.at(room.elapsed() + ms(5), move |room| self.begin(room));
        }
    }

    fn say(&self, room: &mut Room, message: &ToSender) {
        let mut plain = Vec::new();
        message.encode(&mut plain);
        let (seq, mut datagram) = (self.sent.get() + 1, Vec::new());
        self.sent.set(seq);
        unicast_header(
            Kind::ToSender,
            self.session.tag(),
            seq,
            self.number,
            &mut datagram,
        );
        self.keys
            .to_sender
            .seal_behind(seq, 0, &plain, &mut datagram);
        room.throw_at_sender(self.machine, &datagram);
    }
}

/// Every symbol of every block.
fn all_symbols(report: &mut Report) {
    let all = Deficit {
        first: BlockNumber(0),
        count: report.covered_up_to.0,
        symbols: ALL_SYMBOLS,
    };
    report.deficits.extend((all.count > 0).then_some(all));
}

/// All blocks of the image are spoiled.
fn spoiled(report: &mut Report, remedy: Remedy) {
    let spoiled = |block| Spoiled {
        block: BlockNumber(block),
        remedy,
    };
    report.spoiled = (0..64).map(spoiled).collect();
}

/// When the first so many machines had the image, since the start of the room.
fn finished(room: &Room, machines: usize) -> Duration {
    let ended = |machine: usize| {
        let life = room.machines[machine].last();
        assert_eq!(life.ending, Some(Ending::Finished { acknowledged: true }));
        life.ended_at.expect("it has ended") - room.started()
    };
    (0..machines).map(ended).max().expect("there are some")
}

#[test]
fn who_asks_for_ever_is_sent_away_and_the_others_lose_little_time() {
    let mut honest = long_room(3);
    truth(&mut honest);
    let mut room = long_room(3);
    let liar = Liar::join(&mut room, all_symbols);
    let number = liar.number;
    room.at(room.elapsed(), move |room| liar.begin(room));
    assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
    assert!(matches!(
        room.member(number),
        Some(MemberState::Failed {
            code: FailCode::TooMuch,
            ..
        })
    ));
    // The pass, as much again for the liar, and 8192 symbols, which are a second.
    let bound = 2 * finished(&honest, 3) + Duration::from_millis(1500);
    assert!(finished(&room, 3) < bound, "{:?}", finished(&room, 3));
    // 64 blocks of 187 symbols and their pages.
    let session = room.operator.endpoint.session();
    let counters = session.counters();
    let sent = counters.pass_symbols + counters.repair_symbols;
    let budget = 8 * counters.symbols_needed + 65_536;
    assert!(sent > budget, "{counters:?}");
    assert!(sent < budget + 2 * counters.symbols_needed, "{counters:?}");
}

/// Digests cost the sender a read of the block and some repair symbols.
#[test]
fn who_asks_for_digests_or_symbols_of_its_own_for_ever_is_sent_away_too() {
    let mut honest = long_room(3);
    truth(&mut honest);
    let digests: fn(&mut Report) = |report| spoiled(report, Remedy::Digests(Parts(0b1111)));
    let symbols: fn(&mut Report) = |report| spoiled(report, Remedy::OwnSymbols(255));
    for asks in [digests, symbols] {
        let mut room = long_room(3);
        let liar = Liar::join(&mut room, asks);
        let number = liar.number;
        room.at(room.elapsed(), move |room| liar.begin(room));
        assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
        let state = room.member(number);
        let code = match state {
            Some(MemberState::Failed { code, .. }) => Some(*code),
            _ => None,
        };
        assert_eq!(code, Some(FailCode::TooMuch), "{state:?}");
        let bound = finished(&honest, 3) * 5 / 4;
        assert!(finished(&room, 3) < bound, "{:?}", finished(&room, 3));
        // Where it asks for as much as the others need once, it has used up an eighth of what it may.
        let counters = room.operator.endpoint.session().counters();
        let sent = counters.digest_symbols + counters.own_symbols;
        let budget = 8 * counters.symbols_needed + 65_536;
        assert!(sent <= budget + 187, "{counters:?}");
        assert!(counters.repair_symbols <= counters.symbols_needed);
    }
}

#[test]
fn a_receiver_behind_60_percent_loss_gets_its_image() {
    for receivers in [0, 2] {
        let mut room = long_room(receivers);
        let far = room.join(MachineProfile {
            down: LinkProfile {
                loss: 0.6,
                ..LinkProfile::default()
            },
            ..MachineProfile::default()
        });
        truth(&mut room);
        assert_eq!(room.verdict().confirmed, receivers + 1, "{far}");
        let counters = room.operator.endpoint.session().counters();
        let sent = counters.pass_symbols + counters.repair_symbols;
        assert!(sent < 6 * counters.symbols_needed, "{counters:?}");
    }
}

/// It is heard, grants credit, asks for nothing, and has nothing.
#[test]
fn who_is_only_there_does_not_hold_the_sender_for_ever() {
    for grants in [true, false] {
        let mut room = long_room(3);
        let asks: fn(&mut Report) = match grants {
            true => |_| {},
            false => |report| report.credit = Slot(0),
        };
        let liar = Liar::join(&mut room, asks);
        let number = liar.number;
        room.at(room.elapsed(), move |room| liar.begin(room));
        assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
        let state = room.member(number);
        let text = match state {
            Some(MemberState::Failed { text, .. }) => text,
            _ => panic!("{state:?}"),
        };
        assert!(text.contains("got on with nothing for 60 s"), "{text}");
        assert!(finished(&room, 3) < Duration::from_secs(10));
        assert!(room.elapsed() > Duration::from_secs(60));
    }
}

/// Whoever is only slow is waited for.
#[test]
fn a_disk_that_takes_a_block_in_20_seconds_is_not_given_up() {
    let mut room = Room::new(config(image(Filling::Random, 6 * BLOCK_SIZE), 1));
    room.join(MachineProfile {
        disk: DiskProfile {
            speed: BLOCK_SIZE as u64 / 20,
            flush: Duration::from_secs(90),
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    });
    assert!(room.run(Duration::from_secs(400)), "{:?}", room.verdict());
    assert_eq!(room.verdict().confirmed, 1);
}

#[test]
fn an_end_that_nobody_was_told_of_is_none() {
    let mut room = long_room(3);
    let liar = Liar::join(&mut room, |_| {});
    liar.say(&mut room, &ToSender::AbortSeen);
    let deadline = room.elapsed() + ms(100);
    room.at(deadline, |_| {});
    assert!(room.run_until(LIMIT, |room| room.elapsed() >= deadline));
    assert!(!matches!(
        room.member(liar.number),
        Some(MemberState::Failed { .. })
    ));
}

/// A member joins with the hardware address and target of a machine that died, and confirms in its
/// place: that the machine has failed does not vanish.
#[test]
fn nobody_takes_the_place_of_a_machine_at_another_address() {
    let mut room = long_room(2);
    let poser = room.add(MachineProfile {
        poses_as: Some(1),
        ..MachineProfile::default()
    });
    room.at(ms(700), move |room| {
        room.kill(1);
        room.start(poser);
    });
    assert!(room.run(LIMIT), "{:?}", room.verdict());
    let (dead, new) = (
        room.machines[1].last().number.unwrap(),
        room.machines[poser].last().number.unwrap(),
    );
    assert_eq!(room.member(dead), Some(&MemberState::Lost));
    assert_eq!(room.member(new), Some(&MemberState::Confirmed));
    let told = |event| room.operator.told.iter().filter(|it| **it == event).count();
    assert_eq!(told(Event::Disputed(new, dead)), 1);
    assert_eq!(told(Event::Rejoined(new)), 0);
}

#[test]
fn who_is_started_again_at_its_address_takes_its_own_place_and_that_is_told() {
    let mut room = long_room(2);
    let dead = Rc::new(Cell::new(None));
    let kept = Rc::clone(&dead);
    room.at(ms(700), move |room| {
        kept.set(room.machines[1].last().number);
        room.start(1);
    });
    truth(&mut room);
    let new = room.machines[1].last().number.unwrap();
    assert_eq!(room.member(dead.get().unwrap()), None);
    assert!(room.operator.told.contains(&Event::Rejoined(new)));
}

#[test]
fn the_operator_is_told_once_of_who_costs_much() {
    let mut room = long_room(3);
    let liar = Liar::join(&mut room, all_symbols);
    let number = liar.number;
    room.at(room.elapsed(), move |room| liar.begin(room));
    assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
    let told = room.operator.told.iter();
    let costly = told.filter(|event| matches!(event, Event::Costly(_)));
    assert_eq!(costly.collect::<Vec<_>>(), [&Event::Costly(number)]);
}
