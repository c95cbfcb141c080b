//! The manifest as a receiver puts it together.

use std::collections::{BTreeMap, VecDeque};

use crate::fec::Code;
use crate::hash::NumberMap;
use crate::manifest::{Entry, Identity, IdentityHasher, Page, Run, StoredBlock};
use crate::receiver::tags::DigestTags;
use crate::units::{BlockNumber, Esi, PageNumber, Place, SYMBOL_SIZE};
use crate::wire::PageRun;

/// Pages that may be assembled or wait for an earlier one at a time: more than the credit of the
/// largest buffer covers, so that a forged page number cannot take memory without bound.
const MAX_AHEAD: u32 = 4096;

/// Source symbols of the largest page.
const MAX_PAGE_SYMBOLS: u8 = 2;

/// Symbols of a page that did not suffice yet.
#[derive(Debug)]
struct Partial {
    k: u8,
    esis: Vec<Esi>,
    bytes: Vec<u8>,
}

/// All pages so far.
#[derive(Debug, Default)]
pub(super) struct Pages {
    partial: BTreeMap<PageNumber, Partial>,
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
    /// The first place of an entry that is not what is known of the target.
    contradiction: Option<Place>,
}

impl Pages {
    /// Whether a symbol of this page is worth keeping.
    pub(super) fn wants(&self, page: PageNumber, k: u8) -> bool {
        page >= self.up_to
            && page.0 - self.up_to.0 < MAX_AHEAD
            && k <= MAX_PAGE_SYMBOLS
            && !self.waiting.contains_key(&page)
    }

    /// Takes an authenticated symbol; `tags` are what is known of the target. Returns whether it
    /// completed a page.
    pub(super) fn on_symbol(
        &mut self,
        page: PageNumber,
        (esi, k): (Esi, u8),
        symbol: &[u8],
        tags: &DigestTags,
    ) -> bool {
        if !self.wants(page, k) {
            return false;
        }
        // Pages are sent in order, so those before this one were; its own symbols may still come.
        self.known = self.known.max(page);
        let empty = || Partial {
            k,
            esis: Vec::new(),
            bytes: Vec::new(),
        };
        let partial = self.partial.entry(page).or_insert_with(empty);
        if partial.k != k || partial.esis.contains(&esi) {
            return false;
        }
        partial.esis.push(esi);
        partial.bytes.extend_from_slice(symbol);
        if partial.esis.len() < usize::from(k) {
            return false;
        }
        let partial = self.partial.remove(&page).expect("it was just filled");
        match decode(page, partial) {
            Some(whole) => {
                self.waiting.insert(page, whole);
                self.take_in(tags);
                true
            }
            None => false,
        }
    }

    /// Takes in the pages that are next in order. A block's entry counts only then: an entry out
    /// of order cannot be checked against its neighbours.
    fn take_in(&mut self, tags: &DigestTags) {
        while let Some(page) = self.waiting.remove(&self.up_to) {
            self.up_to.0 += 1;
            self.broken |= page.first_block() != self.sent_blocks;
            for entry in page.entries() {
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

    fn on_unused(&mut self, run: Run) {
        match self.unused.last_mut() {
            Some(last) if last.place.0 + last.count == run.place.0 => last.count += run.count,
            _ => self.unused.push(run),
        }
    }

    /// The places that keep what the target has, once all pages are in.
    pub(super) fn take_unused(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.unused)
    }

    /// The sender has made this many pages.
    pub(super) fn on_known(&mut self, pages: PageNumber) {
        self.known = self.known.max(pages);
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
        for page in self.missing_below(self.known) {
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

    /// Blocks that the pages so far are about.
    pub(super) fn sent_blocks(&self) -> BlockNumber {
        self.sent_blocks
    }
}

fn decode(number: PageNumber, mut partial: Partial) -> Option<Page> {
    debug_assert_eq!(partial.bytes.len(), usize::from(partial.k) * SYMBOL_SIZE);
    Code::new(partial.k)
        .ok()?
        .recover(&mut partial.bytes, &mut partial.esis)
        .ok()?;
    let page = Page::decode(Page::trim(&partial.bytes).ok()?).ok()?;
    (page.number() == number).then_some(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BLOCK_SIZE;

    /// All of a page in one symbol, as the sender codes it.
    fn symbol(number: u32, entries: Vec<Entry>) -> Vec<u8> {
        let page = Page::new(PageNumber(number), BlockNumber(0), entries).unwrap();
        let mut bytes = Vec::new();
        page.encode(&mut bytes);
        bytes.resize(SYMBOL_SIZE, 0);
        bytes
    }

    #[test]
    fn unused_runs_are_kept_in_order_and_joined_whatever_order_pages_come_in() {
        let run = |place, count| Run {
            place: Place(place),
            count,
        };
        let unused = |place, count| Entry::Unused(run(place, count));
        let first = symbol(0, vec![unused(0, 2), unused(2, 1), Entry::Zero(run(3, 1))]);
        let second = symbol(1, vec![unused(4, 6)]);
        let third = symbol(2, vec![unused(10, 1)]);
        let (mut pages, tags) = (Pages::default(), DigestTags::default());
        for (number, symbol) in [(2, third), (0, first), (1, second)] {
            assert!(pages.on_symbol(PageNumber(number), (Esi(0), 1), &symbol, &tags));
        }
        assert!(pages.identity(11 * BLOCK_SIZE as u64).is_some());
        assert_eq!(pages.poll_run(), Some(run(3, 1)));
        assert_eq!(pages.take_unused(), [run(0, 3), run(4, 7)]);
    }
}
