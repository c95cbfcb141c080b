//! The manifest as the sender makes it: entries become pages, pages become symbols.

use std::time::{Duration, Instant};

use super::page_store::{PageStore, PagesLost};
use crate::ids::Seq;
use crate::keys::Signer;
use crate::manifest::{Entry, Identity, IdentityHasher, Page, Run, StoredBlock};
use crate::units::{BLOCK_SIZE, BlockNumber, ENTRIES_PER_PAGE, PageNumber, SYMBOL_SIZE, Symbol};

/// A page closes this long after its first entry, so that a slow source does not hold it back.
pub const PAGE_AGE: Duration = Duration::from_millis(100);

/// Repair symbols that go out with every page, copies of its one symbol: losing a page costs a round
/// trip before any of its 32 blocks can be written, two symbols in 5984 cost nothing.
pub const PAGE_PARITY: u8 = 2;

/// A closed page: what is under way with it, and which blocks it is about. 16 bytes for up to 32 blocks;
/// the page itself is in the store.
#[derive(Debug)]
struct ClosedPage {
    last_sent: Seq,
    first_block: BlockNumber,
    queued: bool,
}

/// All entries so far.
#[derive(Debug)]
pub struct ManifestLog {
    signer: Signer,
    open: Vec<Entry>,
    opened_at: Option<Instant>,
    pages: Vec<ClosedPage>,
    store: Box<dyn PageStore>,
    /// Why the store has failed, if it has: it is not asked any more, and the session ends.
    lost: Option<PagesLost>,
    /// The page of the block that was asked for last: the next one is mostly in it, or behind it.
    near: usize,
    /// Pages that were sent, the first time in the order of their numbers.
    sent: PageNumber,
    known_blocks: BlockNumber,
    closed_blocks: BlockNumber,
    unused_blocks: u64,
    source_symbols: u64,
    identity: IdentityHasher,
}

impl ManifestLog {
    /// No entries yet; pages will be signed by `signer` and kept in `store`, which is empty.
    pub fn new(signer: Signer, store: Box<dyn PageStore>) -> Self {
        Self {
            signer,
            open: Vec::new(),
            opened_at: None,
            pages: Vec::new(),
            store,
            lost: None,
            near: 0,
            sent: PageNumber(0),
            known_blocks: BlockNumber(0),
            closed_blocks: BlockNumber(0),
            unused_blocks: 0,
            source_symbols: 0,
            identity: IdentityHasher::default(),
        }
    }

    /// What signs for this session.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Adds the next entry in the order of places. Returns the page that it filled.
    pub fn push(&mut self, now: Instant, entry: Entry) -> Option<PageNumber> {
        self.identity
            .push(&entry)
            .expect("the source yields every place once, in order");
        match &entry {
            Entry::Block(block) => {
                self.source_symbols += u64::from(block.k());
                let blocks = self.known_blocks.0.checked_add(1);
                self.known_blocks = BlockNumber(blocks.expect("block numbers are 32 bits"));
            }
            Entry::Unused(run) => self.unused_blocks += u64::from(run.count),
            Entry::Zero(_) => {}
        }
        if !self.extend_run(&entry) {
            self.open.push(entry);
        }
        self.opened_at.get_or_insert(now);
        (self.open.len() == ENTRIES_PER_PAGE).then(|| self.close())
    }

    /// Lengthens the last entry where both are runs of one kind; entries leave no gaps.
    fn extend_run(&mut self, entry: &Entry) -> bool {
        match (self.open.last_mut(), entry) {
            (Some(Entry::Zero(run)), Entry::Zero(Run { count, .. }))
            | (Some(Entry::Unused(run)), Entry::Unused(Run { count, .. })) => run.count += count,
            _ => return false,
        }
        true
    }

    /// When the open page closes by its age.
    #[must_use]
    pub fn closes_at(&self) -> Option<Instant> {
        self.opened_at.map(|at| at + PAGE_AGE)
    }

    /// Closes the open page if it has entries.
    pub fn close_open(&mut self) -> Option<PageNumber> {
        (!self.open.is_empty()).then(|| self.close())
    }

    fn close(&mut self) -> PageNumber {
        let number = PageNumber(u32::try_from(self.pages.len()).expect("fewer pages than blocks"));
        let mut page = Page::new(number, self.closed_blocks, std::mem::take(&mut self.open))
            .expect("entries are in order and a page is closed when it is full");
        page.sign(&self.signer);
        let mut object = Vec::new();
        page.encode(&mut object);
        object.resize(SYMBOL_SIZE, 0);
        let object: &Symbol = object.as_slice().try_into().expect("a page fits a symbol");
        if self.lost.is_none() {
            self.lost = self.store.push(object).err();
        }
        self.pages.push(ClosedPage {
            last_sent: Seq(0),
            first_block: self.closed_blocks,
            queued: false,
        });
        self.opened_at = None;
        self.closed_blocks = self.known_blocks;
        number
    }

    /// Source symbols of all blocks so far: what it takes to send the image once.
    #[must_use]
    pub fn source_symbols(&self) -> u64 {
        self.source_symbols
    }

    /// Why pages are lost, if they are: nothing that has to do with them can go on.
    #[must_use]
    pub fn lost(&self) -> Option<&PagesLost> {
        self.lost.as_ref()
    }

    /// Blocks of closed pages: they may be sent.
    #[must_use]
    pub fn closed_blocks(&self) -> BlockNumber {
        self.closed_blocks
    }

    /// Blocks of all entries.
    #[must_use]
    pub fn known_blocks(&self) -> BlockNumber {
        self.known_blocks
    }

    /// Bytes of the unused runs so far.
    #[must_use]
    pub fn unused_bytes(&self) -> u64 {
        self.unused_blocks * BLOCK_SIZE as u64
    }

    /// Closed pages.
    #[must_use]
    pub fn pages(&self) -> PageNumber {
        PageNumber(u32::try_from(self.pages.len()).expect("fewer pages than blocks"))
    }

    /// Pages all of whose symbols were sent once: the room may be expected to have them.
    #[must_use]
    pub fn pages_sent(&self) -> PageNumber {
        self.sent
    }

    /// A block by its number; `None` for one that is not known, and when pages are [lost](Self::lost).
    #[must_use]
    pub fn block(&mut self, block: BlockNumber) -> Option<StoredBlock> {
        let Some(open) = block.0.checked_sub(self.closed_blocks.0) else {
            return self.closed_block(block);
        };
        let mut blocks = self.open.iter().filter_map(Entry::as_block);
        blocks.nth(open as usize).cloned()
    }

    fn closed_block(&mut self, block: BlockNumber) -> Option<StoredBlock> {
        self.near = self.page_of(block);
        let nth = block.0 - self.pages[self.near].first_block.0;
        let page = PageNumber(u32::try_from(self.near).expect("fewer pages than blocks"));
        let found = Page::nth_block(self.page_object(page)?, nth as usize);
        if found.is_none() {
            let text = format!("page {page} of the manifest does not have block {block} any more");
            self.lost = Some(PagesLost(text));
        }
        found
    }

    /// The closed page that a block is in, by its index.
    fn page_of(&self, block: BlockNumber) -> usize {
        let first = |at: usize| {
            let page = self.pages.get(at);
            page.map_or(self.closed_blocks, |page| page.first_block)
        };
        let holds = |at: usize| first(at) <= block && block < first(at + 1);
        if holds(self.near) {
            return self.near;
        }
        if holds(self.near + 1) {
            return self.near + 1;
        }
        // Of pages without blocks and the one behind them, which have the same number, the last.
        let behind = self.pages.partition_point(|page| page.first_block <= block);
        behind - 1
    }

    /// The symbol of a closed page, padded; `None` when pages are [lost](Self::lost).
    #[must_use]
    pub fn page_object(&mut self, page: PageNumber) -> Option<&Symbol> {
        if self.lost.is_some() || page >= self.pages() {
            return None;
        }
        match self.store.page(page) {
            Ok(object) => Some(object),
            Err(lost) => {
                self.lost = Some(lost);
                None
            }
        }
    }

    /// Marks a page as waiting to be sent, unless it is already or was sent after `seen`.
    pub fn queue_page(&mut self, page: PageNumber, seen: Seq) -> bool {
        let Some(closed) = self.pages.get_mut(page.0 as usize) else {
            return false;
        };
        let due = !closed.queued && (closed.last_sent <= seen);
        closed.queued |= due;
        due
    }

    /// Marks a page as sent; true the first time.
    pub fn on_page_sent(&mut self, page: PageNumber, last: Seq) -> bool {
        let Some(closed) = self.pages.get_mut(page.0 as usize) else {
            return false;
        };
        closed.queued = false;
        self.sent = self.sent.max(PageNumber(page.0 + 1));
        std::mem::replace(&mut closed.last_sent, last) == Seq(0)
    }

    /// The identity of the whole image, all entries being in.
    #[must_use]
    pub fn identity(&self, image_len: u64) -> Identity {
        self.identity
            .clone()
            .finish(image_len)
            .expect("the entries end where the image does")
    }
}

#[cfg(test)]
mod tests;
