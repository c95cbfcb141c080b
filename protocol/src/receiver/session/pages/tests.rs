use super::*;
use crate::block::{BlockDigest, Coding};
use crate::ids::SessionId;
use crate::keys::{Signer, SigningKey};
use crate::units::{BLOCK_SIZE, ENTRIES_PER_PAGE};

const SESSION: SessionId = SessionId([7; 16]);

fn signer(session: SessionId) -> Signer {
    Signer {
        key: SigningKey::from_seed(&[1; 32]),
        session,
    }
}

fn pages() -> Pages {
    Pages::new(signer(SESSION).verifier())
}

fn page(number: u32, entries: Vec<Entry>, signer: &Signer) -> Page {
    let mut page = Page::new(PageNumber(number), BlockNumber(0), entries).unwrap();
    page.sign(signer);
    page
}

/// The symbols of a page, source and two of repair, as the sender codes them.
fn symbols(page: &Page) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    page.encode(&mut bytes);
    let k = bytes.len().div_ceil(SYMBOL_SIZE);
    bytes.resize(k * SYMBOL_SIZE, 0);
    let mut rows = vec![0; 2 * SYMBOL_SIZE];
    let code = Code::new(u8::try_from(k).unwrap()).unwrap();
    code.repair(0, &bytes, &mut rows).unwrap();
    let symbols = bytes.chunks(SYMBOL_SIZE).chain(rows.chunks(SYMBOL_SIZE));
    symbols.map(<[u8]>::to_vec).collect()
}

/// All of a page in one symbol.
fn symbol(number: u32, entries: Vec<Entry>) -> Vec<u8> {
    symbols(&page(number, entries, &signer(SESSION))).swap_remove(0)
}

fn run(place: u32, count: u32) -> Run {
    Run {
        place: Place(place),
        count,
    }
}

/// A page of two source symbols.
fn large(signer: &Signer) -> Page {
    let block = |place| {
        Entry::Block(StoredBlock {
            place: Place(place),
            stored_len: 1000,
            coding: Coding::Raw,
            digest: BlockDigest([place as u8; 32]),
        })
    };
    let entries = (0..ENTRIES_PER_PAGE as u32).map(block).collect();
    page(0, entries, signer)
}

#[test]
fn unused_runs_are_kept_in_order_and_joined_whatever_order_pages_come_in() {
    let unused = |place, count| Entry::Unused(run(place, count));
    let first = symbol(0, vec![unused(0, 2), unused(2, 1), Entry::Zero(run(3, 1))]);
    let second = symbol(1, vec![unused(4, 6)]);
    let third = symbol(2, vec![unused(10, 1)]);
    let (mut pages, tags) = (pages(), DigestTags::default());
    for (number, symbol) in [(2, third), (0, first), (1, second)] {
        assert!(pages.on_symbol(PageNumber(number), (Esi(0), 1), &symbol, &tags));
    }
    assert!(pages.identity(11 * BLOCK_SIZE as u64).is_some());
    assert_eq!(pages.poll_run(), Some(run(3, 1)));
    assert_eq!(pages.take_unused(), [run(0, 3), run(4, 7)]);
}

#[test]
fn a_page_that_the_sender_did_not_sign_for_this_session_is_dropped() {
    let zeros = || vec![Entry::Zero(run(0, 4))];
    let tags = DigestTags::default();
    let mut tampered = page(0, zeros(), &signer(SESSION));
    let mut bytes = Vec::new();
    tampered.encode(&mut bytes);
    // The run is longer than the signed one.
    bytes[17] += 1;
    tampered = Page::decode(&bytes).unwrap();
    let other_session = page(0, zeros(), &signer(SessionId([8; 16])));
    let other_key = Signer {
        key: SigningKey::from_seed(&[2; 32]),
        session: SESSION,
    };
    let other_key = page(0, zeros(), &other_key);
    let unsigned = Page::new(PageNumber(0), BlockNumber(0), zeros()).unwrap();
    let of_another_number = page(1, zeros(), &signer(SESSION));
    let mut pages = pages();
    let forged = [
        tampered,
        other_session,
        other_key,
        unsigned,
        of_another_number,
    ];
    for (n, page) in (1..).zip(&forged) {
        assert!(!pages.on_symbol(PageNumber(0), (Esi(0), 1), &symbols(page)[0], &tags));
        assert_eq!((pages.forged(), pages.up_to()), (n, PageNumber(0)));
        assert_eq!(pages.poll_run(), None);
    }
    let right = symbol(0, zeros());
    assert!(pages.on_symbol(PageNumber(0), (Esi(0), 1), &right, &tags));
    assert_eq!(pages.poll_run(), Some(run(0, 4)));
}

#[test]
fn a_forged_symbol_costs_the_symbols_that_it_came_together_with() {
    let (page, tags) = (large(&signer(SESSION)), DigestTags::default());
    let symbols = symbols(&page);
    let noise = vec![0x5a; SYMBOL_SIZE];
    for forged in 0..4 {
        let mut pages = pages();
        let mut take =
            |esi: u8, symbol: &[u8]| pages.on_symbol(PageNumber(0), (Esi(esi), 2), symbol, &tags);
        // The forged one overtakes the sender's of the same number.
        let mut whole = take(forged, &noise);
        for (esi, symbol) in (0..).zip(&symbols) {
            whole |= take(esi, symbol);
        }
        assert!(whole, "{forged}");
        assert_eq!((pages.forged(), pages.up_to()), (1, PageNumber(1)));
    }
}

#[test]
fn a_forged_number_of_symbols_does_not_hold_a_page_back() {
    let tags = DigestTags::default();
    let mut pages = pages();
    let noise = vec![0x5a; SYMBOL_SIZE];
    assert!(!pages.on_symbol(PageNumber(0), (Esi(9), 2), &noise, &tags));
    let small = symbol(0, vec![Entry::Zero(run(0, 4))]);
    assert!(pages.on_symbol(PageNumber(0), (Esi(0), 1), &small, &tags));
    assert!(pages.partial.is_empty());
}

#[test]
fn a_forged_number_of_pages_is_asked_for_in_bounds_until_the_sender_says_otherwise() {
    let mut pages = pages();
    pages.on_known(PageNumber(u32::MAX));
    let ahead = PageRun {
        first: PageNumber(0),
        count: MAX_AHEAD,
    };
    assert_eq!(pages.missing(16), [ahead]);
    pages.put_right(PageNumber(0));
    assert!(!pages.has_missing());
}
