//! What is read back from pages, wherever they are, and what comes of pages that are lost.

use proptest::prelude::*;

use super::*;
use crate::block::{BlockDigest, Coding};
use crate::ids::SessionId;
use crate::keys::SigningKey;
use crate::sender::page_store::PagesInMemory;
use crate::units::Place;

fn signer() -> Signer {
    Signer {
        key: SigningKey::from_seed(&[1; 32]),
        session: SessionId([2; 16]),
    }
}

fn log() -> ManifestLog {
    ManifestLog::new(signer(), Box::<PagesInMemory>::default())
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to start from"
)]
fn start() -> Instant {
    Instant::now()
}

fn stored(place: Place) -> StoredBlock {
    StoredBlock {
        place,
        stored_len: 1 + place.0 * 7 % 262_144,
        coding: if place.0.is_multiple_of(3) {
            Coding::Raw
        } else {
            Coding::Zstd
        },
        digest: BlockDigest([place.0 as u8; 32]),
    }
}

/// The next entry at a place: a block, or a run of one kind or the other.
fn entry(place: Place, kind: u8, count: u32) -> Entry {
    match kind {
        0 => Entry::Zero(Run { place, count }),
        1 => Entry::Unused(Run { place, count }),
        _ => Entry::Block(stored(place)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_block_comes_back_whenever_it_is_asked_for(
        steps in prop::collection::vec((0_u8..8, 1_u32..5, any::<u16>()), 1..400),
    ) {
        let (mut log, mut place, mut blocks) = (log(), Place(0), Vec::new());
        for (kind, count, luck) in steps {
            let entry = entry(place, kind, count);
            place = entry.end().unwrap();
            blocks.extend(entry.as_block().cloned());
            let known = log.pages();
            prop_assert!(log.push(start(), entry).is_none_or(|page| page == known));
            // Sometimes a page is closed by its age, so that it may be one without blocks.
            if luck % 16 == 0 {
                log.close_open();
            }
            prop_assert_eq!(log.known_blocks().0 as usize, blocks.len());
            let asked = usize::from(luck) % (blocks.len() + 1);
            let block = BlockNumber(asked as u32);
            prop_assert_eq!(log.block(block), blocks.get(asked).cloned());
        }
        for number in (0..=blocks.len()).rev() {
            let block = BlockNumber(number as u32);
            prop_assert_eq!(log.block(block), blocks.get(number).cloned());
        }
        prop_assert_eq!(log.lost(), None);
    }
}

#[test]
fn pages_are_those_that_were_closed() {
    let mut log = log();
    for place in 0..100 {
        log.push(start(), entry(Place(place), 2, 1));
    }
    log.close_open();
    assert_eq!(log.pages(), PageNumber(4));
    let mut first = 0;
    for number in (0..4).map(PageNumber) {
        let object = *log.page_object(number).unwrap();
        let page = Page::decode(Page::trim(&object).unwrap()).unwrap();
        assert_eq!((page.number(), page.first_block().0), (number, first));
        assert!(Page::is_signed(
            Page::trim(&object).unwrap(),
            &signer().verifier()
        ));
        first += u32::try_from(page.entries().len()).unwrap();
    }
    assert_eq!(log.page_object(PageNumber(4)), None);
    assert_eq!(log.lost(), None, "there is no such page");
}

/// Has what it gives out damaged, or refuses it.
#[derive(Debug, Default)]
struct Bad {
    page: Option<Symbol>,
    refuses: bool,
}

impl PageStore for Bad {
    fn push(&mut self, page: &Symbol) -> Result<(), PagesLost> {
        let mut page = *page;
        page[9] = 77;
        self.page = Some(page);
        Ok(())
    }

    fn page(&mut self, _: PageNumber) -> Result<&Symbol, PagesLost> {
        let page = self.page.as_ref().filter(|_| !self.refuses);
        page.ok_or_else(|| PagesLost("gone".to_owned()))
    }
}

#[test]
fn a_page_that_is_lost_or_damaged_is_the_last_that_is_asked_for() {
    for (refuses, told) in [(true, "gone"), (false, "does not have block 31")] {
        let bad = Bad {
            refuses,
            ..Bad::default()
        };
        let mut log = ManifestLog::new(signer(), Box::new(bad));
        for place in 0..33 {
            log.push(start(), entry(Place(place), 2, 1));
        }
        assert_eq!(
            log.block(BlockNumber(32)),
            Some(stored(Place(32))),
            "it is open"
        );
        assert_eq!(log.block(BlockNumber(31)), None);
        let lost = log.lost().unwrap().to_string();
        assert!(lost.contains(told), "{lost}");
        assert_eq!(log.page_object(PageNumber(0)), None);
        assert_eq!(log.lost().unwrap().to_string(), lost);
    }
}
