//! Every kind of message is lost once, three times, and where it is a last word always; the
//! session ends, and with the truth on both sides.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use mimeo_protocol::sender::{MemberState, StartPolicy};
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::FailCode;
use mimeo_tests::sim::{
    Crossing, Dice, DiskProfile, Ending, Filling, Image, MachineProfile, Room, RoomConfig, Sight,
    Trouble,
};

/// Every last word is repeated for 5 s at most, a receiver gives a sender up after 60 s.
const LIMIT: Duration = Duration::from_secs(100);

const ALWAYS: usize = usize::MAX;

/// Two machines and 40 blocks that compress well. Machine 0 is the one that loses.
fn room(machine: MachineProfile) -> Room {
    let image = Image::new(Filling::Text, 40 * BLOCK_SIZE + 5, Dice::new(11));
    let mut room = Room::new(RoomConfig {
        start: StartPolicy {
            min_receivers: 2,
            ..StartPolicy::default()
        },
        ..RoomConfig::new(5, image)
    });
    room.join(machine);
    room.join(MachineProfile::default());
    room
}

/// Loses the first `times` messages for which `kind` is true on the way to or from machine 0.
/// Returns how many were.
fn lose(room: &mut Room, times: usize, kind: impl Fn(&Sight) -> bool + 'static) -> Rc<Cell<usize>> {
    let count = Rc::new(Cell::new(0));
    let lost = Rc::clone(&count);
    room.lose(move |crossing: &Crossing| {
        let hit = crossing.machine == 0 && lost.get() < times && kind(&crossing.sight);
        lost.set(lost.get() + usize::from(hit));
        hit
    });
    count
}

/// Whether as many were lost as a test is about.
fn was_lost(count: &Cell<usize>, times: usize) -> bool {
    if times == ALWAYS {
        count.get() > 3
    } else {
        count.get() == times
    }
}

fn truth(room: &mut Room) {
    assert!(room.run(LIMIT), "no end in time: {:?}", room.verdict());
    assert_eq!(room.verdict().lies, [] as [String; 0]);
}

/// Everybody gets the image and the sender knows, whatever was lost.
fn all_is_well(times: usize, kind: impl Fn(&Sight) -> bool + 'static) {
    let mut room = room(MachineProfile::default());
    let lost = lose(&mut room, times, kind);
    truth(&mut room);
    assert!(was_lost(&lost, times), "{lost:?}");
    assert_eq!((room.verdict().finished, room.verdict().confirmed), (2, 2));
}

macro_rules! mends {
    ($($kind:ident = $sight:pat),*) => {
        $(
            mod $kind {
                use super::*;

                #[test]
                fn is_lost_once() {
                    all_is_well(1, |sight| matches!(sight, $sight));
                }

                #[test]
                fn is_lost_three_times() {
                    all_is_well(3, |sight| matches!(sight, $sight));
                }
            }
        )*
    };
}

mends! {
    announce = Sight::Announce,
    join = Sight::Join,
    welcome = Sight::Welcome,
    report = Sight::Report(_),
    position = Sight::Control(_),
    end_record = Sight::Control(mimeo_protocol::wire::GroupControl { end: Some(_), .. }),
    confirm = Sight::Confirm,
    confirm_seen = Sight::ConfirmSeen,
    page_symbol = Sight::PageSymbol(_),
    symbol = Sight::Symbol(_)
}

#[test]
fn probes_are_all_lost_and_the_announce_is_enough() {
    let mut room = room(MachineProfile::default());
    let lost = lose(&mut room, ALWAYS, |sight| *sight == Sight::Probe);
    truth(&mut room);
    assert!(lost.get() > 0);
    assert_eq!(room.verdict().confirmed, 2);
}

#[test]
fn all_symbols_of_a_page_are_lost_once() {
    let mut seen = HashSet::new();
    let mut room = room(MachineProfile::default());
    room.lose(move |crossing| match crossing.sight {
        Sight::PageSymbol(header) if crossing.machine == 0 => {
            seen.insert((header.number, header.esi))
        }
        _ => false,
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
}

#[test]
fn the_last_symbols_of_the_stream_are_lost() {
    for last in [1, 30, 200] {
        let mut room = room(MachineProfile::default());
        let blocks = 41;
        let mut seen = HashSet::new();
        room.lose(move |crossing| match crossing.sight {
            // The last blocks, each symbol the first time it is sent; of many only the source
            // symbols, as nobody serves somebody whom nothing reaches for long.
            Sight::Symbol(header) if header.number + last >= blocks => {
                let loses = last == 1 || header.esi.0 < header.k;
                crossing.machine == 0 && loses && seen.insert((header.number, header.esi))
            }
            _ => false,
        });
        truth(&mut room);
        assert_eq!(room.verdict().confirmed, 2, "last {last}");
    }
}

/// Loses all reports of machine 0 between two moments of the transfer.
fn silence(from: Duration, to: Duration, machine: MachineProfile) -> Room {
    let mut room = room(machine);
    room.at(from, move |room| {
        lose(room, ALWAYS, |sight| matches!(sight, Sight::Report(_)));
    });
    room.at(to, |room| room.lose(|_| false));
    truth(&mut room);
    room
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn all_reports_are_lost_for_a_while() {
    for (from, to) in [(0, 400), (0, 1500), (255, 500), (260, 4000), (270, 11_000)] {
        let room = silence(ms(from), ms(to), MachineProfile::default());
        assert_eq!(room.verdict().confirmed, 2, "from {from} to {to} ms");
    }
}

#[test]
fn reports_that_grant_credit_are_lost() {
    // The disk takes 40 blocks in 2 s, so that credit binds all the time.
    let slow = MachineProfile {
        buffers: 32,
        disk: DiskProfile {
            speed: 5_000_000,
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    };
    for (from, to) in [(300, 400), (500, 900), (500, 2500)] {
        let room = silence(ms(from), ms(to), slow.clone());
        assert_eq!(room.verdict().confirmed, 2, "from {from} to {to} ms");
    }
}

#[test]
fn confirmations_are_all_lost() {
    let mut room = room(MachineProfile::default());
    lose(&mut room, ALWAYS, |sight| *sight == Sight::Confirm);
    truth(&mut room);
    let ending = Ending::Finished {
        acknowledged: false,
    };
    assert_eq!(room.machines[0].last().ending, Some(ending));
    assert_eq!(room.member_on(0), Some(&MemberState::Lost));
    assert_eq!(room.member_on(1), Some(&MemberState::Confirmed));
}

#[test]
fn acknowledgements_are_all_lost() {
    let mut room = room(MachineProfile::default());
    lose(&mut room, ALWAYS, |sight| *sight == Sight::ConfirmSeen);
    truth(&mut room);
    let ending = Ending::Finished {
        acknowledged: false,
    };
    assert_eq!(room.machines[0].last().ending, Some(ending));
    assert_eq!(room.member_on(0), Some(&MemberState::Confirmed));
}

fn broken() -> MachineProfile {
    MachineProfile {
        disk: DiskProfile {
            trouble: Some(Trouble::FailsAfter(1_000_000)),
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    }
}

fn failure_of(room: &Room, machine: usize) -> Option<FailCode> {
    match &room.machines[machine].last().ending {
        Some(Ending::Failed(failure)) => Some(failure.code),
        _ => None,
    }
}

fn a_failure_is_told(times: usize, lost: Sight) {
    let mut room = room(broken());
    let count = lose(&mut room, times, move |sight| *sight == lost);
    truth(&mut room);
    assert!(was_lost(&count, times), "{count:?}");
    assert_eq!(failure_of(&room, 0), Some(FailCode::TargetFailed));
    let failed =
        |code| matches!(room.member_on(0), Some(MemberState::Failed { code: c, .. }) if *c == code);
    assert!(failed(FailCode::TargetFailed), "{:?}", room.member_on(0));
    assert_eq!(room.member_on(1), Some(&MemberState::Confirmed));
}

#[test]
fn fail_is_lost_once_and_three_times() {
    a_failure_is_told(1, Sight::Fail);
    a_failure_is_told(3, Sight::Fail);
}

#[test]
fn fail_seen_is_lost_once_thrice_and_always() {
    a_failure_is_told(1, Sight::FailSeen);
    a_failure_is_told(3, Sight::FailSeen);
    a_failure_is_told(ALWAYS, Sight::FailSeen);
}

#[test]
fn fail_is_always_lost() {
    let mut room = room(broken());
    lose(&mut room, ALWAYS, |sight| *sight == Sight::Fail);
    truth(&mut room);
    assert_eq!(failure_of(&room, 0), Some(FailCode::TargetFailed));
    assert_eq!(room.member_on(0), Some(&MemberState::Lost));
}

fn aborted(times: usize, lost: Sight) -> Room {
    let mut room = room(MachineProfile::default());
    let count = lose(&mut room, times, move |sight| *sight == lost);
    room.at(ms(265), |room| {
        room.operate(|operator, now| {
            let code = FailCode::SourceFailed;
            operator
                .endpoint
                .session_mut()
                .handle_abort(now, code, "cannot read");
        });
    });
    truth(&mut room);
    assert!(was_lost(&count, times), "{count:?}");
    assert_eq!(room.verdict().failed, 2, "{:?}", room.verdict());
    assert_eq!(failure_of(&room, 1), Some(FailCode::SourceFailed));
    room
}

#[test]
fn abort_is_lost_once_and_three_times() {
    for times in [1, 3] {
        let room = aborted(times, Sight::Abort);
        assert_eq!(failure_of(&room, 0), Some(FailCode::SourceFailed));
    }
}

#[test]
fn abort_is_always_lost() {
    let room = aborted(ALWAYS, Sight::Abort);
    assert_eq!(failure_of(&room, 0), Some(FailCode::Silence));
}

#[test]
fn abort_seen_is_lost() {
    // It is sent once, as the receiver leaves: the sender repeats its abort in vain for 2 s.
    let room = aborted(1, Sight::AbortSeen);
    assert_eq!(failure_of(&room, 0), Some(FailCode::SourceFailed));
}
