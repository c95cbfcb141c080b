//! Rooms in which something in particular happens to somebody.

mod common;

use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::{MemberState, Phase, SlowPolicy, SlowRules, StartPolicy};
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::FailCode;
use mimeo_tests::sim::{
    DiskProfile, Ending, Filling, LinkProfile, MachineProfile, Operator, Room, RoomConfig, Sight,
    Trouble,
};

use common::{
    LIMIT, begun, config, finished_at, image, long_room, ms, room_at, run_until_begun, truth,
};

#[test]
fn the_same_seed_gives_the_same_history() {
    let trace = |seed| {
        let mut room = Room::new(RoomConfig {
            seed,
            ..config(image(Filling::Mixed, 20 * BLOCK_SIZE), 4)
        });
        for _ in 0..4 {
            room.join(MachineProfile {
                down: LinkProfile {
                    loss: 0.1,
                    jitter: ms(1),
                    duplicates: 0.1,
                    corruption: 0.01,
                    ..LinkProfile::default()
                },
                ..MachineProfile::default()
            });
        }
        truth(&mut room);
        (room.trace(), room.elapsed())
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_killed_receiver_does_not_hold_up_the_others() {
    // It gates the stream for 600 ms, for most of which its socket has room.
    let rate = Rate(50_000_000);
    let mut quiet = room_at(rate, 8);
    truth(&mut quiet);
    let mut room = room_at(rate, 8);
    run_until_begun(&mut room, 30);
    room.kill(3);
    truth(&mut room);
    let last = |room: &Room| {
        (0..8)
            .filter(|&m| m != 3)
            .map(|m| finished_at(room, m))
            .max()
    };
    let (alone, with) = (last(&quiet).unwrap(), last(&room).unwrap());
    assert!(with <= alone.mul_f64(1.1), "{with:?} instead of {alone:?}");
    assert_eq!(room.member_on(3), Some(&MemberState::Lost));
}

#[test]
fn a_late_joiner_gets_the_whole_image() {
    let mut room = long_room(2);
    run_until_begun(&mut room, 32);
    let late = room.join(MachineProfile::default());
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
    assert!(finished_at(&room, 0) < finished_at(&room, late));
    // The first half again, and little else.
    let sent = room.operator.endpoint.session().counters().pass_symbols;
    assert!(sent < 187 * 64 * 7 / 4, "{sent}");
}

#[test]
fn newcomers_in_a_later_cycle_do_not_stop_it() {
    let mut room = long_room(1);
    run_until_begun(&mut room, 32);
    room.join(MachineProfile::default());
    let in_second = |room: &Room| room.operator.endpoint.session().position().cycle.0 == 2;
    assert!(room.run_until(LIMIT, |room| in_second(room) && begun(room) >= 16));
    let last = room.join(MachineProfile::default());
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
    assert!(finished_at(&room, last) < Duration::from_secs(6));
}

#[test]
fn a_machine_that_the_group_does_not_reach_does_not_hold_up_the_room() {
    let mut quiet = long_room(3);
    truth(&mut quiet);
    let mut room = long_room(4);
    room.lose(|crossing| {
        let group = matches!(
            crossing.sight,
            Sight::Symbol(_) | Sight::PageSymbol(_) | Sight::Control(_)
        );
        crossing.machine == 3 && group
    });
    truth(&mut room);
    for machine in 0..3 {
        let (alone, with) = (finished_at(&quiet, machine), finished_at(&room, machine));
        assert!(with <= alone + ms(1500), "{with:?} instead of {alone:?}");
    }
    let told = &room.machines[3].last().told;
    assert!(told.iter().any(|told| told == "NoGroupData"), "{told:?}");
    assert!(
        matches!(
            room.member_on(3),
            Some(MemberState::Failed {
                code: FailCode::Silence,
                ..
            })
        ),
        "{:?}",
        room.member_on(3)
    );
}

#[test]
fn a_slow_disk_slows_the_stream_and_loses_nothing() {
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        slow: SlowRules {
            policy: SlowPolicy::Wait,
            ..SlowRules::default()
        },
        ..config(image(Filling::Random, 64 * BLOCK_SIZE), 1)
    });
    room.join(MachineProfile::default());
    let slow = room.join(MachineProfile {
        disk: DiskProfile {
            speed: 4_000_000,
            ..DiskProfile::default()
        },
        buffers: 64,
        ..MachineProfile::default()
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    // 16 MiB at 4 MB/s, once the first group is there.
    assert!(
        finished_at(&room, slow) < ms(5000),
        "{:?}",
        finished_at(&room, slow)
    );
    let counters = room.operator.endpoint.session().counters();
    assert_eq!(counters.repair_symbols, 0, "{counters:?}");
}

#[test]
fn an_aborted_session_ends_everywhere_at_once() {
    let mut room = long_room(3);
    run_until_begun(&mut room, 30);
    let at = room.elapsed();
    room.operate(|operator: &mut Operator, now| {
        let session = operator.endpoint.session_mut();
        session.handle_abort(now, FailCode::Interrupted, "interrupted");
    });
    truth(&mut room);
    assert_eq!(room.verdict().failed, 3);
    assert!(room.elapsed() - at < ms(500), "{:?}", room.elapsed() - at);
}

#[test]
fn a_room_that_loses_everybody_ends() {
    let mut room = long_room(3);
    run_until_begun(&mut room, 30);
    for machine in 0..3 {
        room.kill(machine);
    }
    let at = room.elapsed();
    truth(&mut room);
    assert_eq!((room.verdict().killed, room.verdict().confirmed), (3, 0));
    assert!(room.elapsed() - at < Duration::from_secs(12));
}

#[test]
fn a_restarted_machine_takes_its_old_place() {
    let mut room = long_room(2);
    run_until_begun(&mut room, 30);
    room.start(1);
    truth(&mut room);
    assert_eq!((room.verdict().killed, room.verdict().confirmed), (1, 2));
    assert_eq!(
        room.operator.endpoint.session().roster().members().count(),
        2
    );
}

#[test]
fn a_failing_disk_is_told_and_the_others_finish() {
    let mut room = long_room(2);
    let broken = room.join(MachineProfile {
        disk: DiskProfile {
            trouble: Some(Trouble::FailsAfter(20 * BLOCK_SIZE as u64)),
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    });
    truth(&mut room);
    let state = room.member_on(broken);
    let told = matches!(state, Some(MemberState::Failed { code: FailCode::TargetFailed, text }) if text == "the disk is broken");
    assert!(told, "{state:?}");
    assert_eq!(room.verdict().confirmed, 2);
}

#[test]
fn blocks_spoilt_in_memory_are_collected_again_and_broken_memory_is_a_failure() {
    for (blocks, code) in [(40, None), (u32::MAX, Some(FailCode::TooMuch))] {
        let mut room = long_room(1);
        let bad = room.join(MachineProfile {
            disk: DiskProfile {
                trouble: Some(Trouble::BadMemory(blocks)),
                ..DiskProfile::default()
            },
            ..MachineProfile::default()
        });
        truth(&mut room);
        let failed = match room.member_on(bad) {
            Some(MemberState::Failed { code, .. }) => Some(*code),
            _ => None,
        };
        assert_eq!(failed, code);
        assert_eq!(room.verdict().confirmed, 1 + usize::from(code.is_none()));
    }
}

#[test]
fn a_burst_of_200_lost_datagrams_costs_little_more_than_200() {
    let mut room = long_room(2);
    run_until_begun(&mut room, 20);
    let mut left = 200;
    room.lose(move |crossing| {
        let lost = crossing.machine == 1 && left > 0;
        left -= u32::from(lost);
        lost
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    let counters = room.operator.endpoint.session().counters();
    assert!(
        (190..=230).contains(&counters.repair_symbols),
        "{counters:?}"
    );
}

#[test]
fn a_receiver_that_stands_still_for_5_s_finishes_and_the_others_do_not_wait() {
    let mut quiet = long_room(3);
    truth(&mut quiet);
    let mut room = long_room(3);
    run_until_begun(&mut room, 20);
    room.pause(2);
    room.at(room.elapsed() + Duration::from_secs(5), |room| {
        room.resume(2);
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
    for machine in 0..2 {
        let (alone, with) = (finished_at(&quiet, machine), finished_at(&room, machine));
        // The room waits for the reports that are due: 600 ms at most.
        assert!(with <= alone + ms(800), "{with:?} instead of {alone:?}");
    }
}

#[test]
fn a_sender_that_stood_still_for_30_s_goes_on_where_it_was() {
    let mut quiet = long_room(3);
    truth(&mut quiet);
    let mut room = long_room(3);
    run_until_begun(&mut room, 30);
    let pause = Duration::from_secs(30);
    room.suspend_sender();
    room.at(room.elapsed() + pause, Room::resume_sender);
    truth(&mut room);
    for machine in 0..3 {
        let (alone, with) = (finished_at(&quiet, machine), finished_at(&room, machine));
        assert!(
            with <= alone + pause + ms(500),
            "{with:?} instead of {alone:?}"
        );
    }
    // Nobody's silence in that time counted.
    let session = room.operator.endpoint.session();
    assert!(
        session
            .roster()
            .members()
            .all(|(_, member)| !member.was_away)
    );
    assert_eq!(session.position().cycle.0, 1);
}

#[test]
fn pauses_and_little_memory_do_not_stop_a_room() {
    let mut room = long_room(1);
    let small = room.join(MachineProfile {
        buffers: 32,
        window: 64,
        ..MachineProfile::default()
    });
    for second in 0..4 {
        room.at(ms(400 + 1000 * second), move |room| room.pause(small));
        room.at(ms(1200 + 1000 * second), move |room| room.resume(small));
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
}

/// In the second half of a transfer, when the rate is found.
fn reports_per_second(rate: Rate, receivers: usize) -> f64 {
    let image = image(Filling::Random, 64 * BLOCK_SIZE);
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(rate),
        ..config(image, receivers)
    });
    for _ in 0..receivers {
        room.join(MachineProfile {
            disk: DiskProfile {
                discards: true,
                ..DiskProfile::default()
            },
            ..MachineProfile::default()
        });
    }
    let reports = |room: &Room| room.operator.endpoint.session().counters().reports;
    run_until_begun(&mut room, 24);
    let (at, before) = (room.elapsed(), reports(&room));
    run_until_begun(&mut room, 48);
    let rate = (reports(&room) - before) as f64 / (room.elapsed() - at).as_secs_f64();
    truth(&mut room);
    rate
}

#[test]
fn feedback_is_modest() {
    // At 8300 datagrams per second four reports in a window are 16, and five are due anyway.
    let small = reports_per_second(Rate(100_000_000), 8);
    assert!(small < 8.0 * 18.0, "{small:.0} reports per second");
    // The goal: 500 per second of 80 receivers without loss. It is slow here, so that half of
    // the little image comes after the first reports, which follow each other closely.
    let large = reports_per_second(Rate(20_000_000), 80);
    assert!(large < 500.0, "{large:.0} reports per second");
}

#[test]
fn a_session_without_receivers_gives_up_and_says_so() {
    let mut room = Room::new(RoomConfig {
        start: StartPolicy {
            min_receivers: 2,
            start_timeout: Duration::from_secs(20),
            ..StartPolicy::default()
        },
        ..RoomConfig::new(1, image(Filling::Text, BLOCK_SIZE))
    });
    let alone = room.join(MachineProfile::default());
    assert!(
        room.run_until(LIMIT, |room| *room.operator.endpoint.session().phase()
            == Phase::Over)
    );
    // The time, and what it takes to tell the one that waited.
    let told = Duration::from_secs(20)..Duration::from_secs(21);
    assert!(told.contains(&room.elapsed()), "{:?}", room.elapsed());
    assert!(room.run(LIMIT));
    assert!(matches!(
        room.machines[alone].last().ending,
        Some(Ending::Failed(_))
    ));
}
