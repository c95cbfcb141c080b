//! The file beside memory, and what its failures come to.

use std::time::{Duration, Instant};

use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::ids::SessionId;
use mimeo_protocol::keys::{Signer, SigningKey};
use mimeo_protocol::manifest::{Entry, Run, StoredBlock};
use mimeo_protocol::sender::{
    PagesInMemory, Parity, Phase, Session, SessionConfig, SlowRules, StartPolicy,
};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Place};
use mimeo_protocol::wire::FailCode;
use proptest::prelude::*;

use super::*;

fn page(number: usize) -> Symbol {
    let mut page = [0; SYMBOL_SIZE];
    let content = blake3::hash(&number.to_le_bytes());
    page[..32].copy_from_slice(content.as_bytes());
    page
}

/// What both stores promise.
fn keeps_what_it_gets(store: &mut dyn PageStore, pages: usize) {
    for number in 0..pages {
        store.push(&page(number)).unwrap();
        // The newest, one of the middle, and an old one in between.
        for asked in [number, number / 2, number % 7] {
            let number = PageNumber(u32::try_from(asked).unwrap());
            assert_eq!(store.page(number).unwrap(), &page(asked));
        }
    }
    for asked in (0..pages).rev() {
        let number = PageNumber(u32::try_from(asked).unwrap());
        assert_eq!(store.page(number).unwrap(), &page(asked));
    }
    let unknown = PageNumber(u32::try_from(pages).unwrap());
    assert!(store.page(unknown).is_err());
}

#[test]
fn pages_come_back_from_wherever_they_are() {
    for pages in [1, 5, 3 * READ] {
        keeps_what_it_gets(&mut PagesInMemory::default(), pages);
        for in_memory in [0, 1, 3, AT_ONCE, 2000] {
            let mut store = SpilledPages::keeping(in_memory);
            keeps_what_it_gets(&mut store, pages);
            assert!(store.newest.len() <= in_memory + AT_ONCE.min(in_memory.max(1)));
            assert_eq!(store.file.is_some(), store.spilled > 0);
        }
    }
}

/// A store whose file is this one.
fn over(file: File, in_memory: usize) -> SpilledPages {
    let mut store = SpilledPages::keeping(in_memory);
    store.file = Some(PageFile::of(file, Path::new("/somewhere")).unwrap());
    store
}

#[test]
fn a_full_disk_is_told() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut store = over(full, 2);
    let pushed: Vec<_> = (0..4).map(|number| store.push(&page(number))).collect();
    assert!(pushed[..3].iter().all(Result::is_ok));
    let told = pushed[3].as_ref().unwrap_err().to_string();
    assert!(
        told.contains("in /somewhere: No space left on device"),
        "{told}"
    );
    assert!(told.contains("name another folder with TMPDIR"), "{told}");
}

#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let told = PageFile::make_in(Path::new("/nowhere")).unwrap_err();
    let told = told.to_string();
    assert!(told.contains("in /nowhere: No such file"), "{told}");
}

#[test]
fn what_was_damaged_is_not_used() {
    let file = tempfile::tempfile().unwrap();
    let mut store = over(file.try_clone().unwrap(), 0);
    for number in 0..4 {
        store.push(&page(number)).unwrap();
    }
    // A bit of one page, another page in the place of the next, and the last cut off.
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset(0) + 700).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset(0) + 700).unwrap();
    let mut record = [0; RECORD];
    file.read_exact_at(&mut record, offset(2)).unwrap();
    file.write_all_at(&record, offset(1)).unwrap();
    file.set_len(offset(3) + 100).unwrap();
    for (number, word) in [(0, "damaged"), (1, "damaged"), (3, "cannot read")] {
        let told = store.page(PageNumber(number)).unwrap_err().to_string();
        assert!(told.contains(word) && told.contains("/somewhere"), "{told}");
    }
    assert_eq!(store.page(PageNumber(2)), Ok(&page(2)));
}

fn session(now: Instant, pages: impl PageStore + 'static, blocks: u32) -> Session {
    let config = SessionConfig {
        image_len: Some(u64::from(blocks) * BLOCK_SIZE as u64),
        seekable: true,
        start: StartPolicy::default(),
        rate_cap: None,
        parity: Parity::Auto,
        slow: SlowRules::default(),
        linger: Duration::ZERO,
        lost_timeout: Duration::ZERO,
    };
    let signer = Signer {
        key: SigningKey::from_seed(&[1; 32]),
        session: SessionId([2; 16]),
    };
    Session::with_page_store(now, config, signer, Box::new(pages))
}

fn entry(place: u32) -> Entry {
    if place % 5 == 4 {
        let place = Place(place);
        return Entry::Unused(Run { place, count: 1 });
    }
    Entry::Block(StoredBlock {
        place: Place(place),
        stored_len: 1 + place,
        coding: Coding::Zstd,
        digest: BlockDigest([7; 32]),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_spilled_manifest_is_that_of_memory(
        places in 1_u32..2000,
        in_memory in 0_usize..20,
        asked in prop::collection::vec(any::<u32>(), 100),
    ) {
        let now = Instant::now();
        let mut plain = session(now, PagesInMemory::default(), places);
        let mut spilled = session(now, SpilledPages::keeping(in_memory), places);
        for place in 0..places {
            plain.handle_entry(now, entry(place));
            spilled.handle_entry(now, entry(place));
            let near = BlockNumber(place.saturating_sub(place % 200));
            prop_assert_eq!(plain.block(near), spilled.block(near));
        }
        let (blocks, pages) = (plain.manifest().known_blocks(), plain.manifest().pages());
        for asked in asked {
            let block = BlockNumber(asked % (blocks.0 + 1));
            prop_assert_eq!(plain.block(block), spilled.block(block));
            let page = PageNumber(asked % (pages.0 + 1));
            prop_assert_eq!(plain.page_object(page), spilled.page_object(page));
        }
        prop_assert_eq!(spilled.manifest().lost(), None);
    }
}

#[test]
fn a_session_ends_with_what_became_of_its_pages() {
    let now = Instant::now();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut session = session(now, over(full, 2), 1000);
    for place in 0..1000 {
        session.handle_entry(now, entry(place));
    }
    // Nothing that it is asked meanwhile makes it fall.
    assert_eq!(session.block(BlockNumber(5)), None);
    assert_eq!(session.page_object(PageNumber(0)), None);
    session.handle_source_end(1000 * BLOCK_SIZE as u64, None);
    session.handle_timeout(now);
    while session.poll_transmit(now, &mut Vec::new()).is_some() {}
    let (code, text) = session.abort_reason().unwrap();
    assert_eq!(*code, FailCode::Internal);
    assert!(text.contains("No space left on device"), "{text}");
    assert_eq!(*session.phase(), Phase::Over);
}
