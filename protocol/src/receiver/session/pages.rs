//! The manifest as a receiver puts it together.

mod front;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use front::Front;

use crate::hash::NumberMap;
use crate::keys::Verifier;
use crate::manifest::{Entry, Identity, IdentityHasher, Page, Run, StoredBlock};
use crate::receiver::tags::DigestTags;
use crate::units::{BLOCK_SIZE, BlockNumber, PageNumber, Place};
use crate::wire::PageRun;

/// Pages that may wait for an earlier one at a time: more than the credit of the
/// largest buffer covers, so that a forged page number cannot take memory without bound.
pub(super) const MAX_AHEAD: u32 = 4096;

/// All pages so far.
#[derive(Debug)]
pub(super) struct Pages {
    verifier: Verifier,
    /// Blocks of the image, where its length is known: no entry may go beyond.
    image_blocks: Option<u64>,
    /// Symbols that are no page which the sender has signed.
    forged: u64,
    /// Whole pages that wait for an earlier one.
    waiting: BTreeMap<PageNumber, Page>,
    /// All pages below this one were taken in.
    up_to: PageNumber,
    /// Pages that the sender is known to have made.
    known: PageNumber,
    blocks: NumberMap<BlockNumber, StoredBlock>,
    runs: VecDeque<Run>,
    /// Ascending; neighbours are joined.
    unused: Vec<Run>,
    /// Blocks that all pages so far are about.
    sent_blocks: BlockNumber,
    identity: IdentityHasher,
    broken: bool,
    /// What a target that is shorter than the image can be proved to hold.
    front: Front,
    /// The first place of an entry that is not what is known of the target.
    contradiction: Option<Place>,
}

impl Pages {
    /// `image_len` is that of the image where it is known, `target_len` that of a target that has an end
    /// of its own.
    pub(super) fn new(verifier: Verifier, image_len: Option<u64>, target_len: Option<u64>) -> Self {
        Self {
            verifier,
            image_blocks: image_len.map(|len| len.div_ceil(BLOCK_SIZE as u64)),
            forged: 0,
            waiting: BTreeMap::new(),
            up_to: PageNumber(0),
            known: PageNumber(0),
            blocks: NumberMap::default(),
            runs: VecDeque::new(),
            unused: Vec::new(),
            sent_blocks: BlockNumber(0),
            identity: IdentityHasher::default(),
            broken: false,
            front: Front::new(target_len),
            contradiction: None,
        }
    }

    /// What the sender's signatures are verified with.
    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Symbols that are no page which the sender has signed.
    pub(super) fn forged(&self) -> u64 {
        self.forged
    }

    /// Whether a symbol of this page is worth keeping.
    pub(super) fn wants(&self, page: PageNumber, k: u8) -> bool {
        page >= self.up_to
            && page.0 - self.up_to.0 < MAX_AHEAD
            && k == 1
            && !self.waiting.contains_key(&page)
    }

    /// Takes a symbol under the group key; `tags` are what is known of the target. Returns whether
    /// it is a page of the sender's.
    ///
    /// A page is one symbol, so it is right or wrong by itself: nothing that is forged can spoil it.
    pub(super) fn on_symbol(
        &mut self,
        page: PageNumber,
        k: u8,
        symbol: &[u8],
        tags: &DigestTags,
    ) -> bool {
        if !self.wants(page, k) {
            return false;
        }
        let Some(whole) = decode(page, symbol, &self.verifier) else {
            self.forged += 1;
            return false;
        };
        // Pages are sent in order, so those before this one were.
        self.known = self.known.max(page);
        self.waiting.insert(page, whole);
        self.take_in(tags);
        true
    }

    /// Takes in the pages that are next in order. A block's entry counts only then: an entry out
    /// of order cannot be checked against its neighbours.
    fn take_in(&mut self, tags: &DigestTags) {
        while let Some(page) = self.waiting.remove(&self.up_to) {
            self.up_to.0 += 1;
            self.broken |= page.first_block() != self.sent_blocks;
            for entry in page.entries() {
                if self.is_outside(entry) {
                    self.broken = true;
                    return;
                }
                self.front.on_entry(&self.identity, entry);
                self.broken |= self.identity.push(entry).is_err();
                if self.contradiction.is_none() && tags.agrees(entry) == Some(false) {
                    self.contradiction = Some(entry.place());
                }
                match entry {
                    Entry::Block(block) => {
                        self.blocks.insert(self.sent_blocks, block.clone());
                        self.sent_blocks.0 += 1;
                    }
                    Entry::Zero(run) => self.runs.push_back(*run),
                    // Unused areas keep what the target has.
                    Entry::Unused(run) => self.on_unused(*run),
                }
            }
        }
    }

    /// Whether it goes beyond the image: what is behind that on a disk is not the sender's.
    fn is_outside(&self, entry: &Entry) -> bool {
        let end = u64::from(entry.place().0) + u64::from(entry.count());
        self.image_blocks.is_some_and(|blocks| end > blocks)
    }

    fn on_unused(&mut self, run: Run) {
        match self.unused.last_mut() {
            Some(last) if last.place.0 + last.count == run.place.0 => last.count += run.count,
            _ => self.unused.push(run),
        }
    }

    /// The places below `end` that keep what the target has, once all pages are in.
    pub(super) fn take_unused(&mut self, end: u32) -> Vec<Run> {
        let mut unused = std::mem::take(&mut self.unused);
        unused.retain(|run| run.place.0 < end);
        if let Some(last) = unused.last_mut() {
            last.count = last.count.min(end - last.place.0);
        }
        unused
    }

    /// The sender has made this many pages.
    pub(super) fn on_known(&mut self, pages: PageNumber) {
        self.known = self.known.max(pages);
    }

    /// The sender itself says how many pages it has sent.
    pub(super) fn put_right(&mut self, pages: PageNumber) {
        self.known = pages;
    }

    /// Numbers of the blocks of all pages that arrived, ascending.
    pub(super) fn known_ranges(&self) -> Vec<Range<BlockNumber>> {
        let taken_in = BlockNumber(0)..self.sent_blocks;
        let waiting = self.waiting.values().map(|page| {
            let blocks = page.blocks().count();
            let blocks = u32::try_from(blocks).expect("a page has at most 64");
            page.first_block()..BlockNumber(page.first_block().0 + blocks)
        });
        std::iter::once(taken_in).chain(waiting).collect()
    }

    /// The entry of a block whose page arrived and that was not written yet.
    pub(super) fn block(&self, block: BlockNumber) -> Option<&StoredBlock> {
        self.blocks.get(&block)
    }

    /// Forgets the entry of a block that is written and returns it.
    pub(super) fn on_written(&mut self, block: BlockNumber) -> Option<StoredBlock> {
        self.blocks.remove(&block)
    }

    /// The next run of zeros to write.
    pub(super) fn poll_run(&mut self) -> Option<Run> {
        self.runs.pop_front()
    }

    /// All pages below this one arrived.
    pub(super) fn up_to(&self) -> PageNumber {
        self.up_to
    }

    /// Whether pages are known to be missing.
    pub(super) fn has_missing(&self) -> bool {
        self.missing_below(self.known).next().is_some()
    }

    /// Whether the manifest contradicts itself, which no sender's does.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Where the image is another than the one that the target holds a part of.
    pub(super) fn contradiction(&self) -> Option<Place> {
        self.contradiction
    }

    fn missing_below(&self, end: PageNumber) -> impl Iterator<Item = PageNumber> {
        let held = |page: &PageNumber| self.waiting.contains_key(page);
        (self.up_to.0..end.0)
            .map(PageNumber)
            .filter(move |page| !held(page))
    }

    /// Runs of missing pages, oldest first, at most `max`.
    pub(super) fn missing(&self, max: usize) -> Vec<PageRun> {
        let mut runs: Vec<PageRun> = Vec::new();
        // No more are taken at a time, and the number that is known may be forged.
        let end = self.known.0.min(self.up_to.0.saturating_add(MAX_AHEAD));
        for page in self.missing_below(PageNumber(end)) {
            let full = runs.len() == max;
            match runs.last_mut() {
                Some(run) if run.first.0 + run.count == page.0 => run.count += 1,
                _ if full => break,
                _ => runs.push(PageRun {
                    first: page,
                    count: 1,
                }),
            }
        }
        runs
    }

    /// The identity, all pages of the image being in.
    pub(super) fn identity(&self, image_len: u64) -> Option<Identity> {
        self.identity
            .clone()
            .finish(image_len)
            .ok()
            .filter(|_| !self.broken)
    }

    /// The identity of what lies on a target that ends before the image, and its bytes: whole
    /// blocks. `None` if the target holds all of it.
    pub(super) fn front(&self) -> Option<(u64, Identity)> {
        self.front.identity()
    }

    /// Blocks that the pages so far are about.
    pub(super) fn sent_blocks(&self) -> BlockNumber {
        self.sent_blocks
    }
}

/// The page that stands in a symbol, if the sender has signed it.
fn decode(number: PageNumber, symbol: &[u8], verifier: &Verifier) -> Option<Page> {
    let bytes = Page::trim(symbol).ok()?;
    if !Page::is_signed(bytes, verifier) {
        return None;
    }
    let page = Page::decode(bytes).ok()?;
    (page.number() == number).then_some(page)
}

#[cfg(test)]
mod tests;
