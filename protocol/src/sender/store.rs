//! Bodies and repair rows that are at hand for sending.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::interleave::Share;
use crate::aligned::AlignedBytes;
use crate::fec::Code;
use crate::units::{BlockNumber, Esi, SYMBOL_SIZE};
use crate::wire::SymbolDigest;

/// The body of a block.
pub type Body = Bytes;

/// Bodies that nobody needs at the moment are kept up to this many bytes: repairs ask for blocks
/// that were sent a moment ago.
const CACHE_BYTES: usize = 64 << 20;

/// A body counts as so many bytes, or a multiple: buffers have such sizes, and what is known of a body
/// takes memory, too. An image may be nothing but blocks that compress to a few bytes.
const GRAIN: usize = 32 << 10;

/// Repair rows of a share, in the order of its symbols; empty where it has source symbols only.
#[derive(Debug, Default)]
pub struct Rows {
    /// The symbols that are repair symbols, in order.
    pub esis: Vec<Esi>,
    /// Their bytes, [`SYMBOL_SIZE`] each.
    pub bytes: AlignedBytes,
    /// Where these were asked for: the digests of all symbols of the share, in order.
    pub digests: Vec<SymbolDigest>,
}

impl Rows {
    /// Makes the repair symbols of a share of the block with the given body.
    ///
    /// # Panics
    ///
    /// Unless the share is one that the session asked for, and the body that of its block.
    #[must_use]
    pub fn of(share: &Share, body: &[u8]) -> Rows {
        let esis = Rows::wanted(share);
        let mut bytes = AlignedBytes::zeroed(esis.len() * SYMBOL_SIZE);
        let code = Code::new(share.k).expect("blocks have 1 to 187 source symbols");
        let mut rest = &mut bytes[..];
        // They follow each other, but for a wrap behind the last: made together they cost less.
        for run in esis.chunk_by(|a, b| a.0 + 1 == b.0) {
            let (rows, behind) = rest.split_at_mut(run.len() * SYMBOL_SIZE);
            code.repair(run[0].0 - share.k, body, rows)
                .expect("shares hold symbols of the code");
            rest = behind;
        }
        Rows {
            esis,
            bytes,
            digests: Vec::new(),
        }
    }

    /// The digests of all symbols of the share, for which these are the repair symbols.
    #[must_use]
    pub fn into_digests(self, share: &Share, body: &[u8]) -> Rows {
        let digest = |i| {
            let esi = share.esi(i);
            let symbol = if esi.0 < share.k {
                source_symbol(body, esi)
            } else {
                self.row(esi)
            };
            SymbolDigest::of(symbol.expect("the rows are those of the share"))
        };
        Rows {
            digests: (0..share.count).map(digest).collect(),
            ..Rows::default()
        }
    }

    /// The repair symbols of a share.
    #[must_use]
    pub fn wanted(share: &Share) -> Vec<Esi> {
        (0..share.count)
            .map(|i| share.esi(i))
            .filter(|esi| esi.0 >= share.k)
            .collect()
    }

    fn row(&self, esi: Esi) -> Option<&[u8]> {
        // Mostly they follow each other.
        let near = usize::from(esi.0.wrapping_sub(self.esis.first()?.0));
        let at = if self.esis.get(near) == Some(&esi) {
            near
        } else {
            self.esis.iter().position(|&held| held == esi)?
        };
        self.bytes.chunks_exact(SYMBOL_SIZE).nth(at)
    }
}

#[derive(Debug)]
struct Held {
    body: Body,
    pins: u32,
    rows: Vec<Rows>,
}

/// See the module's page.
#[derive(Debug)]
pub struct Store {
    held: HashMap<BlockNumber, Held>,
    /// In the order of arrival, for eviction.
    order: VecDeque<BlockNumber>,
    bytes: usize,
    /// Bodies cannot be read again: they stay until discarded.
    keep: bool,
}

impl Store {
    /// An empty store; with `keep` nothing is evicted.
    #[must_use]
    pub fn new(keep: bool) -> Self {
        Self {
            held: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            keep,
        }
    }

    /// Holds a body until its pin is taken off.
    pub fn pin(&mut self, block: BlockNumber, body: Body, rows: Rows) {
        let held = self.held.entry(block).or_insert_with(|| {
            self.bytes += cost(&body);
            self.order.push_back(block);
            Held {
                body,
                pins: 0,
                rows: Vec::new(),
            }
        });
        held.pins += 1;
        if !rows.esis.is_empty() {
            held.rows.push(rows);
        }
        self.evict();
    }

    /// Takes a pin off.
    pub fn unpin(&mut self, block: BlockNumber) {
        if let Some(held) = self.held.get_mut(&block) {
            held.pins = held.pins.saturating_sub(1);
            if held.pins == 0 {
                held.rows.clear();
            }
        }
        self.evict();
    }

    /// Drops blocks that nobody will ask for again.
    pub fn discard_below(&mut self, block: BlockNumber) {
        self.order.retain(|&held| held >= block);
        let bytes = &mut self.bytes;
        self.held.retain(|&number, held| {
            let stays = number >= block || held.pins > 0;
            *bytes -= if stays { 0 } else { cost(&held.body) };
            stays
        });
    }

    fn evict(&mut self) {
        if self.keep {
            return;
        }
        for _ in 0..self.order.len() {
            if self.bytes <= CACHE_BYTES {
                return;
            }
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            match self.held.get(&oldest) {
                Some(held) if held.pins > 0 => self.order.push_back(oldest),
                _ => self.bytes -= self.held.remove(&oldest).map_or(0, |held| cost(&held.body)),
            }
        }
    }

    /// A body, if it is at hand.
    #[must_use]
    pub fn body(&self, block: BlockNumber) -> Option<Body> {
        self.held.get(&block).map(|held| held.body.clone())
    }

    /// The bytes of a symbol; the last source symbol may be shorter than [`SYMBOL_SIZE`].
    #[must_use]
    pub fn symbol(&self, block: BlockNumber, k: u8, esi: Esi) -> Option<&[u8]> {
        let held = self.held.get(&block)?;
        if esi.0 >= k {
            return held.rows.iter().find_map(|rows| rows.row(esi));
        }
        source_symbol(&held.body, esi)
    }
}

/// Bytes that a body counts as.
fn cost(body: &Body) -> usize {
    body.len().next_multiple_of(GRAIN)
}

/// A source symbol of a body; the last may be shorter than [`SYMBOL_SIZE`].
fn source_symbol(body: &[u8], esi: Esi) -> Option<&[u8]> {
    let from = usize::from(esi.0) * SYMBOL_SIZE;
    body.get(from..(from + SYMBOL_SIZE).min(body.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(len: usize) -> Body {
        Bytes::from(vec![7; len])
    }

    #[test]
    fn pinned_bodies_stay_and_others_go_oldest_first() {
        let mut store = Store::new(false);
        let size = CACHE_BYTES / 4;
        for i in 0..4 {
            store.pin(BlockNumber(i), body(size), Rows::default());
        }
        store.unpin(BlockNumber(1));
        store.unpin(BlockNumber(2));
        store.pin(BlockNumber(4), body(size), Rows::default());
        assert!(store.body(BlockNumber(0)).is_some(), "pinned");
        assert!(store.body(BlockNumber(1)).is_none(), "oldest without a pin");
        assert!(store.body(BlockNumber(2)).is_some());
        let mut keeper = Store::new(true);
        for i in 0..8 {
            keeper.pin(BlockNumber(i), body(size), Rows::default());
            keeper.unpin(BlockNumber(i));
        }
        assert!(keeper.body(BlockNumber(0)).is_some());
        keeper.discard_below(BlockNumber(7));
        assert!(keeper.body(BlockNumber(6)).is_none() && keeper.body(BlockNumber(7)).is_some());
        assert_eq!(keeper.bytes, size);
    }

    #[test]
    fn bodies_of_a_few_bytes_are_few() {
        let mut store = Store::new(false);
        for i in 0..10_000 {
            store.pin(BlockNumber(i), body(20), Rows::default());
            store.unpin(BlockNumber(i));
        }
        assert_eq!(store.held.len(), CACHE_BYTES / GRAIN);
        assert_eq!(store.order.len(), store.held.len());
    }

    #[test]
    fn symbols_are_slices_of_the_body_or_rows() {
        let mut store = Store::new(false);
        let mut bytes = AlignedBytes::zeroed(SYMBOL_SIZE);
        bytes.fill(9);
        let rows = Rows {
            esis: vec![Esi(3)],
            bytes,
            digests: Vec::new(),
        };
        store.pin(BlockNumber(0), body(2 * SYMBOL_SIZE + 5), rows);
        assert_eq!(
            store.symbol(BlockNumber(0), 3, Esi(2)).map(<[u8]>::len),
            Some(5)
        );
        assert_eq!(
            store.symbol(BlockNumber(0), 3, Esi(3)).map(|row| row[0]),
            Some(9)
        );
        assert_eq!(store.symbol(BlockNumber(0), 3, Esi(4)), None);
        store.unpin(BlockNumber(0));
        assert_eq!(
            store.symbol(BlockNumber(0), 3, Esi(3)),
            None,
            "rows go with the last pin"
        );
    }
}
