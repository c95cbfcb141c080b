use super::*;
use crate::ids::SessionId;
use crate::keys::{Signer, SigningKey};
use crate::units::{BLOCK_SIZE, SYMBOL_SIZE};

const SESSION: SessionId = SessionId([7; 16]);

fn signer(session: SessionId) -> Signer {
    Signer {
        key: SigningKey::from_seed(&[1; 32]),
        session,
    }
}

fn pages() -> Pages {
    Pages::new(signer(SESSION).verifier(), None, None)
}

fn page(number: u32, entries: Vec<Entry>, signer: &Signer) -> Page {
    let mut page = Page::new(PageNumber(number), BlockNumber(0), entries).unwrap();
    page.sign(signer);
    page
}

/// A page as it stands in a symbol.
fn padded(page: &Page) -> Vec<u8> {
    let mut bytes = Vec::new();
    page.encode(&mut bytes);
    bytes.resize(SYMBOL_SIZE, 0);
    bytes
}

fn symbol(number: u32, entries: Vec<Entry>) -> Vec<u8> {
    padded(&page(number, entries, &signer(SESSION)))
}

fn run(place: u32, count: u32) -> Run {
    Run {
        place: Place(place),
        count,
    }
}

#[test]
fn unused_runs_are_kept_in_order_and_joined_whatever_order_pages_come_in() {
    let unused = |place, count| Entry::Unused(run(place, count));
    let first = symbol(0, vec![unused(0, 2), unused(2, 1), Entry::Zero(run(3, 1))]);
    let second = symbol(1, vec![unused(4, 6)]);
    let third = symbol(2, vec![unused(10, 1)]);
    let (mut pages, tags) = (pages(), DigestTags::default());
    for (number, symbol) in [(2, third), (0, first), (1, second)] {
        assert!(pages.on_symbol(PageNumber(number), 1, &symbol, &tags));
    }
    assert!(pages.identity(11 * BLOCK_SIZE as u64).is_some());
    assert_eq!(pages.poll_run(), Some(run(3, 1)));
    assert_eq!(pages.take_unused(u32::MAX), [run(0, 3), run(4, 7)]);
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
        assert!(!pages.on_symbol(PageNumber(0), 1, &padded(page), &tags));
        assert_eq!((pages.forged(), pages.up_to()), (n, PageNumber(0)));
        assert_eq!(pages.poll_run(), None);
    }
    let right = symbol(0, zeros());
    assert!(pages.on_symbol(PageNumber(0), 1, &right, &tags));
    assert_eq!(pages.poll_run(), Some(run(0, 4)));
}

#[test]
fn no_forged_symbol_keeps_a_page_back() {
    let tags = DigestTags::default();
    let mut pages = pages();
    let noise = vec![0x5a; SYMBOL_SIZE];
    for k in [1, 2, 187] {
        assert!(!pages.on_symbol(PageNumber(0), k, &noise, &tags));
    }
    // Those of another number of symbols are none of a page.
    assert_eq!(pages.forged(), 1);
    assert!(!pages.has_missing(), "what is forged says nothing");
    let right = symbol(0, vec![Entry::Zero(run(0, 4))]);
    assert!(pages.on_symbol(PageNumber(0), 1, &right, &tags));
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

#[test]
fn an_entry_beyond_the_image_is_not_written() {
    let len = 4 * BLOCK_SIZE as u64 - 1;
    let beyond = [
        Entry::Zero(run(0, 5)),
        Entry::Unused(run(0, 5)),
        Entry::Zero(run(0, u32::MAX)),
    ];
    for entry in beyond {
        let mut pages = Pages::new(signer(SESSION).verifier(), Some(len), None);
        let tags = DigestTags::default();
        pages.on_symbol(PageNumber(0), 1, &symbol(0, vec![entry]), &tags);
        assert!(pages.is_broken());
        assert_eq!((pages.poll_run(), pages.take_unused(4)), (None, vec![]));
    }
    let mut pages = Pages::new(signer(SESSION).verifier(), Some(len), None);
    let whole = symbol(0, vec![Entry::Zero(run(0, 4))]);
    pages.on_symbol(PageNumber(0), 1, &whole, &DigestTags::default());
    assert!(!pages.is_broken() && pages.poll_run().is_some());
}
