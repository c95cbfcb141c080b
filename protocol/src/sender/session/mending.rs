//! Blocks that forged symbols have spoiled at a receiver: what it asks for, it is charged for, and
//! gets at the pace of the stream.

use std::time::Instant;

use super::{Event, Job, Phase, Purpose, Session, SymbolRef, Transmit};
use crate::ids::{ReceiverNumber, Seq};
use crate::pacing::Circuit;
use crate::sender::interleave::Share;
use crate::sender::mending::parts_of;
use crate::units::{BlockNumber, Esi};
use crate::wire::{Remedy, Report, SymbolKind};

/// A request for digests costs its receiver, beside the datagrams, a quarter of the block's symbols:
/// as much as reading the block again and making repair symbols are worth.
const DIGESTS_COST: u8 = 4;

/// The operator is told of a receiver's first bad block, and whenever they have become so many times
/// more.
const TELL_AT: u32 = 16;

impl Session {
    /// Plans what a receiver needs for its spoiled blocks.
    pub(super) fn plan_mending(
        &mut self,
        now: Instant,
        from: ReceiverNumber,
        report: &Report,
        seen: Seq,
    ) {
        for spoiled in &report.spoiled {
            let number = spoiled.block;
            if number < self.kept_from {
                continue;
            }
            let Some(block) = self.manifest.block(number) else {
                continue;
            };
            let coded = (number, block.k());
            match spoiled.remedy {
                Remedy::Digests(parts) => self.digests.on_wanted(from, coded, parts, seen),
                Remedy::OwnSymbols(symbols) => {
                    let share = self.alone.on_wanted(now, from, coded, symbols);
                    if let Some(share) = share {
                        self.charge_repair(from, share.count);
                        self.jobs.push_back(Job::Fetch {
                            share,
                            block,
                            purpose: Purpose::Alone(from),
                        });
                    }
                }
            }
        }
    }

    pub(super) fn plan_digest_jobs(&mut self) {
        while let Some((share, by)) = self.digests.next_job() {
            let parts = parts_of(&share).numbers().count();
            let parts = u8::try_from(parts).expect("there are four");
            self.charge_repair(by, share.k / DIGESTS_COST + parts);
            let Some(block) = self.manifest.block(share.block) else {
                break;
            };
            self.jobs.push_back(Job::Fetch {
                share,
                block,
                purpose: Purpose::Digests,
            });
        }
    }

    /// The next datagram of digests.
    pub(super) fn next_digests(&mut self) -> Option<SymbolRef> {
        let ready = self.digests.next_part(Seq(self.last_seq.0 + 1))?;
        self.take_seq();
        self.counters.digest_symbols += 1;
        self.jobs
            .push_back(Job::DigestsSent(ready.block, ready.part));
        let esi = Esi(ready.part);
        Some(self.symbol(SymbolKind::Digests, ready.block.0, esi, ready.k))
    }

    /// Whether a symbol for one receiver alone waits to be sent.
    pub(super) fn has_own_symbols(&self) -> bool {
        self.phase == Phase::Running
            && self.breaker.circuit() != Circuit::Open
            && self.alone.has_ready()
    }

    /// The next symbol for one receiver alone: one after each burst of the group, so that it takes a
    /// fortieth of the rate from the others, and all of it from nobody.
    pub(super) fn poll_own_symbol(&mut self, now: Instant) -> Option<Transmit> {
        let is_its_turn = std::mem::replace(&mut self.own_turn, false);
        if !self.has_own_symbols() || (!is_its_turn && self.has_symbols()) {
            return None;
        }
        let (to, share, esi, last) = self.alone.next_symbol(now)?;
        if last {
            self.jobs.push_back(Job::Unpin(share.block));
        }
        self.counters.own_symbols += 1;
        self.pacer.on_sent(now, 1, self.rate());
        Some(Transmit::OwnSymbol { to, share, esi })
    }

    /// The symbols of a share for one receiver alone, or their digests, are at hand.
    pub(super) fn on_mending_fetched(&mut self, share: Share, alone: Option<ReceiverNumber>) {
        match alone {
            Some(to) => self.alone.on_prepared(to, share),
            None => self.digests.on_prepared(&share),
        }
    }

    /// Tells of a receiver whose blocks were spoiled; `before` is how many had been by its last
    /// report.
    pub(super) fn tell_spoiled(&mut self, number: ReceiverNumber, before: u32, now: u32) {
        let grade = |blocks: u32| blocks.checked_ilog(TELL_AT);
        if grade(now) > grade(before) {
            self.events.push_back(Event::Spoiled(number));
        }
    }

    /// Whether a receiver needs something for a block that is not kept any more.
    pub(super) fn needs_discarded(&self, report: &Report) -> bool {
        let first = report.spoiled.first();
        first.is_some_and(|spoiled| spoiled.block < self.kept_from)
    }

    /// What was kept for blocks below this one is not any more.
    pub(super) fn discard_mending(&mut self, block: BlockNumber) {
        self.digests.discard_below(block);
    }
}
