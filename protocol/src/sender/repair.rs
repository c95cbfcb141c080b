//! Repair planning: which blocks are owed how many fresh symbols.
//!
//! Integrated hybrid ARQ (Nonnenmacher, Biersack, Towsley, SIGCOMM 1997): the sender answers
//! the largest deficit of a block with fresh repair symbols, and one symbol mends different
//! losses at every receiver. Symbols owed for a block are the maximum over receivers of its
//! deficit less the symbols sent after the datagram that the receiver's report had seen.

use std::collections::btree_map::OccupiedEntry;
use std::collections::{BTreeMap, VecDeque};

use super::interleave::Share;
use crate::hash::NumberMap;
use crate::ids::{ReceiverNumber, Seq};
use crate::units::{BlockNumber, Esi, MAX_SYMBOLS};

/// Blocks that symbols may be owed for, at most: 16 GiB of them, more than receivers put together at a
/// time. Only a report that lies names more, and those that come first in the image are repaired
/// first.
const MAX_OWED: usize = 65_536;

/// Repair symbols that wait to be sent, over all blocks, at most; the rest is asked for again.
const MAX_PREPARED: usize = 4096;

/// Blocks whose repairs are prepared or wait to be sent, at most: each holds its body, so this
/// bounds them to 64 MiB.
const MAX_BLOCKS: usize = 256;

/// The largest need of a block, whose it is, and the largest of the others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Most {
    pub(super) by: Option<ReceiverNumber>,
    pub(super) symbols: u8,
    others: u8,
}

impl Most {
    /// Takes in a need.
    pub(super) fn add(self, (by, symbols): (ReceiverNumber, u8)) -> Self {
        let is_same = self.by == Some(by);
        if symbols > self.symbols {
            let others = if is_same { self.others } else { self.symbols };
            Self {
                by: Some(by),
                symbols,
                others,
            }
        } else if is_same {
            self
        } else {
            Self {
                others: self.others.max(symbols),
                ..self
            }
        }
    }

    /// How many of the symbols only one receiver needs.
    pub(super) fn alone(&self) -> u8 {
        self.symbols - self.others
    }

    /// One of the symbols was sent, for everybody.
    fn on_sent(&mut self) {
        self.symbols = self.symbols.saturating_sub(1);
        self.others = self.others.saturating_sub(1);
    }
}

#[derive(Debug, Default)]
struct Owed {
    most: Most,
    k: u8,
    /// Whether symbols of the block are being prepared or wait to be sent.
    under_way: bool,
}

/// Symbols of a block and the last datagram that carried one of them.
#[derive(Debug, Clone, Copy)]
struct Sent {
    last: Seq,
    symbols: u32,
}

/// Where the next repair of each block starts, up to the last that had one: a byte for each, as in a
/// large room with losses nearly every block gets some.
#[derive(Debug, Default)]
struct Cursors(Vec<Esi>);

impl Cursors {
    /// Of a block that had no repair. No symbol has this number.
    const NONE: Esi = Esi(MAX_SYMBOLS as u8);

    fn of(&self, block: BlockNumber) -> Option<Esi> {
        let cursor = self.0.get(block.0 as usize).copied();
        cursor.filter(|&cursor| cursor != Self::NONE)
    }

    fn set(&mut self, block: BlockNumber, cursor: Esi) {
        let at = block.0 as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, Self::NONE);
        }
        self.0[at] = cursor;
    }
}

/// Plans repairs and remembers what was sent since the oldest report.
#[derive(Debug, Default)]
pub struct Repairs {
    owed: BTreeMap<BlockNumber, Owed>,
    cursors: Cursors,
    /// What was sent of a block lately, oldest first.
    log: NumberMap<BlockNumber, Vec<Sent>>,
    ready: VecDeque<(Share, u8)>,
    prepared: usize,
    blocks: usize,
}

impl Repairs {
    /// Whether symbols may be owed for a block: if not, for none behind it either.
    pub fn has_room_for(&self, block: BlockNumber) -> bool {
        let newest = self.owed.last_key_value();
        self.owed.len() < MAX_OWED || newest.is_some_and(|(&newest, _)| block <= newest)
    }

    /// Makes room for a block among those that symbols are owed for: the newest gives way to an older
    /// one, unless its symbols are under way. Whoever is left out asks again.
    fn makes_room_for(&mut self, block: BlockNumber) -> bool {
        if self.owed.len() < MAX_OWED || self.owed.contains_key(&block) {
            return true;
        }
        let newest = self.owed.last_entry();
        let newest = newest.filter(|newest| *newest.key() > block && !newest.get().under_way);
        newest.map(OccupiedEntry::remove).is_some()
    }

    /// A receiver that has seen `seen` needs `deficit` further symbols of a block of `k`.
    pub fn on_deficit(
        &mut self,
        by: ReceiverNumber,
        (block, k): (BlockNumber, u8),
        deficit: u8,
        seen: Seq,
    ) {
        let need = u32::from(deficit).saturating_sub(self.sent_after(block, seen));
        if !self.makes_room_for(block) {
            return;
        }
        let owed = self.owed.entry(block).or_default();
        owed.k = k;
        // What is under way answers a part of the need already.
        let need = u8::try_from(need).expect("at most the deficit");
        owed.most = owed.most.add((by, need));
        if owed.most.symbols == 0 && !owed.under_way {
            self.owed.remove(&block);
        }
    }

    /// Symbols of a block sent after a datagram.
    #[must_use]
    pub fn sent_after(&self, block: BlockNumber, seen: Seq) -> u32 {
        let log = self.log.get(&block).into_iter().flatten();
        log.filter(|sent| sent.last > seen)
            .map(|sent| sent.symbols)
            .sum()
    }

    /// Notes symbols that were sent, in a pass or as a repair.
    pub fn on_sent(&mut self, block: BlockNumber, symbols: u32, last: Seq) {
        self.log
            .entry(block)
            .or_default()
            .push(Sent { last, symbols });
    }

    /// Forgets what every report has seen by now.
    pub fn forget_before(&mut self, seen: Seq) {
        self.log.retain(|_, log| {
            log.retain(|sent| sent.last > seen);
            !log.is_empty()
        });
    }

    /// Forgets what is owed, at the start of a new cycle: its pass answers it.
    pub fn clear_owed(&mut self) {
        self.owed.retain(|_, owed| {
            owed.most = Most::default();
            owed.under_way
        });
    }

    /// Forgets what is owed of blocks that are not kept any more: nobody could prepare it.
    pub fn discard_below(&mut self, block: BlockNumber) {
        self.owed.retain(|&owed_for, owed| {
            if owed_for < block {
                owed.most = Most::default();
            }
            owed_for >= block || owed.under_way
        });
    }

    /// The next symbols to prepare, oldest block first, and how many of them one receiver alone
    /// needs, as far as is known.
    pub fn next_job(&mut self) -> Option<(Share, (ReceiverNumber, u8))> {
        if self.prepared >= MAX_PREPARED || self.blocks >= MAX_BLOCKS {
            return None;
        }
        let mut owed = self.owed.iter_mut();
        let (&block, owed) = owed.find(|(_, owed)| !owed.under_way && owed.most.symbols > 0)?;
        let by = owed.most.by.expect("what is owed is owed to somebody");
        let alone = owed.most.alone();
        let first = self.cursors.of(block);
        let first = first.unwrap_or(Esi(owed.k % MAX_SYMBOLS as u8));
        let share = Share {
            block,
            k: owed.k,
            first,
            count: owed.most.symbols,
        };
        owed.under_way = true;
        self.prepared += usize::from(share.count);
        self.blocks += 1;
        self.cursors.set(block, share.esi(share.count));
        Some((share, (by, alone)))
    }

    /// Where fresh symbols of a block start.
    #[must_use]
    pub fn cursor(&self, block: BlockNumber, k: u8) -> Esi {
        self.cursors.of(block).unwrap_or(Esi(k))
    }

    /// Moves the start of fresh symbols past those of a share that a pass sends.
    pub fn advance(&mut self, share: &Share) {
        self.cursors.set(share.block, share.esi(share.count));
    }

    /// Prepared symbols may be sent.
    pub fn on_prepared(&mut self, share: Share) {
        self.ready.push_back((share, 0));
    }

    /// The next symbol to send, taking the ready blocks in turn. The flag says that it is the
    /// last of its share.
    pub fn next_symbol(&mut self, seq: Seq) -> Option<(Share, Esi, bool)> {
        let (share, sent) = self.ready.pop_front()?;
        let esi = share.esi(sent);
        self.prepared -= 1;
        self.on_sent(share.block, 1, seq);
        let last = sent + 1 == share.count;
        self.blocks -= usize::from(last);
        if let Some(owed) = self.owed.get_mut(&share.block) {
            owed.most.on_sent();
            owed.under_way = !last;
            if last && owed.most.symbols == 0 {
                self.owed.remove(&share.block);
            }
        }
        if !last {
            self.ready.push_back((share, sent + 1));
        }
        Some((share, esi, last))
    }

    /// Whether symbols can be sent now.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether nothing is owed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.owed.is_empty() && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ReceiverNumber = ReceiverNumber(1);
    const TWO: ReceiverNumber = ReceiverNumber(2);

    fn send_all(repairs: &mut Repairs, seq: &mut u64) -> Vec<(u32, u8)> {
        let mut sent = Vec::new();
        while let Some((share, _)) = repairs.next_job() {
            repairs.on_prepared(share);
        }
        while let Some((share, esi, _)) = {
            *seq += 1;
            repairs.next_symbol(Seq(*seq))
        } {
            sent.push((share.block.0, esi.0));
        }
        sent
    }

    #[test]
    fn the_largest_deficit_is_answered_once() {
        let (mut repairs, mut seq) = (Repairs::default(), 100);
        for deficit in [2, 5, 3] {
            repairs.on_deficit(ONE, (BlockNumber(7), 187), deficit, Seq(90));
        }
        assert_eq!(send_all(&mut repairs, &mut seq).len(), 5);
        // A report from before the repair, and one that saw a part of it.
        repairs.on_deficit(ONE, (BlockNumber(7), 187), 4, Seq(100));
        assert!(repairs.is_idle());
        repairs.on_deficit(ONE, (BlockNumber(7), 187), 3, Seq(103));
        assert_eq!(send_all(&mut repairs, &mut seq), [(7, 192)]);
    }

    #[test]
    fn blocks_take_turns_and_symbols_are_fresh() {
        let (mut repairs, mut seq) = (Repairs::default(), 0);
        repairs.on_deficit(ONE, (BlockNumber(1), 10), 2, Seq(0));
        repairs.on_deficit(ONE, (BlockNumber(2), 20), 2, Seq(0));
        assert_eq!(
            send_all(&mut repairs, &mut seq),
            [(1, 10), (2, 20), (1, 11), (2, 21)]
        );
        repairs.on_deficit(ONE, (BlockNumber(1), 10), 1, Seq(seq));
        assert_eq!(send_all(&mut repairs, &mut seq), [(1, 12)]);
    }

    #[test]
    fn used_up_rows_start_over_with_the_source() {
        let (mut repairs, mut seq) = (Repairs::default(), 0);
        repairs.on_deficit(ONE, (BlockNumber(1), 187), 68, Seq(0));
        assert_eq!(send_all(&mut repairs, &mut seq).last(), Some(&(1, 254)));
        repairs.on_deficit(ONE, (BlockNumber(1), 187), 2, Seq(seq));
        assert_eq!(send_all(&mut repairs, &mut seq), [(1, 0), (1, 1)]);
    }

    #[test]
    fn a_deficit_that_grows_while_symbols_are_under_way_is_owed_the_difference() {
        let (mut repairs, mut seq) = (Repairs::default(), 0);
        repairs.on_deficit(ONE, (BlockNumber(1), 100), 2, Seq(0));
        let (share, _) = repairs.next_job().unwrap();
        repairs.on_deficit(ONE, (BlockNumber(1), 100), 5, Seq(0));
        assert_eq!(repairs.next_job(), None, "one share of a block at a time");
        repairs.on_prepared(share);
        assert_eq!(send_all(&mut repairs, &mut seq), [(1, 100), (1, 101)]);
        assert_eq!(
            send_all(&mut repairs, &mut seq),
            [(1, 102), (1, 103), (1, 104)]
        );
    }

    #[test]
    fn nothing_is_prepared_of_blocks_that_are_not_kept() {
        let (mut repairs, mut seq) = (Repairs::default(), 0);
        for block in [1, 2, 3] {
            repairs.on_deficit(ONE, (BlockNumber(block), 100), 2, Seq(0));
        }
        let (share, _) = repairs.next_job().unwrap();
        // The first is being prepared and grows; the second is not yet.
        repairs.on_deficit(ONE, (BlockNumber(1), 100), 5, Seq(0));
        repairs.discard_below(BlockNumber(3));
        repairs.on_prepared(share);
        let sent = send_all(&mut repairs, &mut seq);
        assert_eq!(sent, [(1, 100), (3, 100), (1, 101), (3, 101)]);
        assert!(repairs.is_idle());
    }

    #[test]
    fn what_is_owed_is_bounded_and_older_blocks_come_first() {
        let mut repairs = Repairs::default();
        let most = u32::try_from(MAX_OWED).unwrap();
        for block in (10..).take(MAX_OWED) {
            assert!(repairs.has_room_for(BlockNumber(block)));
            repairs.on_deficit(ONE, (BlockNumber(block), 100), 2, Seq(0));
        }
        assert!(!repairs.has_room_for(BlockNumber(most + 10)));
        assert!(repairs.has_room_for(BlockNumber(5)));
        repairs.on_deficit(TWO, (BlockNumber(5), 100), 2, Seq(0));
        repairs.on_deficit(TWO, (BlockNumber(11), 100), 2, Seq(0));
        assert_eq!(repairs.owed.len(), MAX_OWED);
        assert_eq!(repairs.next_job().unwrap().0.block, BlockNumber(5));
        assert!(!repairs.has_room_for(BlockNumber(most + 9)), "it gave way");
    }

    #[test]
    fn what_every_report_has_seen_is_forgotten() {
        let (mut repairs, mut seq) = (Repairs::default(), 0);
        repairs.on_deficit(ONE, (BlockNumber(1), 100), 2, Seq(0));
        send_all(&mut repairs, &mut seq);
        assert_eq!(repairs.sent_after(BlockNumber(1), Seq(0)), 2);
        repairs.forget_before(Seq(2));
        assert!(repairs.log.is_empty());
    }

    #[test]
    fn what_one_receiver_needs_beyond_all_others_is_told() {
        let mut repairs = Repairs::default();
        let block = |number| (BlockNumber(number), 100);
        let needs = [(ONE, 2), (TWO, 5), (ONE, 3), (TWO, 6)];
        for (by, deficit) in needs {
            repairs.on_deficit(by, block(1), deficit, Seq(0));
        }
        let (share, alone) = repairs.next_job().unwrap();
        assert_eq!((share.count, alone), (6, (TWO, 3)));
        for by in [ONE, TWO] {
            repairs.on_deficit(by, block(2), 4, Seq(0));
        }
        assert_eq!(repairs.next_job().unwrap().1, (ONE, 0));
        // What grows while symbols are under way is owed on.
        repairs.on_deficit(TWO, block(1), 9, Seq(0));
        repairs.on_prepared(share);
        while repairs.next_symbol(Seq(1)).is_some() {}
        let (share, alone) = repairs.next_job().unwrap();
        assert_eq!((share.count, alone), (3, (TWO, 3)));
    }
}
