//! Rooms in which parts of the image are used by no filesystem and not sent.

mod common;

use std::ops::Range;

use mimeo_protocol::receiver::{Resume, Unused};
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_tests::sim::{
    Dice, DiskProfile, FORGOTTEN, Filling, Image, LEFTOVERS, LinkProfile, MachineProfile, Room,
    Trouble,
};

use common::{image, ms, progress, room_of, run_until_begun, truth};

/// Source symbols of a block that does not compress.
const SYMBOLS: u64 = 187;

/// Blocks of the images, the last of them short.
const BLOCKS: u32 = 240;

/// Unused: the start of a page and the end of it, one block, more than a page of blocks can tell, and
/// what the image ends with but for its last, short block.
const GAPS: [Range<u32>; 4] = [5..31, 33..34, 100..150, 200..239];

const UNUSED: u32 = 26 + 1 + 50 + 39;

const ALL: [Unused; 3] = [Unused::Keep, Unused::Discard, Unused::Zero];

fn noise(seed: u64) -> Image {
    let len = BLOCKS as usize * BLOCK_SIZE - 77;
    Image::new(Filling::Random, len, Dice::new(seed)).unused(&GAPS)
}

fn machine(unused: Unused) -> MachineProfile {
    MachineProfile {
        unused,
        verify: true,
        ..MachineProfile::default()
    }
}

/// What a machine holds in the unused runs, if that is one byte all over.
fn fill_of(room: &Room, machine: usize) -> Option<u8> {
    let bytes = room.machines[machine].target.bytes();
    let mut gaps = GAPS.iter().flat_map(|gap| {
        let gap = gap.start as usize * BLOCK_SIZE..gap.end as usize * BLOCK_SIZE;
        bytes[gap].iter().copied()
    });
    let first = gaps.next()?;
    gaps.all(|byte| byte == first).then_some(first)
}

#[test]
fn nothing_of_it_is_sent_and_every_target_does_as_it_was_told() {
    for loss in [0.0, 0.05] {
        let image = noise(7);
        let mut room = room_of(image.clone(), 3);
        for unused in ALL {
            room.join(MachineProfile {
                down: LinkProfile {
                    loss,
                    ..LinkProfile::default()
                },
                ..machine(unused)
            });
        }
        truth(&mut room);
        assert_eq!(room.verdict().confirmed, 3);
        let counters = room.operator.endpoint.session().counters();
        // The last block is short, but not by much of a symbol.
        let needed = u64::from(BLOCKS - UNUSED) * SYMBOLS;
        if loss == 0.0 {
            assert_eq!(
                (counters.pass_symbols, counters.repair_symbols),
                (needed, 0)
            );
        }
        let fills = [0, 1, 2].map(|machine| fill_of(&room, machine));
        assert_eq!(fills, [Some(LEFTOVERS), Some(FORGOTTEN), Some(0)]);
        let unused = u64::from(UNUSED) * BLOCK_SIZE as u64;
        for machine in 0..3 {
            let progress = progress(&room, machine);
            assert_eq!(progress.bytes_unused, unused);
            assert_eq!(progress.bytes_written + unused, image.len() as u64);
        }
        let end = room.operator.endpoint.session().end().unwrap();
        let mut whole = mimeo_protocol::block::ImageHasher::default();
        for (place, raw) in (0..).zip(image.0.chunks(BLOCK_SIZE)) {
            let place = mimeo_protocol::units::Place(place);
            whole.push(mimeo_protocol::block::BlockDigest::of(place, raw, false));
        }
        assert_eq!(end.image_digest, Some(whole.finish()));
    }
}

#[test]
fn an_image_of_nothing_but_unused_blocks_is_received() {
    let image = image(Filling::Zeros, 300 * BLOCK_SIZE).unused(std::slice::from_ref(&(0..300)));
    let mut room = room_of(image, 3);
    for unused in ALL {
        room.join(machine(unused));
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
}

#[test]
fn what_was_to_be_zeros_and_is_not_is_found_and_what_is_kept_does_not_matter() {
    let lies = |unused| MachineProfile {
        disk: DiskProfile {
            trouble: Some(Trouble::LiesAt(120 * BLOCK_SIZE as u64 + 3)),
            ..DiskProfile::default()
        },
        ..machine(unused)
    };
    let mut room = room_of(noise(7), 3);
    for unused in ALL {
        room.join(lies(unused));
    }
    assert!(room.run(common::LIMIT));
    let verdict = room.verdict();
    assert_eq!((verdict.confirmed, verdict.failed), (2, 1));
    assert!(format!("{:?}", room.machines[2].last().ending).contains("between bytes 31457280"));
}

#[test]
fn who_resumes_keeps_blocks_and_does_with_the_rest_as_it_was_told() {
    // What is held was used where the new image is not.
    let old = Image::new(Filling::Random, noise(7).len(), Dice::new(7));
    let mut bytes = old.0.to_vec();
    bytes[..BLOCK_SIZE].fill(1);
    let old: Image = bytes.as_slice().into();
    let mut room = room_of(noise(7), 3);
    for unused in ALL {
        room.join(MachineProfile {
            resume: Resume::IfPart,
            holds: Some(old.clone()),
            ..machine(unused)
        });
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
    for machine in 0..3 {
        assert_eq!(progress(&room, machine).blocks_kept, BLOCKS - UNUSED - 1);
    }
    let gap = 120 * BLOCK_SIZE..121 * BLOCK_SIZE;
    assert!(room.machines[0].target.bytes()[gap.clone()] == old.0[gap]);
    assert_eq!(fill_of(&room, 1), Some(FORGOTTEN));
    assert_eq!(fill_of(&room, 2), Some(0));
}

#[test]
fn a_sender_that_is_started_again_is_taken_up() {
    let mut room = room_of(noise(7), 4);
    for unused in ALL {
        room.join(machine(unused));
    }
    // One reads past the page cache afterwards, one does not.
    room.join(MachineProfile {
        verify: false,
        ..machine(Unused::Zero)
    });
    run_until_begun(&mut room, 60);
    room.kill_sender();
    let until = room.elapsed() + ms(3000);
    room.at(until, |room| room.start_sender(|_| {}));
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 4);
    for machine in 0..4 {
        assert_eq!(room.machines[machine].last().sessions, 2);
        let kept = progress(&room, machine).blocks_kept;
        assert!(kept >= 40, "{kept}");
    }
    let fills = [0, 1, 2, 3].map(|machine| fill_of(&room, machine));
    let kept = (Some(LEFTOVERS), Some(FORGOTTEN));
    assert_eq!(fills, [kept.0, kept.1, Some(0), Some(0)]);
}

#[test]
fn who_comes_late_or_is_started_again_has_all_of_it() {
    let mut room = room_of(noise(7), 1);
    room.join(machine(Unused::Zero));
    run_until_begun(&mut room, 60);
    let late = room.join(machine(Unused::Zero));
    run_until_begun(&mut room, 80);
    room.kill(0);
    room.machines[0].profile.resume = Resume::IfPart;
    room.start(0);
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_eq!([0, late].map(|it| fill_of(&room, it)), [Some(0), Some(0)]);
}
