use super::*;
use crate::wire::{ALL_SYMBOLS, Deficit};

const NOBODY: Yielding = below(0);

/// No block is unchecked.
const CHECKED: Range<u32> = u32::MAX..u32::MAX;

const fn below(block: u32) -> Yielding {
    Yielding {
        given_up: given_up(block, u32::MAX),
        unknown_from: BlockNumber(0),
    }
}

const fn given_up(below: u32, idle_from: u32) -> GivenUp {
    GivenUp {
        below: BlockNumber(below),
        idle_from: BlockNumber(idle_from),
    }
}

fn fill(ledger: &mut Ledger, block: u32, k: u8, esis: &[u8]) {
    for &esi in esis {
        let (block, esi) = (BlockNumber(block), Esi(esi));
        let Placement::Slot(_, slot) = ledger.begin(block, k, esi, NOBODY) else {
            panic!("no place for {esi:?}")
        };
        ledger.on_symbol(block, esi, slot);
    }
}

#[test]
fn source_symbols_take_their_slots_and_repairs_the_free_ones() {
    let mut ledger = Ledger::new(4);
    fill(&mut ledger, 0, 4, &[1, 200, 3, 0]);
    assert_eq!(
        ledger.place(BlockNumber(0), 4, Esi(2), NOBODY),
        Placement::Redundant
    );
    let (_, slots) = ledger.hand_out(BlockNumber(0)).unwrap();
    assert_eq!(
        slots,
        [0, 1, 3, 200].map(Esi),
        "the repair took slot 3, so 3 went to slot 2"
    );
    assert!(ledger.hand_out(BlockNumber(0)).is_none());
}

#[test]
fn deficits_are_runs_and_truncate_at_a_block() {
    let mut ledger = Ledger::new(8);
    fill(&mut ledger, 2, 4, &[0, 1, 2]);
    fill(&mut ledger, 5, 4, &[0, 1, 2, 3]);
    ledger.on_written(BlockNumber(0));
    assert_eq!(ledger.complete_up_to(), BlockNumber(1));
    let run = |first, count, symbols| Deficit {
        first: BlockNumber(first),
        count,
        symbols,
    };
    let all = vec![
        run(1, 1, ALL_SYMBOLS),
        run(2, 1, 1),
        run(3, 2, ALL_SYMBOLS),
        run(6, 4, ALL_SYMBOLS),
    ];
    assert_eq!(
        ledger.deficits(BlockNumber(10), 9, |_| CHECKED),
        (all.clone(), BlockNumber(10))
    );
    assert_eq!(
        ledger.deficits(BlockNumber(10), 2, |_| CHECKED),
        (all[..2].to_vec(), BlockNumber(3))
    );
}

#[test]
fn deficits_up_to_a_forged_end_are_as_few_runs() {
    let mut ledger = Ledger::new(8);
    ledger.on_written(BlockNumber(70));
    fill(&mut ledger, 3, 4, &[0]);
    fill(&mut ledger, u32::MAX - 9, 4, &[0]);
    let run = |first, count, symbols| Deficit {
        first: BlockNumber(first),
        count,
        symbols,
    };
    let all = vec![
        run(0, 3, ALL_SYMBOLS),
        run(3, 1, 3),
        run(4, 66, ALL_SYMBOLS),
        run(71, u32::MAX - 80, ALL_SYMBOLS),
        run(u32::MAX - 9, 1, 3),
        run(u32::MAX - 8, 8, ALL_SYMBOLS),
    ];
    let end = BlockNumber(u32::MAX);
    assert_eq!(ledger.deficits(end, 9, |_| CHECKED), (all.clone(), end));
    // Those from 100 on are unchecked.
    let unchecked = |block: BlockNumber| block.0.max(100)..u32::MAX;
    let mut known = all[..4].to_vec();
    known[3].count = 29;
    assert_eq!(ledger.deficits(end, 9, unchecked), (known, end));
}

#[test]
fn buffers_come_back_and_run_out() {
    let mut ledger = Ledger::new(2);
    fill(&mut ledger, 0, 2, &[0]);
    fill(&mut ledger, 1, 2, &[0, 1]);
    assert_eq!(
        ledger.begin(BlockNumber(2), 2, Esi(0), NOBODY),
        Placement::Redundant
    );
    ledger.on_written(BlockNumber(1));
    assert_eq!(ledger.in_use(), 1);
    fill(&mut ledger, 2, 2, &[0]);
    ledger.drop_block(BlockNumber(0));
    assert_eq!(
        ledger.place(BlockNumber(0), 2, Esi(0), NOBODY),
        Placement::First,
        "needed again"
    );
}

#[test]
fn a_fresh_block_takes_the_buffer_of_the_least_complete_that_is_given_up() {
    let mut ledger = Ledger::new(3);
    fill(&mut ledger, 0, 4, &[0, 1, 2]);
    fill(&mut ledger, 1, 4, &[0]);
    fill(&mut ledger, 2, 4, &[0, 1, 2, 3]);
    let begin = |ledger: &mut Ledger, block, given_up| {
        ledger.begin(BlockNumber(block), 4, Esi(0), below(given_up))
    };
    assert_eq!(begin(&mut ledger, 5, 0), Placement::Redundant);
    assert_eq!(begin(&mut ledger, 5, 1), Placement::Slot(BufferId(0), 0));
    assert_eq!(ledger.k(BlockNumber(0)), None, "only block 0 was given up");
    assert_eq!(begin(&mut ledger, 6, 3), Placement::Slot(BufferId(1), 0));
    assert_eq!(begin(&mut ledger, 7, 3), Placement::Redundant);
    assert!(ledger.hand_out(BlockNumber(2)).is_some(), "it is complete");
}

#[test]
fn what_a_cycle_left_incomplete_gives_up_its_buffer_until_its_turn_comes() {
    let mut ledger = Ledger::new(3);
    fill(&mut ledger, 10, 4, &[0, 1]);
    fill(&mut ledger, 20, 4, &[0]);
    fill(&mut ledger, 30, 4, &[0, 1, 2]);
    let far_off = given_up(0, 15);
    assert_eq!(ledger.given_up(far_off), 0, "they came in this cycle");
    ledger.on_cycle();
    assert_eq!(ledger.given_up(far_off), 2);
    let yielding = Yielding {
        given_up: far_off,
        ..NOBODY
    };
    let begin = |ledger: &mut Ledger, block| {
        ledger.begin(BlockNumber(block), 4, Esi(0), yielding);
        ledger.on_symbol(BlockNumber(block), Esi(0), 0);
    };
    begin(&mut ledger, 0);
    assert_eq!(ledger.k(BlockNumber(20)), None, "it lacked most");
    // What is being put together now stays, though it lacks more and is as far off.
    begin(&mut ledger, 40);
    assert_eq!(ledger.k(BlockNumber(30)), None);
    begin(&mut ledger, 50);
    let held = [0, 10, 40].map(|block| ledger.k(BlockNumber(block)));
    assert_eq!(held, [Some(4); 3]);
}

#[test]
fn the_bitmap_counts_across_words() {
    let mut ledger = Ledger::new(1);
    for block in (0..200).filter(|block| *block != 130) {
        ledger.on_written(BlockNumber(block));
        ledger.on_written(BlockNumber(block));
    }
    assert_eq!((ledger.complete_up_to().0, ledger.done_count()), (130, 199));
    ledger.on_written(BlockNumber(130));
    assert_eq!(ledger.complete_up_to().0, 200);
    assert_eq!(
        ledger.deficits(BlockNumber(200), 4, |_| CHECKED),
        (vec![], BlockNumber(200))
    );
}

#[test]
fn a_block_that_a_page_knows_takes_the_buffer_of_one_that_none_knows() {
    let mut ledger = Ledger::new(3);
    fill(&mut ledger, 0, 4, &[0]);
    fill(&mut ledger, 900, 1, &[0]);
    fill(&mut ledger, 800, 4, &[0]);
    let known = |unknown_from| Yielding {
        unknown_from: BlockNumber(unknown_from),
        ..NOBODY
    };
    let begin = |ledger: &mut Ledger, block, yielding| {
        ledger.begin(BlockNumber(block), 4, Esi(0), yielding)
    };
    assert_eq!(begin(&mut ledger, 70, known(64)), Placement::Redundant);
    assert_eq!(
        begin(&mut ledger, 1, known(64)),
        Placement::Slot(BufferId(1), 0)
    );
    assert_eq!(
        begin(&mut ledger, 2, known(64)),
        Placement::Slot(BufferId(2), 0)
    );
    assert_eq!(begin(&mut ledger, 3, known(64)), Placement::Redundant);
}

#[test]
fn what_stays_unknown_is_dropped() {
    let mut ledger = Ledger::new(3);
    for block in [1, 70, 900] {
        fill(&mut ledger, block, 4, &[0]);
    }
    ledger.drop_unknown(|block| block.0 < 64);
    assert_eq!(ledger.in_use(), 3, "a page may be on its way");
    ledger.drop_unknown(|block| block.0 < 128);
    assert_eq!(ledger.in_use(), 2);
    assert!(ledger.lacks(BlockNumber(900)));
    ledger.drop_from(BlockNumber(70));
    assert_eq!(ledger.in_use(), 1);
}

#[test]
fn of_a_spoiled_block_only_what_is_right_is_kept() {
    let mut ledger = Ledger::new(4);
    fill(&mut ledger, 0, 4, &[1, 200, 3, 0]);
    let block = BlockNumber(0);
    ledger.hand_out(block).unwrap();
    assert!(ledger.spoil(block, &[0, 1, 200, 3].map(Esi)));
    // Until its symbols were sifted it takes none, needs none, and is not handed out.
    assert_eq!(ledger.place(block, 4, Esi(2), NOBODY), Placement::Redundant);
    assert_eq!(ledger.deficits(BlockNumber(1), 9, |_| CHECKED).0, []);
    assert!(ledger.complete().is_empty() && ledger.hand_out(block).is_none());
    assert!(!ledger.is_writing());
    let forged = ledger.sift(block, |slot, esi| {
        assert_eq!([0, 1, 200, 3][usize::from(slot)], esi.0);
        ![1, 200].contains(&esi.0)
    });
    assert_eq!((forged, ledger.lacking(block)), (2, 2));
    // The sender's own symbols of the same numbers take their places.
    fill(&mut ledger, 0, 4, &[200, 1]);
    assert!(ledger.hand_out(block).is_some());
}

#[test]
fn a_source_symbol_is_not_taken_twice_where_sifting_has_freed_its_slot() {
    let mut ledger = Ledger::new(4);
    fill(&mut ledger, 0, 4, &[1, 200, 3, 0]);
    let block = BlockNumber(0);
    let (_, slots) = ledger.hand_out(block).unwrap();
    // As they were collected: the repair in slot 3, and 3 in slot 2.
    assert!(ledger.spoil(block, &slots));
    assert_eq!(ledger.sift(block, |_, esi| esi != Esi(200)), 1);
    assert_eq!(ledger.place(block, 4, Esi(3), NOBODY), Placement::Redundant);
    fill(&mut ledger, 0, 4, &[2]);
    let (_, slots) = ledger.hand_out(block).unwrap();
    assert_eq!(slots, [0, 1, 3, 2].map(Esi));
}

#[test]
fn spoiled_blocks_keep_half_of_the_buffers() {
    let mut ledger = Ledger::new(4);
    for number in 0..3 {
        fill(&mut ledger, number, 2, &[0, 1]);
        ledger.hand_out(BlockNumber(number)).unwrap();
    }
    let spoiled = [0, 1, 2].map(|number| ledger.spoil(BlockNumber(number), &[0, 1].map(Esi)));
    assert_eq!(spoiled, [true, true, false]);
    assert_eq!(ledger.in_use(), 2);
    assert_eq!(ledger.lacking(BlockNumber(2)), ALL_SYMBOLS);
}

#[test]
fn what_comes_alone_is_not_asked_for_of_the_group() {
    let mut ledger = Ledger::new(4);
    fill(&mut ledger, 0, 4, &[0]);
    ledger.set_alone(BlockNumber(0));
    ledger.set_alone(BlockNumber(5));
    assert_eq!(ledger.in_use(), 0);
    let run = |first, count| Deficit {
        first: BlockNumber(first),
        count,
        symbols: ALL_SYMBOLS,
    };
    let deficits = ledger.deficits(BlockNumber(9), 9, |_| CHECKED).0;
    assert_eq!(deficits, [run(1, 4), run(6, 3)]);
    fill(&mut ledger, 0, 4, &[1, 2]);
    assert_eq!(ledger.deficits(BlockNumber(1), 9, |_| CHECKED).0, []);
    assert_eq!(ledger.lacking(BlockNumber(0)), 2);
    ledger.on_written(BlockNumber(0));
    assert!(!ledger.is_alone(BlockNumber(0)));
}
