//! Rooms in which disks are read back before anybody believes them.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use mimeo_protocol::sender::MemberState;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::{FailCode, ReadBack, Stage};
use mimeo_tests::sim::{
    DiskProfile, Ending, Filling, LinkProfile, MachineProfile, Room, Sight, Trouble,
};

use common::{LIMIT, config, finished_at, image, ms, truth};

const LENGTH: usize = 20 * BLOCK_SIZE + 77;

fn verifying(trouble: Option<Trouble>) -> MachineProfile {
    MachineProfile {
        disk: DiskProfile {
            trouble,
            ..DiskProfile::default()
        },
        verify: true,
        ..MachineProfile::default()
    }
}

/// A room of machines that read back.
fn room(filling: Filling, troubles: &[Option<Trouble>]) -> Room {
    let mut room = Room::new(config(image(filling, LENGTH), troubles.len()));
    for trouble in troubles {
        room.join(verifying(*trouble));
    }
    room
}

fn read_back_of(room: &Room, machine: usize) -> ReadBack {
    let number = room.machines[machine].last().number.expect("it joined");
    let roster = room.operator.endpoint.session().roster();
    let member = roster.member(number).expect("it is entered");
    member.read_back
}

#[test]
fn everybody_reads_the_image_back_and_the_sender_knows() {
    for filling in [Filling::Mixed, Filling::Zeros, Filling::Random] {
        let mut room = room(filling, &[None, None]);
        let other = room.join(MachineProfile {
            down: LinkProfile {
                loss: 0.05,
                ..LinkProfile::default()
            },
            ..MachineProfile::default()
        });
        truth(&mut room);
        assert_eq!(room.verdict().confirmed, 3);
        let read_back = [0, 1, other].map(|machine| read_back_of(&room, machine));
        assert_eq!(
            read_back,
            [ReadBack::Direct, ReadBack::Direct, ReadBack::No],
            "{filling:?}"
        );
    }
}

#[test]
fn images_of_every_length_and_streams_are_read_back() {
    for len in [
        1,
        BLOCK_SIZE - 1,
        BLOCK_SIZE,
        BLOCK_SIZE + 1,
        3 * BLOCK_SIZE,
    ] {
        for filling in [Filling::Text, Filling::Zeros] {
            for stream in [false, true] {
                let known = config(image(filling, len), 1);
                let mut room = Room::new(if stream { known.stream() } else { known });
                room.join(verifying(None));
                truth(&mut room);
                assert_eq!(
                    room.verdict().confirmed,
                    1,
                    "{len} bytes of {filling:?}, stream: {stream}"
                );
            }
        }
    }
}

#[test]
fn a_disk_that_lies_is_found_and_everybody_knows_where() {
    let lie = 7 * BLOCK_SIZE as u64 + 9;
    let mut room = room(Filling::Mixed, &[None, Some(Trouble::LiesAt(lie)), None]);
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    let start = 7 * BLOCK_SIZE;
    let place = format!("between bytes {start} and {}", start + BLOCK_SIZE);
    let Some(Ending::Failed(failure)) = &room.machines[1].last().ending else {
        panic!("{:?}", room.machines[1].last().ending)
    };
    assert_eq!(failure.code, FailCode::ReadBackDiffers);
    assert!(failure.text.contains(&place), "{}", failure.text);
    let known = matches!(room.member_on(1), Some(MemberState::Failed { code: FailCode::ReadBackDiffers, text }) if text == &failure.text);
    assert!(known, "{:?}", room.member_on(1));
}

#[test]
fn without_reading_back_a_disk_that_lies_is_believed() {
    let mut room = Room::new(config(image(Filling::Mixed, LENGTH), 1));
    room.join(MachineProfile {
        verify: false,
        ..verifying(Some(Trouble::LiesAt(5)))
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 1);
}

#[test]
fn a_disk_that_cannot_be_read_back_has_failed() {
    let mut room = room(Filling::Mixed, &[Some(Trouble::Unreadable), None]);
    truth(&mut room);
    let failed = matches!(
        room.member_on(0),
        Some(MemberState::Failed {
            code: FailCode::TargetFailed,
            ..
        })
    );
    assert!(failed, "{:?}", room.member_on(0));
    assert_eq!(room.member_on(1), Some(&MemberState::Confirmed));
}

/// The second of two machines reads back for 17 s.
fn long_proof() -> Room {
    let mut room = room(Filling::Text, &[None]);
    room.join(MachineProfile {
        disk: DiskProfile {
            speed: 300_000,
            ..DiskProfile::default()
        },
        idle_timeout: ms(2000),
        ..verifying(None)
    });
    room
}

fn is_verifying(room: &Room, machine: usize) -> bool {
    let endpoint = room.machines[machine].last().endpoint.as_ref();
    endpoint.is_some_and(|endpoint| endpoint.session().progress().stage == Stage::Verifying)
}

#[test]
fn a_long_proof_is_reported_and_holds_nobody_up() {
    let mut room = long_proof();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let reports = Rc::clone(&seen);
    room.lose(move |crossing| {
        if let (1, Sight::Report(report)) = (crossing.machine, &crossing.sight)
            && report.stage == Stage::Verifying
        {
            reports.borrow_mut().push(report.bytes_verified);
        }
        false
    });
    truth(&mut room);
    assert!(finished_at(&room, 0) + Duration::from_secs(10) < finished_at(&room, 1));
    let mut seen = seen.take();
    assert!(seen.len() > 50, "it is not silent: {} reports", seen.len());
    seen.dedup();
    assert_eq!(seen, [0, LENGTH as u64 / 2]);
}

/// What is on the disk is proved without the sender, and so is believed without it.
#[test]
fn a_sender_that_is_gone_does_not_spoil_the_proof() {
    let mut room = long_proof();
    assert!(room.run_until(LIMIT, |room| is_verifying(room, 1)));
    room.lose(|crossing| crossing.machine == 1);
    assert!(room.run(LIMIT), "{:?}", room.verdict());
    let life = room.machines[1].last();
    assert_eq!(
        life.ending,
        Some(Ending::Finished {
            acknowledged: false
        })
    );
    assert!(life.identical);
}

#[test]
fn an_interrupted_proof_is_no_success() {
    let mut room = Room::new(config(image(Filling::Text, LENGTH), 1));
    room.join(MachineProfile {
        disk: DiskProfile {
            speed: 1_000_000,
            ..DiskProfile::default()
        },
        ..verifying(None)
    });
    assert!(room.run_until(LIMIT, |room| is_verifying(room, 0)));
    room.interrupt(0);
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 0);
    let failed = matches!(
        room.member_on(0),
        Some(MemberState::Failed {
            code: FailCode::Interrupted,
            ..
        })
    );
    assert!(failed, "{:?}", room.member_on(0));
}
