//! The manifest as the sender makes it: entries become pages, pages become symbols.

use std::time::{Duration, Instant};

use crate::ids::Seq;
use crate::keys::Signer;
use crate::manifest::{Entry, Identity, IdentityHasher, Page, Run};
use crate::units::{
    BLOCK_SIZE, BlockNumber, ENTRIES_PER_PAGE, PageNumber, Place, SYMBOL_SIZE, Symbol,
    source_symbols,
};

/// A page closes this long after its first entry, so that a slow source does not hold it back.
pub const PAGE_AGE: Duration = Duration::from_millis(100);

/// Repair symbols that go out with every page, copies of its one symbol: losing a page costs a round
/// trip before any of its 32 blocks can be written, two symbols in 5984 cost nothing.
pub const PAGE_PARITY: u8 = 2;

/// Where a block that is sent stands, so that it can be read again for a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentBlock {
    /// Its place in the image.
    pub place: Place,
    /// Bytes of its body.
    pub stored_len: u32,
}

impl SentBlock {
    /// Its source symbols.
    #[must_use]
    pub fn k(&self) -> u8 {
        u8::try_from(source_symbols(self.stored_len as usize)).expect("bodies hold at most 187")
    }
}

/// A closed page: its symbol and what is under way with it.
#[derive(Debug)]
struct ClosedPage {
    object: Box<Symbol>,
    last_sent: Seq,
    queued: bool,
}

/// All entries so far.
#[derive(Debug)]
pub struct ManifestLog {
    signer: Signer,
    open: Vec<Entry>,
    opened_at: Option<Instant>,
    open_first: BlockNumber,
    pages: Vec<ClosedPage>,
    /// Pages that were sent, the first time in the order of their numbers.
    sent: PageNumber,
    blocks: Vec<SentBlock>,
    closed_blocks: BlockNumber,
    unused_blocks: u64,
    identity: IdentityHasher,
}

impl ManifestLog {
    /// No entries yet; pages will be signed by `signer`.
    pub fn new(signer: Signer) -> Self {
        Self {
            signer,
            open: Vec::new(),
            opened_at: None,
            open_first: BlockNumber(0),
            pages: Vec::new(),
            sent: PageNumber(0),
            blocks: Vec::new(),
            closed_blocks: BlockNumber(0),
            unused_blocks: 0,
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
            Entry::Block(block) => self.blocks.push(SentBlock {
                place: block.place,
                stored_len: block.stored_len,
            }),
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
        let mut page = Page::new(number, self.open_first, std::mem::take(&mut self.open))
            .expect("entries are in order and a page is closed when it is full");
        page.sign(&self.signer);
        let mut object = Vec::new();
        page.encode(&mut object);
        object.resize(SYMBOL_SIZE, 0);
        let object = object.try_into().expect("a page fits a symbol");
        self.pages.push(ClosedPage {
            object,
            last_sent: Seq(0),
            queued: false,
        });
        self.opened_at = None;
        self.closed_blocks = self.known_blocks();
        self.open_first = self.closed_blocks;
        number
    }

    /// Blocks of closed pages: they may be sent.
    #[must_use]
    pub fn closed_blocks(&self) -> BlockNumber {
        self.closed_blocks
    }

    /// Blocks of all entries.
    #[must_use]
    pub fn known_blocks(&self) -> BlockNumber {
        BlockNumber(u32::try_from(self.blocks.len()).expect("block numbers are 32 bits"))
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

    /// A block by its number.
    #[must_use]
    pub fn block(&self, block: BlockNumber) -> Option<SentBlock> {
        self.blocks.get(block.0 as usize).copied()
    }

    /// The symbol of a closed page, padded.
    #[must_use]
    pub fn page_object(&self, page: PageNumber) -> Option<&Symbol> {
        self.pages.get(page.0 as usize).map(|page| &*page.object)
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
