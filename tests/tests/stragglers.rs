//! Rooms with receivers that are too slow for the others.

mod common;

use std::time::Duration;

use mimeo_protocol::ids::ReceiverNumber;
use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::{Event, MemberState, SlowPolicy, SlowRules};
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::{FailCode, SlowReason};
use mimeo_tests::sim::{Ending, Filling, LinkProfile, MachineProfile, Room, RoomConfig};

use common::slow::{self, disk, fast};
use common::{LIMIT, begun, config, finished_at, image, ms, truth};

const GIGABIT: Rate = Rate(1_000_000_000);

fn room(cap: Rate, policy: SlowPolicy, blocks: usize, profiles: &[MachineProfile]) -> Room {
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(cap),
        slow: SlowRules {
            policy,
            ..SlowRules::default()
        },
        ..config(image(Filling::Random, blocks * BLOCK_SIZE), profiles.len())
    });
    for profile in profiles {
        room.join(profile.clone());
    }
    room
}

/// The same with so little memory that what it holds is soon written.
fn hoarding_little(profile: MachineProfile) -> MachineProfile {
    MachineProfile {
        buffers: 64,
        ..profile
    }
}

/// One behind a port of so many bits per second.
fn port(rate: u64) -> MachineProfile {
    slow::port(rate, 128 * 1024)
}

/// When the last of some machines had finished.
fn last(room: &Room, machines: impl IntoIterator<Item = usize>) -> Duration {
    let times = machines
        .into_iter()
        .map(|machine| finished_at(room, machine));
    times.max().expect("there are some")
}

/// How often receivers were found to be slow.
fn found(room: &Room) -> usize {
    let told = &room.operator.told;
    told.iter()
        .filter(|event| matches!(event, Event::Slow(_)))
        .count()
}

fn restored(room: &Room) -> usize {
    let told = &room.operator.told;
    told.iter()
        .filter(|event| matches!(event, Event::Restored(_)))
        .count()
}

fn slow_reason(room: &Room, machine: usize) -> Option<SlowReason> {
    let roster = room.operator.endpoint.session().roster();
    let member = roster.member(room.machines[machine].last().number?)?;
    member.slow.map(|slow| slow.reason)
}

/// The room without its slow machines, then with them: those that are fast are hardly later.
fn compare(
    cap: Rate,
    blocks: usize,
    fast_ones: &[MachineProfile],
    slow_ones: &[MachineProfile],
    share: f64,
) -> Room {
    let mut alone = room(cap, SlowPolicy::Demote, blocks, fast_ones);
    truth(&mut alone);
    assert_eq!(found(&alone), 0);
    let all = [fast_ones, slow_ones].concat();
    let mut together = room(cap, SlowPolicy::Demote, blocks, &all);
    truth(&mut together);
    let count = fast_ones.len();
    let (without, with) = (last(&alone, 0..count), last(&together, 0..count));
    println!(
        "without {without:?}, with {with:?}, slow ones {:?}; found {}, restored {}",
        (count..all.len())
            .map(|m| finished_at(&together, m))
            .collect::<Vec<_>>(),
        found(&together),
        restored(&together),
    );
    assert!(
        with <= without.mul_f64(1.0 + share),
        "{with:?} instead of {without:?}"
    );
    assert_eq!(together.verdict().confirmed, all.len());
    together
}

/// A room whose time is counted in ten times as many seconds, so that it can be long enough.
const SLOW_MOTION: Rate = Rate(200_000_000);

#[test]
fn three_slow_disks_among_eight_do_not_hold_up_the_others() {
    let slow = [disk(3_000_000), disk(4_000_000), disk(6_000_000)];
    let room = compare(SLOW_MOTION, 1800, &vec![fast(); 5], &slow, 0.03);
    for machine in 5..8 {
        assert_eq!(slow_reason(&room, machine), Some(SlowReason::Disk));
    }
}

#[test]
fn three_slow_ports_among_eight_do_not_hold_up_the_others() {
    let slow = vec![port(40_000_000); 3];
    let room = compare(SLOW_MOTION, 1800, &vec![fast(); 5], &slow, 0.03);
    for machine in 5..8 {
        assert_eq!(slow_reason(&room, machine), Some(SlowReason::Network));
    }
}

#[test]
fn a_slow_port_in_a_room_of_gigabit_costs_the_others_little() {
    let room = compare(GIGABIT, 3000, &vec![fast(); 7], &[port(100_000_000)], 0.09);
    assert_eq!(slow_reason(&room, 7), Some(SlowReason::Network));
}

#[test]
fn a_disk_at_half_the_rooms_speed_keeps_half_of_the_blocks() {
    let mut room = room(
        GIGABIT,
        SlowPolicy::Demote,
        2000,
        &[fast(), fast(), disk(45_000_000)],
    );
    let second = |room: &Room| room.operator.endpoint.session().position().cycle.0 == 2;
    assert!(room.run_until(LIMIT, second));
    let roster = room.operator.endpoint.session().roster();
    let member = roster
        .members()
        .find(|(_, member)| member.about.host_name == "pc2");
    let report = member.unwrap().1.report.as_ref().unwrap();
    let kept = f64::from(report.blocks_done) / 2000.0;
    println!("kept {kept:.3}");
    assert!(kept > 0.35, "{kept}");
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
}

#[test]
fn who_waits_for_a_slow_port_loses_little_on_it() {
    let slow = port(100_000_000);
    let profiles = [vec![fast(); 7], vec![slow]].concat();
    let mut room = room(GIGABIT, SlowPolicy::Wait, 400, &profiles);
    let counted = |room: &Room| {
        let roster = room.operator.endpoint.session().roster();
        let member = roster
            .members()
            .find(|(_, member)| member.about.host_name == "pc7");
        let report = member.and_then(|(_, member)| member.report.as_ref());
        report.map_or((0, 0), |report| (report.received, report.expected))
    };
    let early = |room: &Room| room.elapsed() > ms(1300);
    assert!(room.run_until(LIMIT, early));
    let before = counted(&room);
    let rate = room.operator.endpoint.session().rate();
    assert!(rate < Rate(110_000_000), "{rate:?} after a second");
    assert!(room.run_until(LIMIT, |room| begun(room) >= 390));
    let after = counted(&room);
    truth(&mut room);
    let (received, expected) = (after.0 - before.0, after.1 - before.1);
    let loss = 1.0 - received as f64 / expected as f64;
    println!("loss {loss:.4}, at {:?}", finished_at(&room, 7));
    assert!(loss <= 0.02, "{loss}");
    assert_eq!((found(&room), restored(&room)), (1, 0), "it is told once");
    assert!(
        finished_at(&room, 7) < ms(10_500),
        "{:?}",
        finished_at(&room, 7)
    );
}

#[test]
fn a_dropped_receiver_knows_and_is_named() {
    let profiles = [fast(), fast(), disk(4_000_000)];
    let mut room = room(GIGABIT, SlowPolicy::Drop, 800, &profiles);
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    let state = room.member_on(2);
    let text = "too slow for the room (disk)";
    let named = |state: &MemberState| matches!(state, MemberState::Failed { code: FailCode::TooSlow, text: told } if told == text);
    assert!(state.is_some_and(named), "{state:?}");
    let ending = room.machines[2].last().ending.clone();
    let told = matches!(&ending, Some(Ending::Failed(failure)) if failure.code == FailCode::TooSlow && failure.text == text);
    assert!(told, "{ending:?}");
}

#[test]
fn a_straggler_that_recovers_returns_in_the_same_cycle() {
    let profiles = [fast(), fast(), fast(), hoarding_little(disk(4_000_000))];
    let mut room = room(SLOW_MOTION, SlowPolicy::Demote, 2000, &profiles);
    room.at(ms(3000), |room| {
        room.machines[3].target.profile.speed = 500_000_000;
    });
    let demoted = |room: &Room| room.member_on(3).is_some_and(MemberState::is_demoted);
    assert!(room.run_until(ms(8000), demoted));
    let back = |room: &Room| room.member_on(3) == Some(&MemberState::Active);
    assert!(room.run_until(LIMIT, back));
    let at = room.elapsed();
    assert!((ms(10_000)..ms(14_000)).contains(&at), "{at:?}");
    assert_eq!(room.operator.endpoint.session().position().cycle.0, 1);
    truth(&mut room);
    assert_eq!((found(&room), restored(&room)), (1, 1));
    assert_eq!(room.verdict().confirmed, 4);
}

#[test]
fn a_room_of_equals_is_never_parted() {
    for speed in [5_000_000, 8_000_000, 60_000_000] {
        let disks: Vec<_> = (0..8).map(|n| disk(speed + n * speed / 20)).collect();
        let mut room = room(SLOW_MOTION, SlowPolicy::Demote, 300, &disks);
        truth(&mut room);
        assert_eq!(found(&room), 0, "disks of {speed}");
    }
    let ports: Vec<_> = (0..6).map(|n| port(20_000_000 + n * 1_000_000)).collect();
    let mut room = room(SLOW_MOTION, SlowPolicy::Demote, 100, &ports);
    truth(&mut room);
    assert_eq!(found(&room), 0, "ports");
}

#[test]
fn the_slow_half_of_two_is_demoted() {
    let room = compare(SLOW_MOTION, 800, &[fast()], &[disk(3_000_000)], 0.09);
    assert_eq!(found(&room), 1, "alone it is nobody's straggler");
}

/// How often, and for whom, it was told that most of the room is slow.
fn held_up(room: &Room) -> Vec<Vec<ReceiverNumber>> {
    let told = &room.operator.told;
    let by = |event: &Event| match event {
        Event::HeldUp(by) => Some(by.clone()),
        _ => None,
    };
    told.iter().filter_map(by).collect()
}

/// A room of which most are slow: nobody is demoted, all of them are named, each once.
fn most_are_slow(cap: Rate, policy: SlowPolicy, slow: &[MachineProfile], reason: SlowReason) {
    let profiles = [vec![fast(); 2], slow.to_vec()].concat();
    let mut room = room(cap, policy, 300, &profiles);
    truth(&mut room);
    assert_eq!(
        (found(&room), room.verdict().confirmed),
        (0, profiles.len())
    );
    let mut by = held_up(&room).concat();
    by.sort_unstable();
    let slow = room.machines[2..].iter().filter_map(|it| it.last().number);
    assert_eq!(by, slow.collect::<Vec<_>>(), "{policy:?}");
    for machine in 0..profiles.len() {
        let expected = (machine >= 2).then_some(reason);
        assert_eq!(slow_reason(&room, machine), expected, "{policy:?}");
    }
}

#[test]
fn most_of_a_room_is_not_demoted_for_the_few_but_named() {
    for policy in [SlowPolicy::Demote, SlowPolicy::Wait, SlowPolicy::Drop] {
        let disks = vec![disk(5_000_000); 4];
        most_are_slow(SLOW_MOTION, policy, &disks, SlowReason::Disk);
        let ports = vec![port(20_000_000); 3];
        let cap = Rate(100_000_000);
        most_are_slow(cap, policy, &ports, SlowReason::Network);
    }
}

/// Its reader takes nothing for a while, and something else makes it slow after that: what was told
/// of it is what stays.
#[test]
fn the_reason_that_was_told_stays() {
    let piped = MachineProfile {
        piped: true,
        ..hoarding_little(fast())
    };
    let profiles = [fast(), fast(), piped];
    let mut room = room(SLOW_MOTION, SlowPolicy::Wait, 400, &profiles);
    room.at(ms(1500), |room| room.stall(2, ms(3000)));
    // Now it is its processor: 5000 datagrams per second, 60 Mbit/s.
    room.at(ms(4600), |room| {
        room.machines[2].profile.work = Duration::from_micros(200);
    });
    truth(&mut room);
    assert_eq!(
        (found(&room), slow_reason(&room, 2)),
        (1, Some(SlowReason::Output))
    );
}

#[test]
fn slow_in_the_first_second_only() {
    let profiles = [fast(), fast(), fast(), hoarding_little(disk(4_000_000))];
    let mut room = room(SLOW_MOTION, SlowPolicy::Demote, 800, &profiles);
    room.at(ms(1000), |room| {
        room.machines[3].target.profile.speed = 500_000_000;
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 4);
    assert!(found(&room) <= 1, "{}", found(&room));
    // 800 blocks take 9 s; what it lacked came in its own time.
    assert!(
        finished_at(&room, 3) < ms(14_000),
        "{:?}",
        finished_at(&room, 3)
    );
}

#[test]
fn a_slow_processor_is_demoted_for_what_it_is() {
    let slow = MachineProfile {
        // 3000 datagrams per second: 36 Mbit/s.
        work: Duration::from_micros(333),
        window: 1500,
        ..fast()
    };
    let room = compare(SLOW_MOTION, 1000, &vec![fast(); 3], &[slow], 0.08);
    assert_eq!(slow_reason(&room, 3), Some(SlowReason::Processor));
}

#[test]
fn a_disk_that_hangs_is_not_taken_for_little_memory() {
    for (piped, reason) in [(false, SlowReason::Disk), (true, SlowReason::Output)] {
        let hangs = MachineProfile {
            piped,
            ..hoarding_little(fast())
        };
        let mut room = room(
            SLOW_MOTION,
            SlowPolicy::Demote,
            800,
            &[fast(), fast(), hangs],
        );
        room.at(ms(1500), |room| room.stall(2, ms(15_000)));
        truth(&mut room);
        assert_eq!((found(&room), slow_reason(&room, 2)), (1, Some(reason)));
        assert_eq!(room.verdict().confirmed, 3);
    }
}

#[test]
fn a_lossy_receiver_is_not_slow() {
    let lossy = |loss| MachineProfile {
        down: LinkProfile {
            loss,
            ..LinkProfile::default()
        },
        ..fast()
    };
    let profiles = [vec![fast(); 3], vec![lossy(0.05), lossy(0.2)]].concat();
    let mut room = room(SLOW_MOTION, SlowPolicy::Demote, 800, &profiles);
    truth(&mut room);
    assert_eq!((found(&room), room.verdict().confirmed), (0, 5));
}

#[test]
fn a_receiver_that_is_slow_again_and_again_does_not_flap() {
    let profiles = [fast(), fast(), fast(), fast()];
    let mut room = room(SLOW_MOTION, SlowPolicy::Demote, 4000, &profiles);
    for second in 0..22 {
        let speed = if second % 2 == 0 {
            1_500_000
        } else {
            500_000_000
        };
        room.at(ms(2000 * second), move |room| {
            room.machines[3].target.profile.speed = speed;
        });
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 4);
    println!("found {}, last {:?}", found(&room), last(&room, 0..4));
    assert!(found(&room) <= 4, "{}", found(&room));
}

/// The sender waits for it until it is silent, and not because it were slow.
#[test]
fn who_was_switched_off_is_not_called_slow() {
    for at in [900, 1300, 1730, 2000] {
        let mut room = room(SLOW_MOTION, SlowPolicy::Demote, 400, &vec![fast(); 3]);
        room.at(ms(at), |room| room.kill(2));
        assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
        assert_eq!((found(&room), held_up(&room).len()), (0, 0), "{at} ms");
        assert_eq!(room.member_on(2), Some(&MemberState::Lost), "{at} ms");
    }
}
