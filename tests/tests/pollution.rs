//! A member of the room forges symbols of the group: what they spoil is mended, and costs the others
//! next to nothing.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::receiver::Resume;
use mimeo_protocol::sender::{Counters, Event};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Place, SYMBOL_SIZE};
use mimeo_protocol::wire::{
    DIGESTS_PER_PART, DigestPart, FailCode, ReadBack, SymbolDigest, SymbolHeader, SymbolKind,
};
use mimeo_tests::sim::{
    DiskProfile, Ending, Filling, LinkProfile, MachineProfile, Room, RoomConfig, Sight, Trouble,
};

use common::insider::{Forger, all_have_it, next_seq, progress, throw_at_all};
use common::{begun, config, finished_at, image, long_room, ms, run_until_begun, truth};

/// What the forger puts in the place of symbols.
const NOISE: [u8; SYMBOL_SIZE] = [0x5a; SYMBOL_SIZE];

/// Blocks of the image of a long room, and the symbols of each.
const BLOCKS: u32 = 64;
const K: u8 = 187;

/// A forged symbol of a block.
fn noise(forger: &Forger, room: &Room, block: u32, esi: u8) -> Vec<u8> {
    let header = forger.header(room, SymbolKind::Block, block, (esi, K));
    forger.symbol(header, &NOISE)
}

fn counters(room: &Room) -> Counters {
    room.operator.endpoint.session().counters()
}

/// What a room costs that nobody disturbs.
fn calm(receivers: usize) -> (Duration, u64) {
    let mut room = long_room(receivers);
    truth(&mut room);
    (room.elapsed(), counters(&room).symbols_sent())
}

/// Does something every so often from now on, for as long as the sender is there.
fn repeat(room: &mut Room, every: Duration, deed: impl Fn(&mut Room) + 'static) {
    deed(room);
    if !room.operator.is_over() {
        let next = room.elapsed() + every;
        room.at(next, move |room| repeat(room, every, deed));
    }
}

/// What the sender's operator was told of, and what its report will say.
fn told(room: &Room) -> (usize, u32, u32) {
    let spoiled = |event: &&Event| matches!(event, Event::Spoiled(_));
    let events = room.operator.told.iter().filter(spoiled).count();
    let members = room.operator.endpoint.session().roster().members();
    let reports = members.filter_map(|(_, member)| member.report.as_ref());
    reports.fold((events, 0, 0), |(events, blocks, symbols), report| {
        (
            events,
            blocks + report.bad_blocks,
            symbols + report.forged_symbols,
        )
    })
}

#[test]
fn one_forged_symbol_costs_a_symbol_and_three_of_digests() {
    let (calm_time, calm_symbols) = calm(3);
    let mut room = long_room(3);
    let forger = Forger::in_room(&mut room);
    let datagram = noise(&forger, &room, 20, 5);
    throw_at_all(&mut room, &datagram);
    all_have_it(&mut room);
    for machine in 0..3 {
        let progress = progress(&room, machine);
        assert_eq!((progress.bad_blocks, progress.forged_symbols), (1, 1));
        let told = &room.machines[machine].last().told;
        assert!(told.contains(&"ForgedSymbols".to_owned()), "{told:?}");
    }
    let counters = counters(&room);
    // Digests of symbols 0 to 191; one repair for everybody.
    assert_eq!((counters.digest_symbols, counters.own_symbols), (3, 0));
    assert_eq!(counters.repair_symbols, 1, "{counters:?}");
    assert_eq!(counters.symbols_sent(), calm_symbols + 4);
    assert!(room.elapsed() < calm_time + ms(50), "{:?}", room.elapsed());
    assert_eq!(told(&room), (3, 3, 3));
}

#[test]
fn one_forged_symbol_of_every_block_costs_a_fiftieth() {
    let (calm_time, calm_symbols) = calm(3);
    let mut room = long_room(3);
    let forger = Forger::in_room(&mut room);
    for block in 0..BLOCKS {
        let esi = (block * 37 % u32::from(K)) as u8;
        let datagram = noise(&forger, &room, block, esi);
        throw_at_all(&mut room, &datagram);
    }
    all_have_it(&mut room);
    for machine in 0..3 {
        let progress = progress(&room, machine);
        assert_eq!(progress.bad_blocks, BLOCKS);
        assert_eq!(progress.forged_symbols, BLOCKS);
    }
    let counters = counters(&room);
    assert_eq!(counters.digest_symbols, 3 * u64::from(BLOCKS));
    let more = counters.symbols_sent() - calm_symbols;
    assert!(more < calm_symbols / 40, "{more} of {calm_symbols}");
    let bound = calm_time + calm_time / 40 + ms(50);
    assert!(room.elapsed() < bound, "{:?}", room.elapsed());
    // Each machine's first bad block, and its sixteenth.
    assert_eq!(told(&room), (6, 3 * BLOCKS, 3 * BLOCKS));
}

/// The forger is always first: all symbols of a block are there before the sender has sent one, and
/// again every few milliseconds.
fn spoil_for_ever(room: &mut Room, blocks: &'static [u32]) {
    let forger = Forger::in_room(room);
    repeat(room, ms(5), move |room| {
        for &block in blocks {
            for esi in 0..=254 {
                let datagram = noise(&forger, room, block, esi);
                throw_at_all(room, &datagram);
            }
        }
    });
}

#[test]
fn every_symbol_of_a_block_forged_again_and_again_fails_it_once() {
    let (calm_time, calm_symbols) = calm(2);
    let mut room = long_room(2);
    spoil_for_ever(&mut room, &[17]);
    all_have_it(&mut room);
    for machine in 0..2 {
        let progress = progress(&room, machine);
        assert_eq!(progress.bad_blocks, 1);
        assert!(progress.forged_symbols > 187);
    }
    let counters = counters(&room);
    assert!(counters.digest_symbols <= 8, "{counters:?}");
    assert_eq!(counters.own_symbols, 0);
    // At most the block once more.
    assert!(
        counters.symbols_sent() < calm_symbols + 187 + 60,
        "{counters:?}"
    );
    assert!(room.elapsed() < calm_time + ms(200), "{:?}", room.elapsed());
}

#[test]
fn forged_symbols_of_a_lossy_room_are_mended_from_repairs_that_are_forged_too() {
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        ..config(image(Filling::Random, 24 * BLOCK_SIZE), 3)
    });
    for _ in 0..3 {
        room.join(MachineProfile {
            down: LinkProfile {
                loss: 0.05,
                ..LinkProfile::default()
            },
            ..MachineProfile::default()
        });
    }
    spoil_for_ever(&mut room, &[3, 4, 20, 23]);
    all_have_it(&mut room);
    for machine in 0..3 {
        let progress = progress(&room, machine);
        assert!((4..=8).contains(&progress.bad_blocks), "{progress:?}");
    }
}

#[test]
fn who_alone_gets_forged_symbols_does_not_keep_the_others() {
    let (calm_time, calm_symbols) = calm(4);
    let mut room = long_room(4);
    let forger = Forger::in_room(&mut room);
    for block in 0..BLOCKS {
        for esi in [0, 90] {
            let datagram = noise(&forger, &room, block, esi);
            room.throw_at_machine(3, &datagram);
        }
    }
    all_have_it(&mut room);
    assert_eq!(progress(&room, 3).bad_blocks, BLOCKS);
    let counters = counters(&room);
    let more = counters.symbols_sent() - calm_symbols;
    assert!(more <= 5 * u64::from(BLOCKS), "{counters:?}");
    for machine in 0..3 {
        assert_eq!(progress(&room, machine).bad_blocks, 0);
        let bound = calm_time + calm_time / 40 + ms(50);
        assert!(finished_at(&room, machine) < bound);
    }
    assert_eq!(told(&room).1, BLOCKS);
}

#[test]
fn digests_that_are_lost_are_asked_for_again() {
    let mut room = long_room(2);
    let lost = Rc::new(Cell::new(0));
    let count = Rc::clone(&lost);
    room.lose(move |crossing| {
        let digests = matches!(crossing.sight, Sight::Digests(_));
        let lose = digests && count.get() < 40;
        count.set(count.get() + u32::from(lose));
        lose
    });
    let forger = Forger::in_room(&mut room);
    for block in [10, 63] {
        let datagram = noise(&forger, &room, block, 1);
        throw_at_all(&mut room, &datagram);
    }
    all_have_it(&mut room);
    assert_eq!(lost.get(), 40);
    // Each is sent again once a report shows that it was missed, not more often.
    let counters = counters(&room);
    assert!((26..=60).contains(&counters.digest_symbols), "{counters:?}");
    assert_eq!(progress(&room, 0).bad_blocks, 2);
}

#[test]
fn forged_digests_are_counted_and_mislead_nobody() {
    let mut room = long_room(2);
    let forger = Forger::in_room(&mut room);
    run_until_begun(&mut room, 4);
    let datagram = noise(&forger, &room, 20, 5);
    throw_at_all(&mut room, &datagram);
    repeat(&mut room, ms(2), move |room| {
        for part in 0..4 {
            let lie = DigestPart {
                block: BlockNumber(20),
                part,
                digests: [SymbolDigest::of(&NOISE); DIGESTS_PER_PART],
            };
            let header = forger.header(room, SymbolKind::Digests, 20, (part, K));
            let sealed = lie.seal(&forger.signer);
            let datagram = forger.symbol(header, &sealed);
            throw_at_all(room, &datagram);
        }
        // There are no such parts.
        for part in [4, 8, 254] {
            let header = forger.header(room, SymbolKind::Digests, 20, (part, K));
            let datagram = forger.symbol(header, &NOISE);
            throw_at_all(room, &datagram);
        }
    });
    all_have_it(&mut room);
    for machine in 0..2 {
        let progress = progress(&room, machine);
        assert_eq!((progress.bad_blocks, progress.forged_symbols), (1, 1));
        assert!(progress.forged > 0);
    }
}

#[test]
fn forged_pages_before_every_page_of_the_sender_keep_none_back() {
    let (calm_time, calm_symbols) = calm(2);
    let mut room = long_room(2);
    let forger = Forger::in_room(&mut room);
    repeat(&mut room, ms(1), move |room| {
        for page in 0..3 {
            for (esi, k) in [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2)] {
                let header = forger.header(room, SymbolKind::Page, page, (esi, k));
                let datagram = forger.symbol(header, &NOISE);
                throw_at_all(room, &datagram);
            }
        }
    });
    all_have_it(&mut room);
    assert_eq!(counters(&room).symbols_sent(), calm_symbols);
    assert!(room.elapsed() < calm_time + ms(50), "{:?}", room.elapsed());
    assert!(progress(&room, 0).forged > 3);
}

#[test]
fn a_block_that_fails_again_comes_under_the_receivers_own_key() {
    let (calm_time, _) = calm(3);
    for (loss, times) in [(0.0, 2), (0.0, 5), (0.1, 3)] {
        let mut room = long_room(2);
        let broken = room.join(MachineProfile {
            disk: DiskProfile {
                trouble: Some(Trouble::BadMemoryAt(Place(9), times)),
                ..DiskProfile::default()
            },
            down: LinkProfile {
                loss,
                ..LinkProfile::default()
            },
            ..MachineProfile::default()
        });
        // The insider goes on forging the block for the group.
        let forger = Forger::in_room(&mut room);
        repeat(&mut room, ms(20), move |room| {
            for esi in 0..=254 {
                let datagram = noise(&forger, room, 9, esi);
                room.throw_at_machine(broken, &datagram);
            }
        });
        all_have_it(&mut room);
        let progress = progress(&room, broken);
        assert!(progress.bad_blocks >= times, "{progress:?}");
        // Each time but the first the block comes once more.
        let blocks = counters(&room).own_symbols / u64::from(K);
        let times = u64::from(times);
        assert!(
            (times - 1..=times + 1).contains(&blocks),
            "{blocks}, {times}"
        );
        for machine in 0..2 {
            let bound = calm_time + calm_time / 20 + ms(50);
            assert!(finished_at(&room, machine) < bound, "{loss}, {times}");
        }
    }
}

#[test]
fn a_memory_that_spoils_a_block_for_ever_is_found_out() {
    let mut room = long_room(2);
    let broken = room.join(MachineProfile {
        disk: DiskProfile {
            trouble: Some(Trouble::BadMemoryAt(Place(9), u32::MAX)),
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    });
    truth(&mut room);
    let ending = room.machines[broken].last().ending.clone();
    let Some(Ending::Failed(failure)) = ending else {
        panic!("{ending:?}");
    };
    assert_eq!(failure.code, FailCode::DigestMismatch);
    assert_eq!(room.verdict().confirmed, 2);
}

#[test]
fn a_stream_is_mended_while_it_is_kept() {
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        ..config(image(Filling::Random, 40 * BLOCK_SIZE), 2).stream()
    });
    for _ in 0..2 {
        room.join(MachineProfile::default());
    }
    let forger = Forger::in_room(&mut room);
    for block in 0..40 {
        let datagram = noise(&forger, &room, block, 7);
        throw_at_all(&mut room, &datagram);
    }
    all_have_it(&mut room);
    assert_eq!(progress(&room, 1).bad_blocks, 40);
}

#[test]
fn latecomers_and_those_who_resume_are_mended_in_later_cycles() {
    for resume in [Resume::Off, Resume::Always] {
        let mut room = long_room(1);
        run_until_begun(&mut room, 30);
        let late = room.join(MachineProfile {
            resume,
            ..MachineProfile::default()
        });
        let forger = Forger::in_room(&mut room);
        repeat(&mut room, ms(40), move |room| {
            for block in (0..BLOCKS).step_by(5) {
                let datagram = noise(&forger, room, block, 3);
                room.throw_at_machine(late, &datagram);
            }
        });
        all_have_it(&mut room);
        let bad = progress(&room, late).bad_blocks;
        assert!((8..=13).contains(&bad), "{bad}");
    }
}

#[test]
fn compressed_blocks_of_every_size_are_mended() {
    let mut room = Room::new(config(image(Filling::Mixed, 60 * BLOCK_SIZE + 5), 2));
    for _ in 0..2 {
        room.join(MachineProfile {
            verify: true,
            ..MachineProfile::default()
        });
    }
    let forger = Forger::in_room(&mut room);
    // The first symbol of each block, as soon as its number of symbols is known.
    let done = Rc::new(Cell::new(0));
    let spoiled = Rc::clone(&done);
    repeat(&mut room, ms(1), move |room| {
        let session = room.operator.endpoint.session_mut();
        let known = session.manifest().known_blocks().0;
        let ks: Vec<u8> = (spoiled.get()..known)
            .map(|block| session.block(BlockNumber(block)).expect("it is known").k())
            .collect();
        for (block, k) in (spoiled.get()..known).zip(ks) {
            let header = SymbolHeader {
                seq: next_seq(room),
                ..forger.header(room, SymbolKind::Block, block, (0, k))
            };
            let datagram = forger.symbol(header, &NOISE);
            throw_at_all(room, &datagram);
        }
        spoiled.set(known);
    });
    all_have_it(&mut room);
    let progress = progress(&room, 0);
    assert!(progress.bad_blocks > 10, "{progress:?}");
    assert_eq!(progress.bad_blocks, progress.forged_symbols);
    let read_back = room.operator.endpoint.session().roster().members();
    assert!(
        read_back
            .into_iter()
            .all(|(_, it)| it.read_back == ReadBack::Direct)
    );
    assert!(begun(&room) > 0);
}
