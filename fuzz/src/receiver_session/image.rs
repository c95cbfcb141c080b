//! Images that the sender of a receiver sends: their pages, and what their symbols hold.
//!
//! There are a few, which are made and signed once: making one for each input would take most of the
//! time.

use std::sync::OnceLock;

use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::ids::SessionId;
use mimeo_protocol::manifest::{Entry, IdentityHasher, Page, Run, StoredBlock};
use mimeo_protocol::units::{
    BLOCK_SIZE, BlockNumber, PageNumber, Place, SYMBOL_SIZE, source_symbols,
};
use mimeo_protocol::wire::{DIGEST_PARTS, DIGESTS_PER_PART, DigestPart, EndRecord, SymbolDigest};

use crate::setup;

/// So many differ.
const IMAGES: u8 = 64;

/// Entries of the images, the first aside.
const ENTRIES: [u8; 8] = [3, 0, 1, 2, 4, 6, 10, 24];

/// See the module's page.
pub(super) struct Image {
    pages: Vec<Page>,
    blocks: Vec<StoredBlock>,
    end: EndRecord,
    signed: [OnceLock<Signed>; setup::SESSIONS],
}

/// What a sender signs for one session.
struct Signed {
    pages: Vec<Object>,
    end: EndRecord,
    /// Digests of the symbols of each block, made when they are first needed.
    digests: Vec<[OnceLock<Vec<u8>>; DIGEST_PARTS as usize]>,
}

/// A page's number and source symbols, padded.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) number: PageNumber,
    pub(super) symbols: Vec<u8>,
}

impl Image {
    /// One of several, by any number.
    pub(super) fn any(which: u8) -> &'static Self {
        static ALL: [OnceLock<Image>; IMAGES as usize] = [const { OnceLock::new() }; _];
        let which = which % IMAGES;
        ALL[usize::from(which)].get_or_init(|| Self::new(which))
    }

    /// At least one block, and at most four pages.
    fn new(which: u8) -> Self {
        let count = ENTRIES[usize::from(which % 8)];
        let pages = [1, 2, 1, 4][usize::from(which / 8 % 4)];
        let mut draw = u32::from(which);
        let kinds = (0..count).map(|_| {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            draw.to_be_bytes()[0]
        });
        // One of them has a block of all the symbols that there can be.
        let first = if which == IMAGES - 1 { LARGEST } else { 1 };
        let mut place = 0;
        let mut entries: Vec<Entry> = Vec::new();
        for kind in std::iter::once(first).chain(kinds) {
            let entry = entry(kind, Place(place));
            place += entry.count();
            entries.push(entry);
        }
        let per_page = entries.len().div_ceil(pages);
        Self::of(&entries, per_page, u64::from(place) * BLOCK_SIZE as u64)
    }

    fn of(entries: &[Entry], per_page: usize, image_len: u64) -> Self {
        let mut identity = IdentityHasher::default();
        let (mut pages, mut blocks) = (Vec::new(), Vec::new());
        for (number, entries) in (0..).zip(entries.chunks(per_page)) {
            let first = BlockNumber(blocks.len() as u32);
            for entry in entries {
                identity.push(entry).expect("there are no gaps");
                if let Entry::Block(block) = entry {
                    blocks.push(block.clone());
                }
            }
            let page = Page::new(PageNumber(number), first, entries.to_vec());
            pages.push(page.expect("entries are in order"));
        }
        let end = EndRecord {
            image_len,
            blocks: BlockNumber(blocks.len() as u32),
            pages: PageNumber(pages.len() as u32),
            identity: identity.finish(image_len).expect("all places are covered"),
            image_digest: None,
            signature: [0; 64],
        };
        Self {
            pages,
            blocks,
            end,
            signed: Default::default(),
        }
    }

    fn signed(&self, session: SessionId) -> &Signed {
        self.signed[setup::which_session(session)].get_or_init(|| {
            let signer = setup::signer(session);
            let object = |page: &Page| {
                let mut page = page.clone();
                page.sign(&signer);
                object(&page)
            };
            let mut end = self.end;
            end.sign(&signer);
            Signed {
                pages: self.pages.iter().map(object).collect(),
                end,
                digests: self.blocks.iter().map(|_| Default::default()).collect(),
            }
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.end.image_len
    }

    pub(super) fn blocks(&self) -> u32 {
        self.end.blocks.0
    }

    pub(super) fn pages(&self) -> u32 {
        self.end.pages.0
    }

    /// The end record of a session.
    pub(super) fn end(&self, session: SessionId) -> EndRecord {
        self.signed(session).end
    }

    /// A block by any number.
    pub(super) fn block(&self, any: u8) -> (u32, &StoredBlock) {
        let number = u32::from(any) % self.blocks();
        (number, &self.blocks[number as usize])
    }

    /// A block by its number.
    pub(super) fn entry(&self, number: BlockNumber) -> Option<&StoredBlock> {
        self.blocks.get(number.0 as usize)
    }

    /// A part of the digests of a block, as the sender of a session sends it.
    pub(super) fn digests(&self, session: SessionId, number: u32, part: u8) -> &[u8] {
        let made = &self.signed(session).digests[number as usize][usize::from(part)];
        made.get_or_init(|| digests(number, part).seal(&setup::signer(session)))
    }

    /// A page of a session by any number.
    pub(super) fn page(&self, session: SessionId, any: u8) -> &Object {
        let pages = &self.signed(session).pages;
        &pages[usize::from(any) % pages.len()]
    }
}

/// What every byte of a block's symbol is. Whether the symbols belong together does not matter to
/// who only moves them.
pub(super) fn content(number: u32, esi: u8) -> u8 {
    (number as u8).wrapping_mul(29) ^ esi
}

/// A part of the digests of the symbols of a block.
pub(super) fn digests(number: u32, part: u8) -> DigestPart {
    static ALL: [OnceLock<SymbolDigest>; 256] = [const { OnceLock::new() }; _];
    let mut digests = [SymbolDigest::default(); DIGESTS_PER_PART];
    let first = part * DIGESTS_PER_PART as u8;
    for (esi, digest) in (first..u8::MAX).zip(&mut digests) {
        let byte = content(number, esi);
        *digest = *ALL[usize::from(byte)].get_or_init(|| SymbolDigest::of(&[byte; SYMBOL_SIZE]));
    }
    DigestPart {
        block: BlockNumber(number),
        part,
        digests,
    }
}

/// The symbols of a page, padded.
pub(super) fn object(page: &Page) -> Object {
    let mut symbols = Vec::new();
    page.encode(&mut symbols);
    symbols.resize(source_symbols(symbols.len()) * SYMBOL_SIZE, 0);
    Object {
        number: page.number(),
        symbols,
    }
}

/// Stands for a raw block of full length.
const LARGEST: u8 = 253;

fn entry(kind: u8, place: Place) -> Entry {
    let run = Run {
        place,
        count: 1 + u32::from(kind / 16),
    };
    match kind % 8 {
        6 => Entry::Zero(run),
        7 => Entry::Unused(run),
        _ => Entry::Block(StoredBlock {
            place,
            stored_len: match kind {
                LARGEST => BLOCK_SIZE as u32,
                _ => 1 + u32::from(kind / 16) * 400,
            },
            coding: Coding::Raw,
            digest: BlockDigest([1 + kind % 128; 32]),
        }),
    }
}
