//! A thousand rooms, each drawn from a seed, and the truth in every one of them.
//!
//! `MIMEO_SEED=n` runs one room of seed `n` only.

use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::receiver::Resume;
use mimeo_protocol::sender::{Parity, StartPolicy};
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::{Auth, FailCode};
use mimeo_tests::sim::{
    Bursts, Dice, DiskProfile, Ending, Filling, Image, LinkProfile, MachineProfile, Room,
    RoomConfig, Trouble,
};

/// A room that takes longer than this has lost its way: the slowest disk and the slowest port
/// that are drawn take 40 blocks in 15 s, and a receiver gives a sender up after 60 s.
const LIMIT: Duration = Duration::from_secs(240);

/// Datagrams and other events under way in a room: 8 receivers, 50 ms at 1 Gbit/s, doubled.
const MOST_PENDING: usize = 8 * 4200 * 2;

/// What was done to a machine on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Killed,
    Restarted,
    Paused,
    Interrupted,
    BrokenDisk,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn draw_link(dice: &mut Dice, loss: f64) -> LinkProfile {
    let bursts = dice.chance(0.2).then(|| Bursts {
        length: 1.0 + 60.0 * dice.unit(),
        gap: 500.0 + 4000.0 * dice.unit(),
    });
    LinkProfile {
        delay: ms(dice.pick(&[0, 0, 0, 1, 5, 50])),
        jitter: Duration::from_micros(dice.pick(&[0, 0, 20, 500, 3000])),
        rate: dice.pick(&[
            None,
            Some(1_000_000_000),
            Some(100_000_000),
            Some(10_000_000),
        ]),
        queue: dice.pick(&[32, 128, 512]) * 1024,
        loss: loss * dice.unit(),
        bursts,
        duplicates: dice.pick(&[0.0, 0.0, 0.01, 0.1]),
        corruption: dice.pick(&[0.0, 0.0, 0.001, 0.01]),
        cut: false,
    }
}

fn draw_machine(dice: &mut Dice) -> MachineProfile {
    let loss = dice.pick(&[0.0, 0.01, 0.05, 0.2]);
    MachineProfile {
        down: draw_link(dice, loss),
        up: LinkProfile {
            rate: Some(10_000_000),
            ..draw_link(dice, loss)
        },
        disk: DiskProfile {
            speed: dice.pick(&[5_000_000, 50_000_000, 500_000_000]),
            flush: ms(dice.pick(&[0, 20, 2000])),
            reads: dice.pick(&[100_000_000, 2_000_000_000]),
            trouble: dice.chance(0.05).then_some(Trouble::BadMemory(2)),
            discards: false,
        },
        buffers: dice.pick(&[64, 256]),
        window: dice.pick(&[64, 2048]),
        ..MachineProfile::default()
    }
}

fn draw_image(dice: &mut Dice) -> Image {
    let blocks = dice.pick(&[1, 2, 5, 15, 16, 17, 40]);
    let odd = dice.pick(&[0, 0, 1, 777, BLOCK_SIZE - 1]);
    let filling = dice.pick(&[
        Filling::Mixed,
        Filling::Mixed,
        Filling::Text,
        Filling::Zeros,
    ]);
    Image::new(filling, (blocks - 1) * BLOCK_SIZE + odd.max(1), dice.fork())
}

/// What somebody holds of the image from before: all but some of its blocks, or all that there are
/// of a shorter or longer one.
fn draw_old(dice: &mut Dice, image: &Image) -> Image {
    let change = dice.pick(&[0.0, 0.1, 0.5, 1.0]);
    let mut bytes = image.0.to_vec();
    for block in bytes.chunks_mut(BLOCK_SIZE) {
        if dice.chance(change) {
            dice.fill(block);
        }
    }
    let len = dice.pick(&[bytes.len(), bytes.len() / 2, bytes.len() + 999]);
    bytes.resize(len, 7);
    bytes.as_slice().into()
}

fn draw_config(seed: u64, dice: &mut Dice, receivers: u64) -> RoomConfig {
    let config = RoomConfig {
        start: StartPolicy {
            min_receivers: dice.between(1, receivers) as usize,
            min_wait: ms(dice.pick(&[0, 0, 700])),
            max_wait: Some(Duration::from_secs(3)),
            start_timeout: Duration::from_secs(30),
            ..StartPolicy::default()
        },
        rate_cap: dice.pick(&[None, Some(Rate(10_000_000)), Some(Rate(300_000_000))]),
        parity: dice.pick(&[
            Parity::Auto,
            Parity::Auto,
            Parity::Fixed(2),
            Parity::Fixed(40),
        ]),
        linger: ms(dice.pick(&[0, 0, 500])),
        auth: dice.pick(&[Auth::Open, Auth::KeyFile]),
        ..RoomConfig::new(seed, draw_image(dice))
    };
    match dice.below(4) {
        0 => config.stream(),
        1 => RoomConfig {
            seekable: false,
            ..config
        },
        _ => config,
    }
}

fn draw_fate(dice: &mut Dice) -> Fate {
    let stays = [Fate::Stays; 10];
    let others = [
        Fate::Killed,
        Fate::Restarted,
        Fate::Paused,
        Fate::Interrupted,
        Fate::BrokenDisk,
    ];
    dice.pick(&[&stays[..], &others].concat())
}

fn befall(room: &mut Room, dice: &mut Dice, machine: usize, fate: Fate) {
    let when = room.elapsed() + ms(dice.between(200, 3000));
    let later = when + ms(dice.between(10, 4000));
    match fate {
        Fate::Stays => {}
        Fate::BrokenDisk => {
            let bytes = dice.below(room.image.len() as u64 + 1);
            room.machines[machine].target.profile.trouble = Some(Trouble::FailsAfter(bytes));
        }
        Fate::Killed => room.at(when, move |room| room.kill(machine)),
        Fate::Interrupted => room.at(when, move |room| room.interrupt(machine)),
        Fate::Restarted => {
            let resume = dice.pick(&[Resume::Off, Resume::Off, Resume::IfPart, Resume::Always]);
            room.at(when, move |room| {
                room.kill(machine);
                room.machines[machine].profile.resume = resume;
                room.at(later, move |room| room.start(machine));
            });
        }
        Fate::Paused => room.at(when, move |room| {
            room.pause(machine);
            room.at(later, move |room| room.resume(machine));
        }),
    }
}

/// Whether an ending is what can come of what was done to a machine.
fn is_honest(room: &Room, machine: usize, fate: Fate, in_time: bool, seekable: bool) -> bool {
    let Some(life) = room.machines[machine].lives.last() else {
        // The room was over before it came.
        return !in_time;
    };
    let Some(ending) = &life.ending else {
        return false;
    };
    match (ending, fate) {
        (Ending::Finished { .. }, _)
        | (Ending::Killed, Fate::Killed | Fate::Restarted)
        | (Ending::Failed(_), Fate::Interrupted | Fate::BrokenDisk) => true,
        // Who comes late, or back, may find the room closed, or nobody. Who searched in vain
        // was switched off in the end.
        (Ending::Refused(_) | Ending::Failed(_), Fate::Restarted) => true,
        (Ending::Refused(_), _) => !in_time || fate == Fate::Paused,
        (Ending::Killed, _) => !in_time && life.endpoint.is_none(),
        // A stream does not wait for those who stand still, nor for those whose first report
        // was lost when it started.
        (Ending::Failed(failure), Fate::Paused) => {
            failure.code == FailCode::Silence && (!seekable || !in_time)
        }
        (Ending::Failed(failure), _) => failure.code == FailCode::Silence && !seekable && !in_time,
    }
}

/// A machine, what befalls it, and whether the room had to wait for it.
type Person = (usize, Fate, bool);

fn fill(room: &mut Room, dice: &mut Dice, receivers: u64, config: &RoomConfig) -> Vec<Person> {
    let waits_for_all = config.start.min_receivers as u64 == receivers;
    let mut people = Vec::new();
    let resuming = dice.pick(&[0.0, 0.0, 0.5, 1.0]);
    for _ in 0..receivers {
        let mut profile = draw_machine(dice);
        profile.auth = config.auth;
        profile.secret = (config.auth == Auth::KeyFile).then(|| room.secret.clone());
        if dice.chance(resuming) {
            profile.resume = Resume::Always;
            profile.holds = Some(draw_old(dice, &room.image));
        }
        let machine = room.add(profile);
        let fate = draw_fate(dice);
        befall(room, dice, machine, fate);
        let late = ms(dice.pick(&[0, 0, 0, 50, 400, 1500]));
        room.at(late, move |room| {
            if room.machines[machine].lives.is_empty() {
                room.start(machine);
            }
        });
        people.push((machine, fate, late.is_zero() && waits_for_all));
    }
    // Machines that searched in vain are switched off in the end.
    room.at(LIMIT - Duration::from_secs(1), |room| {
        for machine in 0..room.machines.len() {
            let life = room.machines[machine].life();
            if life.is_some_and(|life| life.endpoint.is_none()) {
                room.kill(machine);
            }
        }
    });
    people
}

fn run(seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let receivers = dice.pick(&[1, 1, 2, 3, 4, 8]);
    let config = draw_config(seed, &mut dice, receivers);
    let mut room = Room::new(config.clone());
    let people = fill(&mut room, &mut dice, receivers, &config);
    let ended = room.run(LIMIT);
    let mut lies = room.verdict().lies;
    if !ended {
        let phase = room.operator.endpoint.session().phase();
        lies.push(format!("no end in time: {phase:?}"));
    }
    if room.most_pending > MOST_PENDING {
        lies.push(format!("{} events under way", room.most_pending));
    }
    for (machine, fate, in_time) in people {
        if !is_honest(&room, machine, fate, in_time, config.seekable) {
            let ending = &room.machines[machine].last().ending;
            let state = room.member_on(machine);
            lies.push(format!("pc{machine} {fate:?}: {ending:?}, {state:?}"));
        }
    }
    if lies.is_empty() {
        return Ok(());
    }
    let (bytes, seekable) = (config.image.len(), config.seekable);
    let story = format!("{bytes} bytes, seekable {seekable}, {:?}", config.parity);
    Err(format!("MIMEO_SEED={seed} ({story}): {lies:#?}"))
}

/// Runs every room of a shard and reports all that went wrong.
fn shard(shard: u64) {
    const ROOMS: u64 = 128;
    let chosen = std::env::var("MIMEO_SEED").ok();
    let chosen = chosen.map(|seed| seed.parse::<u64>().expect("MIMEO_SEED is a number"));
    let seeds = shard * ROOMS..(shard + 1) * ROOMS;
    let failures: Vec<_> = seeds
        .filter(|seed| chosen.is_none_or(|chosen| chosen == *seed))
        .filter_map(|seed| run(seed).err())
        .collect();
    assert!(
        failures.is_empty(),
        "{} rooms:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

macro_rules! shards {
    ($($name:ident = $shard:literal),*) => {
        $(
            #[test]
            fn $name() {
                shard($shard);
            }
        )*
    };
}

shards!(
    rooms_0_to_127 = 0,
    rooms_128_to_255 = 1,
    rooms_256_to_383 = 2,
    rooms_384_to_511 = 3,
    rooms_512_to_639 = 4,
    rooms_640_to_767 = 5,
    rooms_768_to_895 = 6,
    rooms_896_to_1023 = 7
);
