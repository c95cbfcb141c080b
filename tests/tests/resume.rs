//! Rooms in which receivers keep what their targets hold of the image already.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::receiver::Resume;
use mimeo_protocol::sender::Event;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::FailCode;
use mimeo_tests::sim::{
    Dice, DiskProfile, Ending, Filling, Image, LinkProfile, MachineProfile, Room, RoomConfig,
    Sight, Trouble,
};

use common::{config, finished_at, image, ms, progress, room_of, run_until_begun, truth};

/// Source symbols of a block that does not compress.
const SYMBOLS: u64 = 187;

/// Blocks of noise.
fn random(blocks: usize) -> Image {
    image(Filling::Random, blocks * BLOCK_SIZE)
}

/// The image with something else in some of its blocks.
fn with(image: &Image, which: impl Fn(usize) -> bool, mut write: impl FnMut(&mut [u8])) -> Image {
    let mut bytes = image.0.to_vec();
    for (i, block) in bytes.chunks_mut(BLOCK_SIZE).enumerate() {
        if which(i) {
            write(block);
        }
    }
    bytes.as_slice().into()
}

/// The image with other noise in some of its blocks.
fn changed(image: &Image, which: impl Fn(usize) -> bool) -> Image {
    let mut dice = Dice::new(99);
    with(image, which, |block| dice.fill(block))
}

/// The image with zeros in some of its blocks.
fn zeroed(image: &Image, which: impl Fn(usize) -> bool) -> Image {
    with(image, which, |block| block.fill(0))
}

fn holding(image: &Image) -> MachineProfile {
    MachineProfile {
        resume: Resume::IfPart,
        holds: Some(image.clone()),
        ..MachineProfile::default()
    }
}

fn kept(room: &Room, machine: usize) -> u32 {
    progress(room, machine).blocks_kept
}

fn block_symbols(room: &Room) -> u64 {
    let counters = room.operator.endpoint.session().counters();
    counters.pass_symbols + counters.repair_symbols
}

fn was_on_demand(room: &Room) -> bool {
    room.operator.told.contains(&Event::OnDemand)
}

#[test]
fn a_room_that_holds_most_of_the_image_is_sent_the_rest_of_it() {
    let new = random(400);
    let old = changed(&new, |i| i % 20 == 3);
    let mut room = room_of(new, 4);
    for _ in 0..4 {
        room.join(holding(&old));
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 4);
    assert!(was_on_demand(&room));
    assert_eq!(block_symbols(&room), 20 * SYMBOLS);
    for machine in 0..4 {
        assert_eq!(kept(&room, machine), 380);
    }
    // 13 pages of one symbol.
    let needed = room.operator.endpoint.session().counters().symbols_needed;
    assert_eq!(needed, 20 * SYMBOLS + 13);
    // 20 blocks of 187 datagrams at 100 Mbit/s are 0.45 s.
    let took = finished_at(&room, 0);
    assert!(took < ms(1000), "{took:?}");
}

#[test]
fn one_without_anything_may_come_late_to_a_room_that_lacks_little() {
    // Eight times what the room lacks, and what anybody may ask for, are less than this image.
    let new = random(500);
    let old = changed(&new, |i| i == 3);
    let mut room = Room::new(RoomConfig {
        linger: ms(1000),
        ..config(new, 1)
    });
    room.join(holding(&old));
    room.at(ms(500), |room| {
        room.join(MachineProfile::default());
    });
    truth(&mut room);
    assert!(was_on_demand(&room));
    assert_eq!(room.verdict().confirmed, 2);
    assert_eq!(block_symbols(&room), 501 * SYMBOLS);
}

#[test]
fn nothing_is_sent_to_a_room_that_holds_the_image() {
    let new = random(200);
    let mut room = room_of(new.clone(), 2);
    for _ in 0..2 {
        room.join(holding(&new));
    }
    truth(&mut room);
    assert_eq!((room.verdict().confirmed, block_symbols(&room)), (2, 0));
}

#[test]
fn each_lacks_something_else_and_the_union_is_sent_once() {
    let new = random(200);
    let mut room = room_of(new.clone(), 3);
    for machine in 0..3 {
        let lacks = |i: usize| i % 10 == machine || i % 50 == 9;
        room.join(holding(&changed(&new, lacks)));
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
    assert_eq!(block_symbols(&room), (60 + 4) * SYMBOLS);
}

#[test]
fn a_room_that_resumes_with_nothing_is_sent_everything_as_fast_as_ever() {
    let time = |profile: MachineProfile| {
        let mut room = room_of(random(200), 2);
        room.join(profile.clone());
        room.join(profile);
        truth(&mut room);
        assert_eq!(block_symbols(&room), 200 * SYMBOLS);
        finished_at(&room, 1)
    };
    let plain = time(MachineProfile::default());
    let resuming = time(MachineProfile {
        resume: Resume::IfPart,
        ..MachineProfile::default()
    });
    assert!(resuming < plain.mul_f64(1.05), "{resuming:?}, {plain:?}");
}

#[test]
fn one_that_does_not_resume_makes_the_stream_an_ordinary_one() {
    let new = random(200);
    let mut room = room_of(new.clone(), 2);
    let fresh = room.join(MachineProfile::default());
    let old = room.join(holding(&changed(&new, |i| i % 20 == 3)));
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert!(!was_on_demand(&room));
    assert_eq!(block_symbols(&room), 200 * SYMBOLS);
    // What is checked before it comes is not written; what it lacks it takes from the stream.
    assert!(kept(&room, old) > 150, "{}", kept(&room, old));
    assert_eq!(kept(&room, fresh), 0);
}

#[test]
fn one_that_comes_late_costs_what_it_lacks() {
    let new = random(400);
    let mut room = room_of(new.clone(), 1);
    room.join(MachineProfile::default());
    run_until_begun(&mut room, 320);
    let lacks = |i: usize| i >= 320 || i % 20 == 3;
    let late = room.join(holding(&changed(&new, lacks)));
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    // 16 of the first 320, and what was under way while it joined.
    let again = block_symbols(&room) - 400 * SYMBOLS;
    let expected = 16 * SYMBOLS..=48 * SYMBOLS;
    assert!(expected.contains(&again), "{}", again / SYMBOLS);
    assert!(kept(&room, late) >= 300, "{}", kept(&room, late));
}

#[test]
fn one_that_crashed_takes_the_rest_only() {
    let mut room = room_of(random(400), 2);
    room.join(MachineProfile::default());
    let crashed = room.join(MachineProfile::default());
    run_until_begun(&mut room, 320);
    room.kill(crashed);
    room.machines[crashed].profile.resume = Resume::IfPart;
    room.start(crashed);
    truth(&mut room);
    let again = block_symbols(&room) - 400 * SYMBOLS;
    assert!(again <= 40 * SYMBOLS, "{}", again / SYMBOLS);
    assert!(kept(&room, crashed) >= 280, "{}", kept(&room, crashed));
    assert_eq!(room.verdict().finished, 2);
}

#[test]
fn late_ones_of_either_kind_join_a_room_that_resumes() {
    let new = random(400);
    let old = changed(&new, |i| i % 4 == 3);
    let mut room = room_of(new.clone(), 2);
    for _ in 0..2 {
        room.join(holding(&old));
    }
    run_until_begun(&mut room, 200);
    room.join(holding(&changed(&new, |i| i % 8 == 1)));
    room.join(MachineProfile::default());
    truth(&mut room);
    assert!(was_on_demand(&room));
    assert_eq!(room.verdict().confirmed, 4);
    // 50 of the first half, all of the second, all of the first for the last that came; and
    // what was under way while they joined.
    let sent = block_symbols(&room);
    assert!(sent <= 500 * SYMBOLS, "{}", sent / SYMBOLS);
}

#[test]
fn loss_costs_repairs_and_not_blocks() {
    let new = random(400);
    let old = changed(&new, |i| i % 10 == 3);
    let mut room = room_of(new, 3);
    let lossy = LinkProfile {
        loss: 0.05,
        ..LinkProfile::default()
    };
    for _ in 0..3 {
        room.join(MachineProfile {
            down: lossy,
            up: lossy,
            ..holding(&old)
        });
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 3);
    let sent = block_symbols(&room) as f64 / (40 * SYMBOLS) as f64;
    assert!(sent < 1.15, "{sent}");
}

#[test]
fn pages_that_are_lost_at_first_are_asked_for() {
    let new = random(400);
    let mut room = room_of(new.clone(), 2);
    for _ in 0..2 {
        room.join(holding(&changed(&new, |i| i % 10 == 3)));
    }
    let mut pages = 0;
    room.lose(move |crossing| {
        let page = matches!(crossing.sight, Sight::PageSymbol(_));
        pages += u32::from(page);
        page && pages < 40
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_eq!(block_symbols(&room), 40 * SYMBOLS);
}

#[test]
fn a_slow_disk_is_waited_for_and_loses_nothing() {
    let new = random(200);
    let mut room = room_of(new.clone(), 2);
    room.join(holding(&changed(&new, |i| i % 10 == 3)));
    let slow = room.join(MachineProfile {
        disk: DiskProfile {
            speed: 5_000_000,
            reads: 20_000_000,
            ..DiskProfile::default()
        },
        buffers: 64,
        ..holding(&changed(&new, |i| i % 10 == 4))
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_eq!(block_symbols(&room), 40 * SYMBOLS);
    // 50 MiB to read at 20 MB/s and 20 blocks to write at 5 MB/s.
    let took = finished_at(&room, slow);
    assert!(took < ms(4500), "{took:?}");
}

#[test]
fn zeros_that_were_data_and_data_that_was_zeros() {
    let full = random(200);
    let new = zeroed(&full, |i| i % 3 == 0);
    let old = zeroed(&full, |i| i % 5 == 0);
    let mut room = room_of(new, 1);
    let one = room.join(holding(&old));
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 1);
    let lacking = (0..200).filter(|i| i % 3 != 0 && i % 5 == 0).count();
    assert_eq!(block_symbols(&room), lacking as u64 * SYMBOLS);
    let progress = progress(&room, one);
    let zeros_in_both = (0..200).filter(|i| i % 15 == 0).count();
    let kept = progress.blocks_kept as usize + zeros_in_both;
    assert_eq!(progress.bytes_kept, (kept * BLOCK_SIZE) as u64);
    let done = progress.bytes_kept + progress.bytes_written;
    assert_eq!(done, 200 * BLOCK_SIZE as u64);
}

#[test]
fn what_was_kept_is_read_back_too() {
    for (trouble, confirmed) in [(None, 1), (Some(Trouble::LiesAt(BLOCK_SIZE as u64)), 0)] {
        let new = image(Filling::Mixed, 30 * BLOCK_SIZE + 7);
        let mut room = room_of(new.clone(), 1);
        room.join(MachineProfile {
            disk: DiskProfile {
                trouble,
                ..DiskProfile::default()
            },
            verify: true,
            ..holding(&changed(&new, |i| i % 10 == 3))
        });
        truth(&mut room);
        assert_eq!(room.verdict().confirmed, confirmed);
        let stage = progress(&room, 0).bytes_kept > 20 * BLOCK_SIZE as u64;
        assert!(stage, "{:?}", progress(&room, 0));
    }
}

#[test]
fn images_grow_and_shrink() {
    for (old, new) in [(100, 130), (130, 100)] {
        for odd in [0, 777] {
            let long = image(Filling::Random, 130 * BLOCK_SIZE + odd);
            let cut = |blocks: usize| Image::from(&long.0[..blocks * BLOCK_SIZE + odd]);
            let mut room = room_of(cut(new), 1);
            let one = room.join(holding(&cut(old)));
            truth(&mut room);
            assert_eq!(room.verdict().confirmed, 1, "{old} to {new}");
            // The last, short block of the longer one is where it was in neither.
            let same = 100 + u32::from(odd > 0 && new < old);
            assert_eq!(kept(&room, one), same, "{old} to {new}, {odd}");
        }
    }
}

#[test]
fn an_image_of_one_block_is_kept_replaced_or_refused() {
    let new = image(Filling::Random, 1000);
    let other = changed(&new, |_| true);
    let run = |held: &Image, resume| {
        let mut room = room_of(new.clone(), 1);
        room.join(MachineProfile {
            resume,
            ..holding(held)
        });
        truth(&mut room);
        room
    };
    for resume in [Resume::IfPart, Resume::Always] {
        let room = run(&new, resume);
        assert_eq!((room.verdict().confirmed, block_symbols(&room)), (1, 0));
    }
    let room = run(&other, Resume::Always);
    assert_eq!((room.verdict().confirmed, block_symbols(&room)), (1, 1));
    let room = run(&other, Resume::IfPart);
    assert_eq!(room.verdict().failed, 1);
    assert!(room.machines[0].target.holds(&other), "it was overwritten");
}

#[test]
fn a_target_that_holds_something_else_is_left_as_it_is() {
    for (others, blocks) in [(0, 100), (1, 100), (0, 20), (1, 20)] {
        let new = image(Filling::Mixed, blocks * BLOCK_SIZE + 5);
        let foreign = changed(&new, |_| true);
        let mut room = room_of(new, 1 + others);
        for _ in 0..others {
            room.join(MachineProfile::default());
        }
        let one = room.join(holding(&foreign));
        truth(&mut room);
        let ending = &room.machines[one].last().ending;
        let Some(Ending::Failed(failure)) = ending else {
            panic!("{ending:?}")
        };
        assert_eq!(failure.code, FailCode::TargetRefused);
        let untouched = room.machines[one].target.holds(&foreign);
        assert!(untouched, "{blocks} blocks, {others} others");
        assert_eq!(room.verdict().confirmed, others);
    }
}

#[test]
fn a_target_of_zeros_holds_nothing_and_takes_everything() {
    let new = image(Filling::Mixed, 100 * BLOCK_SIZE + 5);
    let blank = zeroed(&new, |_| true);
    let mut room = room_of(new, 1);
    room.join(holding(&blank));
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 1);
}

#[test]
fn streams_are_resumed_too() {
    let new = random(100);
    let old = changed(&new, |i| i % 10 == 3);
    let room = RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        ..config(new, 2)
    };
    let mut room = Room::new(room.stream());
    for _ in 0..2 {
        room.join(holding(&old));
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert!(!was_on_demand(&room));
    assert!(kept(&room, 0) > 50, "{}", kept(&room, 0));
}

#[test]
fn many_pages_that_are_asked_for_again_do_not_stop_the_room() {
    // A little noise in each block: pages are much of what is sent.
    let mut dice = Dice::new(5);
    let blank = image(Filling::Zeros, 1500 * BLOCK_SIZE);
    let new = with(&blank, |_| true, |block| dice.fill(&mut block[..64]));
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(5_000_000)),
        ..config(new.clone(), 1)
    });
    room.join(MachineProfile::default());
    run_until_begun(&mut room, 800);
    let late = room.join(holding(&changed(&new, |i| i == 700)));
    // Page symbols in a row, as the first one sees them.
    let longest = Rc::new(Cell::new(0));
    let (mut run, seen) = (0, Rc::clone(&longest));
    room.lose(move |crossing| {
        match crossing.sight {
            Sight::PageSymbol(_) if crossing.machine == 0 => run += 1,
            Sight::Symbol(_) if crossing.machine == 0 => run = 0,
            _ => {}
        }
        seen.set(seen.get().max(run));
        false
    });
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert!(kept(&room, late) > 700, "{}", kept(&room, late));
    // 25 pages of three symbols are asked for at once; two new ones are sent in a row.
    assert!(longest.get() <= 10, "{}", longest.get());
}
