//! Rooms of which nobody is left but receivers that fell silent.

mod common;

use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::MemberState;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_tests::sim::{Filling, MachineProfile, Room, RoomConfig};

use common::{LIMIT, config, image, truth};

/// 64 blocks at 20 Mbit/s take about 7 s.
fn room(receivers: usize, change: impl FnOnce(&mut RoomConfig)) -> Room {
    let mut config = RoomConfig {
        rate_cap: Some(Rate(20_000_000)),
        lost_timeout: Duration::from_secs(60),
        ..config(image(Filling::Random, 64 * BLOCK_SIZE), receivers)
    };
    change(&mut config);
    let mut room = Room::new(config);
    for _ in 0..receivers {
        room.join(MachineProfile::default());
    }
    room
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_only_receiver_may_stand_still_for_a_while() {
    for pause in [12, 40, 58] {
        let mut room = room(1, |_| {});
        room.at(seconds(3), |room| room.pause(0));
        room.at(seconds(3 + pause), |room| room.resume(0));
        truth(&mut room);
        assert_eq!(room.verdict().confirmed, 1, "{pause} s");
    }
}

/// Its machine is known by its name and address where it has no hardware address.
#[test]
fn who_was_started_again_is_not_waited_for_as_lost() {
    for nameless in [false, true] {
        let mut room = room(1, |_| {});
        let again = room.add(MachineProfile {
            nameless,
            ..MachineProfile::default()
        });
        room.start(again);
        room.at(seconds(3), move |room| room.kill(again));
        room.at(seconds(5), move |room| room.start(again));
        truth(&mut room);
        // 7 s, and a second cycle for what it had missed.
        assert!(room.elapsed() < seconds(30), "{:?}", room.elapsed());
        let roster = room.operator.endpoint.session().roster();
        assert_eq!(roster.members().count(), 2, "its former self is gone");
        assert_eq!(room.verdict().confirmed, 2);
    }
}

/// Side by side on one machine, with targets of the same name, they are two.
#[test]
fn who_runs_beside_another_does_not_take_its_place() {
    let nameless = || MachineProfile {
        nameless: true,
        ..MachineProfile::default()
    };
    let mut room = room(0, |config| config.start.min_receivers = 2);
    let (first, second) = (room.join(nameless()), room.join(nameless()));
    room.machines[second].address = room.machines[first].address;
    room.at(seconds(3), move |room| room.kill(first));
    room.run(LIMIT);
    let state = room.member_on(first);
    assert_eq!(state, Some(&MemberState::Lost), "it is told of");
}

#[test]
fn a_room_whose_switch_is_started_again_goes_on() {
    let mut room = room(3, |_| {});
    for (at, cut) in [(3, true), (33, false)] {
        room.at(seconds(at), move |room| {
            for machine in &mut room.machines {
                machine.up.profile.loss = f64::from(u8::from(cut));
                machine.down.profile.loss = f64::from(u8::from(cut));
            }
        });
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
}

#[test]
fn who_never_comes_back_is_waited_for_and_not_for_ever() {
    let mut room = room(1, |_| {});
    room.at(seconds(3), |room| room.kill(0));
    assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
    assert_eq!(room.member_on(0), Some(&MemberState::Lost));
    let over = room.elapsed();
    assert!((seconds(60)..seconds(66)).contains(&over), "{over:?}");
}

#[test]
fn linger_holds_for_the_lost_too() {
    let mut room = room(1, |config| {
        config.lost_timeout = Duration::ZERO;
        config.linger = seconds(30);
    });
    room.at(seconds(3), |room| room.pause(0));
    room.at(seconds(25), |room| room.resume(0));
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 1);
}

#[test]
fn a_stream_waits_for_nobody_who_is_lost() {
    let mut room = room(1, |config| config.seekable = false);
    room.at(seconds(3), |room| room.kill(0));
    assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
    let over = room.elapsed();
    assert!(over < seconds(20), "{over:?}");
}
