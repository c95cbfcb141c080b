//! Rooms that several tests are about.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod insider;
pub mod slow;

use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::receiver::Progress;
use mimeo_protocol::sender::StartPolicy;
use mimeo_protocol::units::BLOCK_SIZE;

use mimeo_tests::sim::{Dice, Ending, Filling, Image, MachineProfile, Room, RoomConfig};

/// No room takes longer.
pub const LIMIT: Duration = Duration::from_secs(200);

/// Milliseconds.
pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An image of the given bytes.
pub fn image(filling: Filling, len: usize) -> Image {
    Image::new(filling, len, Dice::new(7))
}

/// A room that starts when all of its `receivers` are there.
pub fn config(image: Image, receivers: usize) -> RoomConfig {
    RoomConfig {
        start: StartPolicy {
            min_receivers: receivers,
            ..StartPolicy::default()
        },
        ..RoomConfig::new(1, image)
    }
}

/// The same at 100 Mbit/s.
pub fn room_of(image: Image, receivers: usize) -> Room {
    Room::new(RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        ..config(image, receivers)
    })
}

/// How far a machine's receiver is, or came.
pub fn progress(room: &Room, machine: usize) -> Progress {
    let endpoint = room.machines[machine].last().endpoint.as_ref();
    endpoint.expect("it joined").session().progress()
}

/// Runs a room to its end, where everybody tells the truth.
pub fn truth(room: &mut Room) {
    let ended = room.run(LIMIT);
    assert!(ended, "no end in time: {:?}", room.verdict());
    assert_eq!(room.verdict().lies, [] as [String; 0]);
}

/// 64 blocks of raw symbols at 100 Mbit/s take about 1.4 s: time for something to happen.
pub fn long_room(receivers: usize) -> Room {
    room_at(Rate(100_000_000), receivers)
}

/// The same at another rate.
pub fn room_at(rate: Rate, receivers: usize) -> Room {
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(rate),
        ..config(image(Filling::Random, 64 * BLOCK_SIZE), receivers)
    });
    for _ in 0..receivers {
        room.join(MachineProfile::default());
    }
    room
}

/// Blocks that the sender has begun in this cycle.
pub fn begun(room: &Room) -> u32 {
    room.operator.endpoint.session().begun().0
}

/// Runs until the sender has begun so many blocks.
pub fn run_until_begun(room: &mut Room, blocks: u32) {
    assert!(room.run_until(LIMIT, |room| begun(room) >= blocks));
}

/// When a machine had finished, since the start of the room.
pub fn finished_at(room: &Room, machine: usize) -> Duration {
    let life = room.machines[machine].last();
    assert_eq!(
        life.ending,
        Some(Ending::Finished { acknowledged: true }),
        "pc{machine}"
    );
    life.ended_at.expect("it ended") - room.started()
}
