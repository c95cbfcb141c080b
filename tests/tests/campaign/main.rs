//! Two thousand rooms, each drawn from a seed, and the truth in every one of them.
//!
//! `MIMEO_SEED=n` runs one room of seed `n` only, `MIMEO_ROOMS=n` so many rooms of each shard
//! instead of [`ROOMS`], from seeds that nobody ran before.

mod draw;
mod fates;
mod mishaps;

use std::time::Duration;

use mimeo_protocol::receiver::Resume;
use mimeo_protocol::wire::{Auth, FailCode};
use mimeo_tests::sim::{Dice, Ending, Room, RoomConfig};

use draw::ms;
use fates::Fate;
use mishaps::Mishap;

/// A room that takes longer than this has lost its way: the slowest disk and the slowest port
/// that are drawn take 40 blocks in 15 s, a disk may crawl and a machine may be away for 30 s, and
/// a receiver gives a sender up after 60 s.
const LIMIT: Duration = Duration::from_secs(300);

/// Datagrams and other events under way in a room: 8 receivers, 50 ms at 1 Gbit/s, doubled.
const MOST_PENDING: usize = 8 * 4200 * 2;

/// Blocks that the sender knows and has not begun: two pages, and what the reader had begun.
const MOST_AHEAD: u32 = 192;

/// Rooms in a shard.
const ROOMS: u64 = 272;

/// Away for as long as this, a machine that comes back to an image in a file still gets it: it is
/// lost after 10 s, and the room closes.
const FORGIVEN: Duration = Duration::from_secs(8);

/// A machine, what befalls it, and whether the room had to wait for it.
struct Person {
    machine: usize,
    fate: Fate,
    in_time: bool,
}

/// What was drawn, beside the machines.
struct Story {
    config: RoomConfig,
    mishap: Mishap,
    people: Vec<Person>,
}

/// Whether an ending is what can come of what was done to a machine.
fn is_honest(room: &Room, person: &Person, story: &Story) -> bool {
    let Person {
        machine,
        fate,
        in_time,
    } = *person;
    let Some(life) = room.machines[machine].lives.last() else {
        // The room was over before it came.
        return !in_time;
    };
    let Some(ending) = &life.ending else {
        return false;
    };
    let prospects = fate.prospects(room.machines[machine].profile.resume != Resume::Off);
    let away = story.mishap.away(machine);
    let seekable = story.config.seekable;
    // A stream does not wait for those who stand still, nor for those whose first report was lost
    // when it started; no room does so for ever.
    let may_miss = !in_time || prospects.may_miss || away.is_some();
    let left_behind = may_miss
        && (!seekable
            || !in_time
            || matches!(fate, Fate::Restarted(_))
            || prospects.away.max(away.unwrap_or_default()) > FORGIVEN);
    match ending {
        Ending::Finished { .. } => !prospects.doomed,
        Ending::Killed => prospects.killed || (may_miss && life.endpoint.is_none()),
        Ending::Refused(_) => may_miss,
        Ending::Failed(failure) if prospects.fails.contains(&failure.code) => true,
        Ending::Failed(failure) if story.mishap.fails().contains(&failure.code) => true,
        Ending::Failed(failure) => failure.code == FailCode::Silence && left_behind,
    }
}

fn fill(room: &mut Room, dice: &mut Dice, receivers: u64, config: &RoomConfig) -> Vec<Person> {
    let waits_for_all = config.start.min_receivers as u64 == receivers;
    let mut people = Vec::new();
    let resuming = dice.pick(&[0.0, 0.0, 0.5, 1.0]);
    for _ in 0..receivers {
        let mut profile = draw::machine(dice);
        profile.auth = config.auth;
        profile.secret = (config.auth == Auth::KeyFile).then(|| room.secret.clone());
        if dice.chance(resuming) {
            profile.resume = Resume::Always;
            profile.holds = Some(draw::old(dice, &room.image));
        }
        let machine = room.add(profile);
        let fate = fates::draw(dice, room.image.len() as u64);
        fates::befall(room, dice, machine, fate);
        let late = ms(dice.pick(&[0, 0, 0, 50, 400, 1500]));
        room.at(late, move |room| {
            if room.machines[machine].lives.is_empty() {
                room.start(machine);
            }
        });
        people.push(Person {
            machine,
            fate,
            in_time: late.is_zero() && waits_for_all,
        });
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
    let config = draw::config(seed, &mut dice, receivers);
    let mut room = Room::new(config.clone());
    let people = fill(&mut room, &mut dice, receivers, &config);
    let mishap = mishaps::draw(&mut dice, receivers);
    mishaps::happen(&mut room, &mut dice, mishap);
    let story = Story {
        config,
        mishap,
        people,
    };
    let lies = tell(&mut room, &story);
    if lies.is_empty() {
        return Ok(());
    }
    let (bytes, seekable) = (story.config.image.len(), story.config.seekable);
    let parity = story.config.parity;
    let words = format!("{bytes} bytes, seekable {seekable}, {parity:?}, {mishap:?}");
    Err(format!("MIMEO_SEED={seed} ({words}): {lies:#?}"))
}

/// Runs a room to its end and says what was wrong with it.
fn tell(room: &mut Room, story: &Story) -> Vec<String> {
    let mut ahead = 0;
    while !room.is_quiet() {
        let soon = room.elapsed() + ms(50);
        if !room.run_until(LIMIT, |room| room.elapsed() >= soon || room.is_quiet()) {
            break;
        }
        ahead = ahead.max(room.operator.endpoint.session().ahead());
    }
    let ended = room.is_quiet();
    let mut lies = room.verdict().lies;
    if !ended {
        let phase = room.operator.endpoint.session().phase();
        lies.push(format!("no end in time: {phase:?}"));
    }
    if room.most_pending > MOST_PENDING {
        lies.push(format!("{} events under way", room.most_pending));
    }
    if ahead > MOST_AHEAD {
        lies.push(format!("{ahead} blocks read ahead"));
    }
    for person in &story.people {
        if !is_honest(room, person, story) {
            let Person { machine, fate, .. } = person;
            let lives = &room.machines[*machine].lives;
            let ending = lives.last().map(|life| &life.ending);
            let number = lives.last().and_then(|life| life.number);
            let state = number.and_then(|number| room.member(number));
            lies.push(format!("pc{machine} {fate:?}: {ending:?}, {state:?}"));
        }
    }
    lies
}

/// Runs every room of a shard and reports all that went wrong.
fn shard(shard: u64) {
    let number = |name| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("a number of seeds or a seed"))
    };
    let (chosen, more) = (number("MIMEO_SEED"), number("MIMEO_ROOMS"));
    let rooms = more.unwrap_or(ROOMS);
    let first = shard * rooms + more.map_or(0, |_| 1_000_000);
    let seeds = match chosen {
        Some(seed) => seed..seed + u64::from(shard == 0),
        None => first..first + rooms,
    };
    let failures: Vec<_> = seeds.filter_map(|seed| run(seed).err()).collect();
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
    rooms_0_to_271 = 0,
    rooms_272_to_543 = 1,
    rooms_544_to_815 = 2,
    rooms_816_to_1087 = 3,
    rooms_1088_to_1359 = 4,
    rooms_1360_to_1631 = 5,
    rooms_1632_to_1903 = 6,
    rooms_1904_to_2175 = 7
);
