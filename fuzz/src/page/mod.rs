//! Manifest pages: their bytes by themselves (`run` with bytes), and how a receiver puts them
//! together (module `log`).

mod log;

use arbitrary::{Arbitrary, Unstructured};
use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::manifest::{Entry, MAX_PAGE, Page, PageError, Run, StoredBlock};
use mimeo_protocol::units::{BlockNumber, ENTRIES_PER_PAGE, PageNumber, Place};

use crate::value::Near;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// The bytes of a page as they may come.
    Page(&'a [u8]),
    /// The symbols of a page: what follows the page are zeros.
    Symbols(&'a [u8]),
    /// A page as a sender makes it, right or wrong.
    Made(Made),
    /// Pages as they come to a receiver.
    Log(log::Input<'a>),
}

/// What a page is made of.
#[derive(Debug, Arbitrary)]
pub(crate) struct Made {
    number: Near,
    first_block: Near,
    #[arbitrary(with = entries)]
    entries: Vec<MadeEntry>,
}

/// An entry, by how far it is from the end of the one before.
#[derive(Debug, Arbitrary)]
struct MadeEntry {
    kind: u8,
    place: Near,
    len: Near,
    digest: u8,
}

fn entries(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<MadeEntry>> {
    u.arbitrary_iter()?.take(ENTRIES_PER_PAGE + 1).collect()
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    match input {
        Input::Page(bytes) => {
            if let Ok(page) = Page::decode(bytes) {
                check(&page, bytes);
            }
        }
        Input::Symbols(bytes) => symbols(bytes),
        Input::Made(made) => {
            if let Ok(page) = made.page((0, 0, 0)) {
                let mut bytes = Vec::new();
                page.encode(&mut bytes);
                check(&page, &bytes);
            }
        }
        Input::Log(input) => log::run(&input),
    }
}

fn symbols(bytes: &[u8]) {
    let Ok(trimmed) = Page::trim(bytes) else {
        return;
    };
    let (page, padding) = bytes.split_at(trimmed.len());
    assert_eq!(page, trimmed);
    assert!(padding.iter().all(|&byte| byte == 0));
    if let Ok(page) = Page::decode(trimmed) {
        check(&page, trimmed);
    }
}

/// What holds of every page, and of the bytes that it was or would be decoded from.
fn check(page: &Page, bytes: &[u8]) {
    let mut again = Vec::new();
    page.encode(&mut again);
    assert_eq!(again, bytes);
    assert_eq!(page.encoded_len(), bytes.len());
    assert!(bytes.len() <= MAX_PAGE);
    assert_eq!(Page::decode(bytes).as_ref(), Ok(page));
    let entries = page.entries().to_vec();
    let made = Page::new(page.number(), page.first_block(), entries).expect("it is valid");
    let mut unsigned = Vec::new();
    made.encode(&mut unsigned);
    let (signed, signature) = bytes.split_at(bytes.len() - page.signature().len());
    assert!(unsigned.starts_with(signed) && signature == page.signature());
    let mut next = u64::from(page.first_block().0);
    for (number, block) in page.blocks() {
        assert_eq!(u64::from(number.0), next);
        assert!((1..=187).contains(&block.source_symbols()));
        next += 1;
    }
    assert!(next <= u64::from(u32::MAX));
    let mut end = 0;
    for entry in page.entries() {
        assert!(entry.place() >= Place(end) && entry.count() > 0);
        end = entry.end().expect("a valid entry ends at a place").0;
    }
}

impl Made {
    /// The page, where its number, first block and first place should be these.
    pub(crate) fn page(&self, (number, block, place): (u32, u32, u32)) -> Result<Page, PageError> {
        let mut end = place;
        let mut entries = Vec::new();
        for made in &self.entries {
            let entry = made.entry(end);
            end = entry.end().map_or(u32::MAX, |end| end.0);
            entries.push(entry);
        }
        let number = PageNumber(self.number.to_u32(number));
        Page::new(number, BlockNumber(self.first_block.to_u32(block)), entries)
    }
}

impl MadeEntry {
    fn entry(&self, end: u32) -> Entry {
        let place = Place(self.place.to_u32(end));
        let count = self.len.to_u32(1);
        match self.kind % 4 {
            0 => Entry::Zero(Run { place, count }),
            1 => Entry::Unused(Run { place, count }),
            kind => Entry::Block(StoredBlock {
                place,
                stored_len: count,
                coding: if kind == 2 { Coding::Zstd } else { Coding::Raw },
                digest: BlockDigest([self.digest; 32]),
            }),
        }
    }
}
