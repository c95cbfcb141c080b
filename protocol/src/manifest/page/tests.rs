//! Pages: golden bytes, round trips and everything that decoding refuses.

use proptest::prelude::*;

use super::*;
use crate::block::{BlockDigest, Coding};
use crate::manifest::Run;
use crate::units::MAX_BODY;

fn block(place: u32, stored_len: u32, coding: Coding) -> Entry {
    let digest = BlockDigest([place as u8; 32]);
    Entry::Block(StoredBlock {
        place: Place(place),
        stored_len,
        coding,
        digest,
    })
}

fn zero(place: u32, count: u32) -> Entry {
    Entry::Zero(Run {
        place: Place(place),
        count,
    })
}

fn unused(place: u32, count: u32) -> Entry {
    Entry::Unused(Run {
        place: Place(place),
        count,
    })
}

fn page(entries: Vec<Entry>) -> Result<Page, PageError> {
    Page::new(PageNumber(7), BlockNumber(0x0102_0304), entries)
}

fn encoded(page: &Page) -> Vec<u8> {
    let mut bytes = Vec::new();
    page.encode(&mut bytes);
    assert_eq!(bytes.len(), page.encoded_len());
    bytes
}

/// A valid page with an entry of every kind.
fn sample() -> Page {
    let entries = vec![
        block(0x10, 0x1234, Coding::Zstd),
        zero(0x11, 0x300),
        unused(0x311, 2),
        block(0xa0b0_c0d0, 262_143, Coding::Raw),
    ];
    let mut page = page(entries).unwrap();
    page.signature = [0xee; SIGNATURE_LEN];
    page
}

#[test]
fn a_page_has_golden_bytes() {
    let hex: String = encoded(&sample())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let golden = [
        "00000007 01020304 04",
        "01 00000010 00001234",
        &"10".repeat(32),
        "03 00000011 00000300",
        &"00".repeat(32),
        "04 00000311 00000002",
        &"00".repeat(32),
        "02 a0b0c0d0 0003ffff",
        &"d0".repeat(32),
        &"ee".repeat(64),
    ];
    assert_eq!(hex, golden.concat().replace(' ', ""));
}

#[test]
fn blocks_are_numbered_past_the_runs() {
    let page = sample();
    let blocks: Vec<_> = page
        .blocks()
        .map(|(number, block)| (number.0, block.place.0))
        .collect();
    assert_eq!(blocks, [(0x0102_0304, 0x10), (0x0102_0305, 0xa0b0_c0d0)]);
    let symbols: Vec<_> = page
        .blocks()
        .map(|(_, block)| block.source_symbols())
        .collect();
    assert_eq!(symbols, [4, 187]);
}

#[test]
fn only_whole_pages_are_taken() {
    let bytes = encoded(&sample());
    assert_eq!(Page::decode(&bytes), Ok(sample()));
    for len in 0..bytes.len() {
        let expected = if len < 9 { 9 } else { bytes.len() };
        let error = PageError::Length {
            expected,
            found: len,
        };
        assert_eq!(Page::decode(&bytes[..len]), Err(error));
        assert_eq!(Page::trim(&bytes[..len]), Err(error));
    }
    let longer = [&bytes[..], &[0]].concat();
    let error = PageError::Length {
        expected: bytes.len(),
        found: longer.len(),
    };
    assert_eq!(Page::decode(&longer), Err(error));
}

#[test]
fn padding_is_zeros() {
    let bytes = encoded(&sample());
    let mut symbols = bytes.clone();
    symbols.resize(SYMBOL_SIZE, 0);
    assert_eq!(Page::trim(&symbols), Ok(&bytes[..]));
    assert_eq!(Page::trim(&bytes), Ok(&bytes[..]));
    for at in [bytes.len(), SYMBOL_SIZE - 1] {
        symbols[at] = 9;
        assert_eq!(
            Page::trim(&symbols),
            Err(PageError::Padding { at, found: 9 })
        );
        symbols[at] = 0;
    }
}

/// The error of a page with these entries, which making and decoding agree on.
fn refused(entries: Vec<Entry>) -> PageError {
    let made = page(entries.clone()).unwrap_err();
    let first_block = BlockNumber(0x0102_0304);
    let signature = [0; SIGNATURE_LEN];
    let invalid = Page {
        number: PageNumber(7),
        first_block,
        entries,
        signature,
    };
    assert_eq!(Page::decode(&encoded(&invalid)), Err(made));
    made
}

#[test]
fn wrong_entries_are_refused() {
    let entry = |index, error| PageError::Entry { index, error };
    let good = || block(0, 1, Coding::Zstd);
    for found in [0, 262_145, u32::MAX] {
        let error = entry(1, EntryError::StoredLen { found });
        assert_eq!(refused(vec![good(), block(1, found, Coding::Raw)]), error);
    }
    assert_eq!(refused(vec![zero(0, 0)]), entry(0, EntryError::EmptyRun));
    assert_eq!(
        refused(vec![good(), unused(9, 0)]),
        entry(1, EntryError::EmptyRun)
    );
    for (place, count) in [(1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        let error = entry(
            0,
            EntryError::PastEnd {
                place: Place(place),
                count,
            },
        );
        assert_eq!(refused(vec![zero(place, count)]), error);
    }
    let last = block(u32::MAX, 1, Coding::Zstd);
    let error = EntryError::PastEnd {
        place: Place(u32::MAX),
        count: 1,
    };
    assert_eq!(refused(vec![last]), entry(0, error));
    assert!(page(vec![zero(0, u32::MAX)]).is_ok());
    assert!(page(vec![block(u32::MAX - 1, 1, Coding::Zstd)]).is_ok());
}

#[test]
fn wrong_kinds_and_digests_are_refused() {
    let bytes = encoded(&sample());
    let decode_with = |at: usize, byte| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Page::decode(&bytes)
    };
    for found in [0, 5, 255] {
        let error = PageError::Entry {
            index: 1,
            error: EntryError::Kind { found },
        };
        assert_eq!(decode_with(9 + 41, found), Err(error));
    }
    for run in [1, 2] {
        let error = PageError::Entry {
            index: run,
            error: EntryError::RunWithDigest,
        };
        for at in 9..41 {
            assert_eq!(decode_with(9 + 41 * run + at, 1), Err(error));
        }
    }
}

#[test]
fn places_ascend() {
    let order = |index, expected, found| PageError::Order {
        index,
        expected: Place(expected),
        found: Place(found),
    };
    let good = || block(5, 1, Coding::Zstd);
    assert_eq!(refused(vec![good(), good()]), order(1, 6, 5));
    assert_eq!(
        refused(vec![good(), zero(6, 4), unused(9, 1)]),
        order(2, 10, 9)
    );
    assert_eq!(refused(vec![good(), zero(0, 2)]), order(1, 6, 0));
    assert!(page(vec![good(), zero(6, 4), unused(10, 1)]).is_ok());
}

#[test]
fn numbers_of_entries_and_blocks_are_bounded() {
    let entries = |count| {
        (0..count)
            .map(|place| block(place, 1, Coding::Raw))
            .collect::<Vec<_>>()
    };
    assert_eq!(refused(vec![]), PageError::EntryCount { found: 0 });
    assert_eq!(refused(entries(65)), PageError::EntryCount { found: 65 });
    assert_eq!(encoded(&page(entries(32)).unwrap()).len(), MAX_PAGE);

    let first = BlockNumber(u32::MAX - 2);
    let numbered = |count| Page::new(PageNumber(0), first, entries(count));
    assert!(numbered(2).is_ok());
    assert_eq!(
        numbered(3),
        Err(PageError::BlockNumbers { first, blocks: 3 })
    );
}

/// Entries with gaps between them, as pairs of a gap and an entry at place 0.
fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    let coding = prop::sample::select(vec![Coding::Zstd, Coding::Raw]);
    let block = (1..=MAX_BODY as u32, coding, any::<[u8; 32]>()).prop_map(
        |(stored_len, coding, digest)| {
            let (place, digest) = (Place(0), BlockDigest(digest));
            Entry::Block(StoredBlock {
                place,
                stored_len,
                coding,
                digest,
            })
        },
    );
    let run = (1..1_000_000_u32, any::<bool>()).prop_map(|(count, used)| {
        if used {
            zero(0, count)
        } else {
            unused(0, count)
        }
    });
    prop::collection::vec((0..3_u32, prop_oneof![block, run]), 1..=32).prop_map(|entries| {
        let mut end = 0;
        let placed = entries.into_iter().map(|(gap, mut entry)| {
            match &mut entry {
                Entry::Block(block) => block.place.0 = end + gap,
                Entry::Zero(run) | Entry::Unused(run) => run.place.0 = end + gap,
            }
            end += gap + entry.count();
            entry
        });
        placed.collect()
    })
}

proptest! {
    #[test]
    fn pages_return(
        number: u32,
        first in 0..u32::MAX - 64,
        entries in any_entries(),
        signature in prop::collection::vec(any::<u8>(), SIGNATURE_LEN),
    ) {
        let mut page = Page::new(PageNumber(number), BlockNumber(first), entries).unwrap();
        page.signature = signature.try_into().unwrap();
        prop_assert_eq!(Page::decode(&encoded(&page)), Ok(page));
    }

    #[test]
    fn whatever_decodes_has_only_one_form(
        entries in any_entries(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut bytes = encoded(&page(entries).unwrap());
        for (index, byte) in hits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(page) = Page::decode(&bytes) {
            prop_assert_eq!(encoded(&page), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(Page::decode(&bytes).is_err());
        let _ = Page::trim(&bytes);
    }
}
