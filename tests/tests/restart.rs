//! Rooms whose sender dies and is started again while receivers run.

mod common;

use std::time::Duration;

use mimeo_protocol::ids::SessionId;
use mimeo_protocol::pacing::Rate;
use mimeo_protocol::receiver::{Progress, Resume};
use mimeo_protocol::sender::Event;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::{Announce, Auth, FailCode, Stage};
use mimeo_tests::sim::{
    Dice, DiskProfile, Ending, Filling, Image, LinkProfile, MachineProfile, Room, RoomConfig, Sight,
};

use common::{LIMIT, config, image, ms, run_until_begun, truth};

/// Blocks of the images.
const BLOCKS: u32 = 200;

/// Source symbols of a block that does not compress.
const SYMBOLS: u64 = 187;

fn noise(seed: u64) -> Image {
    Image::new(
        Filling::Random,
        BLOCKS as usize * BLOCK_SIZE,
        Dice::new(seed),
    )
}

/// 200 blocks at 100 Mbit/s take about 4.4 s.
fn room_of(image: Image, receivers: usize, profile: &MachineProfile) -> Room {
    let mut room = Room::new(slow(config(image, receivers)));
    for _ in 0..receivers {
        room.join(profile.clone());
    }
    room
}

fn slow(config: RoomConfig) -> RoomConfig {
    RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        ..config
    }
}

/// A room whose sender dies when it has begun so many blocks; an image is 200.
fn killed_at(blocks: u32, receivers: usize) -> Room {
    let mut room = room_of(noise(7), receivers, &MachineProfile::default());
    run_until_begun(&mut room, blocks);
    room.kill_sender();
    room
}

fn pass(room: &mut Room, time: Duration) {
    let until = room.elapsed() + time;
    room.at(until, |_| {});
    assert!(room.run_until(LIMIT, |room| room.elapsed() >= until));
}

fn progress(room: &Room, machine: usize) -> Progress {
    let endpoint = room.machines[machine].last().endpoint.as_ref();
    endpoint.expect("it joined").session().progress()
}

/// Symbols of blocks that the newest sender has sent.
fn sent(room: &Room) -> u64 {
    let counters = room.operator.endpoint.session().counters();
    counters.pass_symbols + counters.repair_symbols
}

fn told(room: &Room, machine: usize, what: &str) -> bool {
    let told = &room.machines[machine].last().told;
    told.iter().any(|line| line.contains(what))
}

fn assert_sessions(room: &Room, sessions: u32) {
    for machine in &room.machines {
        assert_eq!(machine.last().sessions, sessions);
    }
}

fn assert_refused(room: &Room, machine: usize, words: &str) {
    match &room.machines[machine].last().ending {
        Some(Ending::Failed(failure)) => {
            assert_eq!(failure.code, FailCode::TargetRefused);
            assert!(failure.text.contains(words), "{failure:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn half_way_through_the_new_sender_sends_the_missing_half() {
    let mut room = killed_at(BLOCKS / 2, 4);
    pass(&mut room, ms(3000));
    assert!(told(&room, 0, "Silent"));
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 4);
    assert_sessions(&room, 2);
    assert!(room.operator.told.contains(&Event::OnDemand));
    let all = u64::from(BLOCKS) * SYMBOLS;
    assert!(sent(&room) * 100 <= all * 55, "{} of {all}", sent(&room));
    for machine in 0..4 {
        let kept = progress(&room, machine).blocks_kept;
        assert!(kept >= BLOCKS * 45 / 100, "{kept}");
    }
}

#[test]
fn a_lone_machine_does_not_cost_much_because_its_sender_was_started_again() {
    let mut room = killed_at(BLOCKS / 4, 1);
    room.start_sender(|_| {});
    truth(&mut room);
    assert_sessions(&room, 2);
    let costly = |event: &Event| matches!(event, Event::Costly(_));
    assert!(!room.operator.told.iter().any(costly));
}

#[test]
fn a_sender_that_is_back_before_anybody_missed_it_is_found() {
    let mut room = killed_at(BLOCKS / 2, 2);
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_sessions(&room, 2);
}

#[test]
fn with_a_key_too_and_what_is_read_back_is_right() {
    let mut room = Room::new(RoomConfig {
        auth: Auth::KeyFile,
        ..slow(config(noise(7), 2))
    });
    for _ in 0..2 {
        let secret = Some(room.secret.clone());
        room.join(MachineProfile {
            auth: Auth::KeyFile,
            secret,
            verify: true,
            ..MachineProfile::default()
        });
    }
    run_until_begun(&mut room, BLOCKS / 2);
    room.kill_sender();
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_sessions(&room, 2);
}

#[test]
fn a_sender_with_another_key_is_not_followed() {
    let mut room = Room::new(RoomConfig {
        auth: Auth::KeyFile,
        ..slow(config(noise(7), 1))
    });
    let secret = Some(room.secret.clone());
    room.join(MachineProfile {
        auth: Auth::KeyFile,
        secret,
        idle_timeout: ms(20_000),
        ..MachineProfile::default()
    });
    run_until_begun(&mut room, BLOCKS / 2);
    room.kill_sender();
    room.start_sender(|config| {
        config.auth = Auth::Open;
        config.start.start_timeout = ms(10_000);
    });
    assert!(room.run(LIMIT));
    assert!(told(&room, 0, "OtherAuth"));
    assert_sessions(&room, 1);
    let ending = &room.machines[0].last().ending;
    let silence = |end: &Ending| matches!(end, Ending::Failed(f) if f.code == FailCode::Silence);
    assert!(ending.as_ref().is_some_and(silence), "{ending:?}");
}

#[test]
fn another_image_of_the_same_length_is_refused_and_nothing_is_written() {
    let mut room = killed_at(BLOCKS / 2, 2);
    pass(&mut room, ms(1000));
    let before: Vec<Vec<u8>> = (room.machines.iter())
        .map(|machine| machine.target.bytes().to_vec())
        .collect();
    room.start_sender(|config| config.image = noise(8));
    assert!(room.run(LIMIT));
    assert_eq!(room.verdict().lies, [] as [String; 0]);
    for (machine, before) in before.iter().enumerate() {
        assert_refused(&room, machine, "it differs at byte 0");
        assert!(room.machines[machine].target.bytes() == before);
    }
    assert_eq!(room.verdict().confirmed, 0);
}

#[test]
fn another_image_that_begins_alike_is_refused_where_it_differs() {
    let mut room = killed_at(BLOCKS / 2, 2);
    pass(&mut room, ms(1000));
    room.start_sender(|config| {
        let mut bytes = config.image.0.to_vec();
        bytes[70 * BLOCK_SIZE..71 * BLOCK_SIZE].fill(0);
        config.image = bytes.as_slice().into();
    });
    assert!(room.run(LIMIT));
    assert_eq!(room.verdict().lies, [] as [String; 0]);
    for machine in 0..2 {
        let byte = 70 * BLOCK_SIZE;
        assert_refused(&room, machine, &format!("it differs at byte {byte})"));
    }
}

#[test]
fn an_image_of_another_length_is_refused_and_the_new_sender_knows() {
    let mut room = killed_at(BLOCKS / 2, 2);
    pass(&mut room, ms(1000));
    let before = room.machines[0].target.bytes().to_vec();
    room.start_sender(|config| {
        config.image = image(Filling::Random, 190 * BLOCK_SIZE);
        config.start.start_timeout = ms(20_000);
    });
    assert!(room.run(LIMIT));
    assert_refused(&room, 0, "49807360 bytes instead of 52428800 bytes");
    assert!(room.machines[0].target.bytes() == before);
    let state = format!("{:?}", room.member_on(0));
    assert!(state.contains("another image"), "{state}");
}

#[test]
fn a_sender_may_be_started_again_twice() {
    let mut room = killed_at(60, 3);
    room.start_sender(|_| {});
    let first = room.machines[0].last().sessions;
    assert!(
        room.run_until(LIMIT, |room| room.machines[0].last().sessions > first
            && progress(room, 0).blocks_done >= 130)
    );
    room.kill_sender();
    pass(&mut room, ms(5000));
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
    assert_sessions(&room, 3);
    let all = u64::from(BLOCKS) * SYMBOLS;
    assert!(sent(&room) * 100 <= all * 40, "{} of {all}", sent(&room));
}

#[test]
fn a_sender_that_dies_before_the_first_page_is_followed() {
    let mut room = room_of(noise(7), 2, &MachineProfile::default());
    let joined = |room: &Room| room.machines.iter().all(|m| m.last().number.is_some());
    assert!(room.run_until(LIMIT, joined));
    room.kill_sender();
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_sessions(&room, 2);
}

#[test]
fn a_receiver_that_stands_still_meanwhile_follows_too() {
    let mut room = killed_at(BLOCKS / 2, 3);
    room.pause(2);
    pass(&mut room, ms(1000));
    room.start_sender(|_| {});
    pass(&mut room, ms(4000));
    room.resume(2);
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
    assert_sessions(&room, 2);
}

#[test]
fn runs_of_zeros_and_compressed_blocks_are_kept_as_well() {
    let mixed = image(Filling::Mixed, 600 * BLOCK_SIZE + 777);
    let mut room = room_of(mixed, 2, &MachineProfile::default());
    run_until_begun(&mut room, 200);
    room.kill_sender();
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    for machine in 0..2 {
        let progress = progress(&room, machine);
        let total = progress.bytes_written + progress.bytes_kept;
        assert_eq!(total, 600 * BLOCK_SIZE as u64 + 777);
        assert!(progress.bytes_kept > 100 * BLOCK_SIZE as u64);
    }
}

#[test]
fn a_receiver_that_resumes_looks_only_at_what_it_does_not_know() {
    let new = image(Filling::Random, 400 * BLOCK_SIZE);
    // It holds the last quarter of the image, which the first sender does not come to.
    let mut old = new.0.to_vec();
    Dice::new(5).fill(&mut old[..300 * BLOCK_SIZE]);
    let profile = MachineProfile {
        resume: Resume::Always,
        holds: Some(old.as_slice().into()),
        ..MachineProfile::default()
    };
    let mut room = room_of(new, 2, &profile);
    assert!(room.run_until(LIMIT, |room| progress_if_any(room) >= 80));
    room.kill_sender();
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    let kept = progress(&room, 0).blocks_kept;
    assert!((180..200).contains(&kept), "{kept}");
}

fn progress_if_any(room: &Room) -> u32 {
    let endpoint = room.machines[0].last().endpoint.as_ref();
    endpoint.map_or(0, |endpoint| endpoint.session().progress().blocks_done)
}

#[test]
fn an_old_sender_that_is_heard_again_in_time_is_stayed_with() {
    let mut room = room_of(noise(7), 2, &MachineProfile::default());
    run_until_begun(&mut room, BLOCKS / 2);
    room.suspend_sender();
    pass(&mut room, ms(6000));
    assert!(told(&room, 0, "Silent"));
    room.resume_sender();
    truth(&mut room);
    assert!(told(&room, 0, "Back"));
    assert_eq!(room.verdict().confirmed, 2);
    assert_sessions(&room, 1);
}

#[test]
fn an_old_sender_that_comes_back_too_late_does_not_disturb_the_new_one() {
    let mut room = room_of(noise(7), 2, &MachineProfile::default());
    run_until_begun(&mut room, BLOCKS / 2);
    room.suspend_sender();
    pass(&mut room, ms(3000));
    room.start_sender(|_| {});
    pass(&mut room, ms(1500));
    assert_sessions(&room, 2);
    room.resume_sender_number(0);
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_sessions(&room, 2);
}

#[test]
fn receivers_that_are_heard_by_the_old_sender_do_not_follow_another() {
    let mut room = room_of(noise(7), 2, &MachineProfile::default());
    run_until_begun(&mut room, BLOCKS / 2);
    // It has no receiver, and gives up.
    room.start_sender(|config| config.start.start_timeout = ms(3000));
    assert!(room.run(LIMIT));
    assert_sessions(&room, 1);
    for machine in &room.machines {
        let ending = machine.last().ending.as_ref();
        assert_eq!(ending, Some(&Ending::Finished { acknowledged: true }));
    }
}

/// An announce of a session that nobody runs.
fn forged(id: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let announce = Announce {
        session_id: SessionId([id; 16]),
        auth: Auth::Open,
        joinable: true,
        session_name: "room".to_owned(),
    };
    announce.encode(&mut bytes);
    bytes
}

#[test]
fn forged_announces_lead_nobody_away() {
    let mut room = room_of(noise(7), 2, &MachineProfile::default());
    run_until_begun(&mut room, BLOCKS / 4);
    for id in 0..200 {
        room.throw_at_machine(usize::from(id % 2), &forged(id));
    }
    run_until_begun(&mut room, BLOCKS / 2);
    room.suspend_sender();
    pass(&mut room, ms(2500));
    // The receivers search: they ask who is not there, and go on asking.
    for id in 0..4 {
        room.throw_at_machine(usize::from(id % 2), &forged(id));
    }
    pass(&mut room, ms(6000));
    assert!(told(&room, 0, "Ambiguous"));
    room.resume_sender();
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_sessions(&room, 1);
}

#[test]
fn forged_announces_do_not_keep_receivers_from_the_new_sender_for_long() {
    let mut room = killed_at(BLOCKS / 2, 2);
    pass(&mut room, ms(2500));
    for machine in 0..2 {
        room.throw_at_machine(machine, &forged(9));
    }
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_sessions(&room, 2);
}

#[test]
fn a_stream_that_is_sent_again_is_taken_up() {
    let mut room = Room::new(slow(config(noise(7), 2)).stream());
    for _ in 0..2 {
        room.join(MachineProfile::default());
    }
    run_until_begun(&mut room, BLOCKS / 2);
    room.kill_sender();
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_sessions(&room, 2);
    assert!(progress(&room, 0).blocks_kept >= BLOCKS * 45 / 100);
}

#[test]
fn a_stream_is_not_the_continuation_of_a_file() {
    let mut room = killed_at(BLOCKS / 2, 1);
    room.start_sender(|config| {
        config.length_known = false;
        config.start.start_timeout = ms(20_000);
    });
    assert!(room.run(LIMIT));
    assert_refused(&room, 0, "a stream instead of 52428800 bytes");
}

#[test]
fn who_has_everything_searches_for_nobody() {
    let profile = MachineProfile {
        disk: DiskProfile {
            flush: ms(10_000),
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    };
    let mut room = room_of(noise(7), 1, &profile);
    let flushing = |room: &Room| {
        let endpoint = room.machines[0].last().endpoint.as_ref();
        endpoint.is_some_and(|endpoint| endpoint.session().progress().stage == Stage::Flushing)
    };
    assert!(room.run_until(LIMIT, flushing));
    room.kill_sender();
    room.start_sender(|config| config.start.start_timeout = ms(30_000));
    assert!(room.run(LIMIT));
    assert_sessions(&room, 1);
    let ending = room.machines[0].last().ending.as_ref();
    assert_eq!(
        ending,
        Some(&Ending::Finished {
            acknowledged: false
        })
    );
}

#[test]
fn without_a_new_sender_the_silence_ends_as_ever() {
    let mut room = killed_at(BLOCKS / 2, 1);
    let killed = room.elapsed();
    assert!(room.run(LIMIT));
    let life = room.machines[0].last();
    assert!(matches!(&life.ending, Some(Ending::Failed(f)) if f.code == FailCode::Silence));
    let waited = life.ended_at.expect("it ended") - room.started() - killed;
    assert!((ms(60_000)..ms(63_000)).contains(&waited), "{waited:?}");
}

#[test]
fn a_receiver_that_was_suspended_for_longer_than_it_waits_goes_on() {
    let mut room = room_of(noise(7), 2, &MachineProfile::default());
    run_until_begun(&mut room, BLOCKS / 4);
    room.suspend_sender();
    room.pause(0);
    pass(&mut room, ms(50_000));
    room.pause(1);
    pass(&mut room, ms(40_000));
    room.resume(0);
    room.resume(1);
    pass(&mut room, ms(5000));
    room.resume_sender();
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
}

#[test]
fn a_lost_welcome_is_asked_for_again() {
    let mut room = killed_at(BLOCKS / 2, 1);
    let mut lost = 0;
    room.lose(move |crossing| {
        let lose = matches!(crossing.sight, Sight::Welcome) && lost < 2;
        lost += u32::from(lose);
        lose
    });
    room.start_sender(|_| {});
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 1);
    assert_sessions(&room, 2);
}

fn draw_machine(dice: &mut Dice, image: &Image) -> MachineProfile {
    let holds = dice.chance(0.3).then(|| {
        let mut old = image.0.to_vec();
        for block in old.chunks_mut(BLOCK_SIZE) {
            if dice.chance(0.3) {
                dice.fill(block);
            }
        }
        Image::from(old.as_slice())
    });
    MachineProfile {
        down: LinkProfile {
            loss: dice.pick(&[0.0, 0.01, 0.05]),
            duplicates: dice.pick(&[0.0, 0.05]),
            jitter: Duration::from_micros(dice.pick(&[0, 500])),
            ..LinkProfile::default()
        },
        disk: DiskProfile {
            speed: dice.pick(&[5_000_000, 500_000_000]),
            ..DiskProfile::default()
        },
        buffers: dice.pick(&[64, 256]),
        resume: if holds.is_some() {
            Resume::Always
        } else {
            Resume::Off
        },
        holds,
        verify: dice.chance(0.3),
        ..MachineProfile::default()
    }
}

/// A sender that dies at any moment, up to three times, and is started again soon or late.
#[test]
fn whenever_it_dies_everybody_gets_the_image() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let blocks = dice.pick(&[20, 65, 130]);
        let filling = dice.pick(&[Filling::Mixed, Filling::Text, Filling::Random]);
        let image = Image::new(filling, blocks * BLOCK_SIZE + 5, dice.fork());
        let mut room = Room::new(RoomConfig {
            seed,
            rate_cap: Some(Rate(dice.pick(&[30_000_000, 100_000_000]))),
            // A probe may be lost: who comes a second later finds the session open.
            linger: ms(2000),
            ..RoomConfig::new(seed, image.clone())
        });
        let machines = dice.between(1, 4);
        for _ in 0..machines {
            room.join(draw_machine(&mut dice, &image));
        }
        let mut died = 0;
        for _ in 0..dice.between(1, 3) {
            // At first they listen for other senders.
            let time = ms(400 + dice.below(1500));
            pass(&mut room, time);
            // Whoever is there at its end has nobody to look for.
            if room.operator.is_over() || room.machines.iter().any(|m| m.life().is_none()) {
                break;
            }
            room.kill_sender();
            died += 1;
            pass(&mut room, ms(dice.pick(&[1, 500, 4000])));
            room.start_sender(|config| config.start.start_timeout = ms(15_000));
            pass(&mut room, ms(3000));
        }
        assert!(room.run(LIMIT), "seed {seed}: no end");
        let verdict = room.verdict();
        assert_eq!(verdict.lies, [] as [String; 0], "seed {seed}");
        let finished = usize::try_from(machines).expect("a few");
        assert_eq!(verdict.finished, finished, "seed {seed}, died {died} times");
    }
}
