//! What the sender does for blocks that forged symbols have spoiled: digests of symbols for the
//! group, and symbols for one receiver alone.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::interleave::Share;
use crate::hash::NumberMap;
use crate::ids::{ReceiverNumber, Seq};
use crate::units::{BlockNumber, Esi, MAX_SYMBOLS};
use crate::wire::{DIGEST_PARTS, DIGESTS_PER_PART, Parts};

/// Blocks whose digests are made or wait to be sent, at most: each takes a read of the block, up to
/// four datagrams, and as long as to make its repair symbols.
const MAX_BLOCKS: usize = 8;

/// Blocks whose digests are waited for, at most: receivers repeat what they need.
const MAX_WANTED: usize = 4096;

/// Symbols for one receiver alone follow those before them after a pause: by then a report has said
/// which of these arrived.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Wanted {
    k: u8,
    by: ReceiverNumber,
    parts: Parts,
    /// Parts that are being made or wait to be sent.
    under_way: Parts,
}

/// Plans digests of symbols: each part is sent once, whoever asks for it, and again only to those who
/// ask after it had come by.
#[derive(Debug, Default)]
pub(super) struct Digests {
    wanted: BTreeMap<BlockNumber, Wanted>,
    /// When parts were sent lately.
    sent: NumberMap<BlockNumber, [Seq; DIGEST_PARTS as usize]>,
    ready: VecDeque<(BlockNumber, u8)>,
    /// Blocks with parts under way.
    blocks: usize,
}

/// A part that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadyPart {
    pub(super) block: BlockNumber,
    pub(super) k: u8,
    pub(super) part: u8,
}

impl Digests {
    /// A receiver that has seen `seen` needs digests of a block of `k`.
    pub(super) fn on_wanted(
        &mut self,
        by: ReceiverNumber,
        (block, k): (BlockNumber, u8),
        parts: Parts,
        seen: Seq,
    ) {
        let sent = self.sent.get(&block).copied().unwrap_or_default();
        let on_the_way = |&part: &u8| sent[usize::from(part)] > seen;
        let on_the_way = parts.numbers().filter(on_the_way).map(Parts::number);
        let parts = parts.without(on_the_way.fold(Parts::default(), Parts::and));
        if parts.is_empty() {
            return;
        }
        let full = self.wanted.len() >= MAX_WANTED;
        match self.wanted.get_mut(&block) {
            Some(wanted) => {
                wanted.parts = wanted.parts.and(parts).without(wanted.under_way);
            }
            None if full => {}
            None => {
                let wanted = Wanted {
                    k,
                    by,
                    parts,
                    under_way: Parts::default(),
                };
                self.wanted.insert(block, wanted);
            }
        }
    }

    /// The next symbols whose digests are to be made, and who asked for them: the oldest block first.
    pub(super) fn next_job(&mut self) -> Option<(Share, ReceiverNumber)> {
        if self.blocks >= MAX_BLOCKS {
            return None;
        }
        let ready = |wanted: &Wanted| wanted.under_way.is_empty() && !wanted.parts.is_empty();
        let (&block, wanted) = self.wanted.iter_mut().find(|(_, wanted)| ready(wanted))?;
        let share = share_of(block, wanted.k, std::mem::take(&mut wanted.parts));
        wanted.under_way = parts_of(&share);
        self.blocks += 1;
        Some((share, wanted.by))
    }

    /// The digests of a share are made.
    pub(super) fn on_prepared(&mut self, share: &Share) {
        let parts = parts_of(share).numbers();
        self.ready.extend(parts.map(|part| (share.block, part)));
    }

    /// The next part to send.
    pub(super) fn next_part(&mut self, seq: Seq) -> Option<ReadyPart> {
        let (block, part) = self.ready.pop_front()?;
        self.sent.entry(block).or_default()[usize::from(part)] = seq;
        let wanted = self.wanted.get_mut(&block)?;
        let k = wanted.k;
        wanted.under_way = wanted.under_way.without(Parts::number(part));
        if wanted.under_way.is_empty() {
            self.blocks -= 1;
            if wanted.parts.is_empty() {
                self.wanted.remove(&block);
            }
        }
        Some(ReadyPart { block, k, part })
    }

    /// Whether a part can be sent now.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Forgets what every report has seen by now.
    pub(super) fn forget_before(&mut self, seen: Seq) {
        self.sent
            .retain(|_, parts| parts.iter().any(|&sent| sent > seen));
    }

    /// Forgets what is needed of blocks that are not kept any more: nobody could make it.
    pub(super) fn discard_below(&mut self, block: BlockNumber) {
        self.wanted.retain(|&wanted_of, wanted| {
            if wanted_of < block {
                wanted.parts = Parts::default();
            }
            wanted_of >= block || !wanted.under_way.is_empty()
        });
    }
}

/// The symbols from the first of the parts to the last.
fn share_of(block: BlockNumber, k: u8, parts: Parts) -> Share {
    let first = parts.numbers().next().unwrap_or(0);
    let last = parts.numbers().last().unwrap_or(0);
    let from = usize::from(first) * DIGESTS_PER_PART;
    let end = (usize::from(last + 1) * DIGESTS_PER_PART).min(MAX_SYMBOLS);
    let byte = |number: usize| u8::try_from(number).expect("there are 255 symbols");
    Share {
        block,
        k,
        first: Esi(byte(from)),
        count: byte(end - from),
    }
}

/// The parts that a share of [`Digests::next_job`] holds.
pub(super) fn parts_of(share: &Share) -> Parts {
    let symbols = (0..share.count).step_by(DIGESTS_PER_PART);
    let parts = symbols.map(|i| Parts::of(share.esi(i)));
    parts.fold(Parts::default(), Parts::and)
}

/// The block that a receiver gets alone.
#[derive(Debug)]
struct Sending {
    block: BlockNumber,
    /// Where fresh symbols begin.
    next: Esi,
    under_way: bool,
    paused_until: Option<Instant>,
}

/// Plans symbols for one receiver alone: one block at a time for each, as many symbols as it lacks,
/// then a pause until its report can say what arrived.
#[derive(Debug, Default)]
pub(super) struct Alone {
    sending: BTreeMap<ReceiverNumber, Sending>,
    ready: VecDeque<(ReceiverNumber, Share, u8)>,
}

impl Alone {
    /// A receiver needs `symbols` of a block of `k` under its own key. Returns those to be prepared.
    pub(super) fn on_wanted(
        &mut self,
        now: Instant,
        by: ReceiverNumber,
        (block, k): (BlockNumber, u8),
        symbols: u8,
    ) -> Option<Share> {
        let sending = self.sending.entry(by).or_insert(Sending {
            block,
            next: Esi(0),
            under_way: false,
            paused_until: None,
        });
        if sending.under_way || sending.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        if sending.block != block {
            (sending.block, sending.next) = (block, Esi(0));
        }
        let share = Share {
            block,
            k,
            first: sending.next,
            count: symbols.min(k),
        };
        sending.under_way = true;
        sending.next = share.esi(share.count);
        Some(share)
    }

    /// Prepared symbols may be sent.
    pub(super) fn on_prepared(&mut self, to: ReceiverNumber, share: Share) {
        self.ready.push_back((to, share, 0));
    }

    /// The next symbol to send, taking the receivers in turn. The flag says that it is the last of its
    /// share.
    pub(super) fn next_symbol(
        &mut self,
        now: Instant,
    ) -> Option<(ReceiverNumber, Share, Esi, bool)> {
        let (to, share, sent) = self.ready.pop_front()?;
        let last = sent + 1 == share.count;
        if !last {
            self.ready.push_back((to, share, sent + 1));
        } else if let Some(sending) = self.sending.get_mut(&to) {
            sending.under_way = false;
            sending.paused_until = Some(now + PAUSE);
        }
        Some((to, share, share.esi(sent), last))
    }

    /// Whether symbols can be sent now.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests;
