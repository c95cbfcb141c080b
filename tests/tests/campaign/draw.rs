//! What a room is like: its image, its sender, its machines and their links.

use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::{Parity, StartPolicy};
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::Auth;
use mimeo_tests::sim::{
    Bursts, Dice, DiskProfile, Filling, Image, LinkProfile, MachineProfile, RoomConfig, Trouble,
};

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A link that loses this share of its datagrams, and in bursts up to so many in a row on average.
fn link(dice: &mut Dice, loss: f64, burst: f64) -> LinkProfile {
    let bursts = dice.chance(0.2).then(|| Bursts {
        length: 1.0 + burst * dice.unit(),
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

pub fn machine(dice: &mut Dice) -> MachineProfile {
    let loss = dice.pick(&[0.0, 0.01, 0.05, 0.2]);
    let down = link(dice, loss, 60.0);
    // One machine in ten is heard half of the time only.
    let up_loss = if dice.chance(0.1) { 0.5 } else { loss };
    MachineProfile {
        down,
        up: LinkProfile {
            rate: Some(10_000_000),
            // Reports are few: a longer burst would be a silence of seconds.
            ..link(dice, up_loss, 3.0)
        },
        disk: DiskProfile {
            speed: dice.pick(&[5_000_000, 50_000_000, 500_000_000]),
            flush: ms(dice.pick(&[0, 20, 2000])),
            reads: dice.pick(&[100_000_000, 2_000_000_000]),
            trouble: dice.chance(0.05).then_some(Trouble::BadMemory(2)),
            ..DiskProfile::default()
        },
        buffers: dice.pick(&[64, 256]),
        window: dice.pick(&[16, 64, 2048]),
        verify: dice.chance(0.15),
        ..MachineProfile::default()
    }
}

fn image(dice: &mut Dice) -> Image {
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
pub fn old(dice: &mut Dice, image: &Image) -> Image {
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

pub fn config(seed: u64, dice: &mut Dice, receivers: u64) -> RoomConfig {
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
        ..RoomConfig::new(seed, image(dice))
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
