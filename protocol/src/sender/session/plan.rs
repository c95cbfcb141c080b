//! What goes into the next burst: pages, then repairs, then the pass.

use std::time::Instant;

use super::page_queue::PageSymbol;
use super::{Job, Parity, Phase, Purpose, STREAM_WINDOW, Session, SymbolRef, Transmit};
use crate::ids::{Cycle, Seq, Slot};
use crate::pacing::{Circuit, Pacer};
use crate::sender::interleave::Share;
use crate::units::{BlockNumber, Esi, GROUP, MAX_SYMBOLS};
use crate::wire::SymbolKind;

/// Bursts whose time of sending is remembered for round trips.
const SENT_TIMES: usize = 4096;

/// The most proactive repair symbols of a block in the last group of a cycle.
const MAX_TAIL_PARITY: u8 = 16;

/// Blocks of that group, over all receivers, that may be expected to lose more: a round of repairs
/// costs a large room a third of a second.
const MAY_LACK: f64 = 0.5;

impl Session {
    /// The next thing to send. With [`Transmit::Symbols`] the burst stands in `burst`; the
    /// vector is empty before the call.
    pub fn poll_transmit(&mut self, now: Instant, burst: &mut Vec<SymbolRef>) -> Option<Transmit> {
        self.end_if_pages_are_lost(now);
        if let Some(transmit) = self.outbox.pop_front() {
            return Some(transmit);
        }
        if let Some(timed) = self.poll_timed(now) {
            return Some(timed);
        }
        if self.phase != Phase::Running {
            return None;
        }
        self.plan_pass();
        self.consider_next_cycle(now);
        self.plan_repair_jobs();
        self.plan_digest_jobs();
        if now >= self.pacer.deadline()
            && let Some(own) = self.poll_own_symbol(now)
        {
            return Some(own);
        }
        if now < self.pacer.deadline() || !self.has_symbols() {
            self.note_blocked(now);
            return None;
        }
        self.account_blocked(now);
        self.fill(now, burst)
    }

    fn fill(&mut self, now: Instant, burst: &mut Vec<SymbolRef>) -> Option<Transmit> {
        let rate = self.rate();
        let max = Pacer::burst(rate);
        let first = Seq(self.last_seq.0 + 1);
        // No report comes in between, so what the room grants is looked up once, not per symbol.
        let credit = self.roster.credit();
        while burst.len() < max {
            let Some(symbol) = self.next_symbol(credit) else {
                break;
            };
            burst.push(symbol);
        }
        if burst.is_empty() {
            return None;
        }
        self.own_turn = true;
        self.controller.on_sent(burst.len() as u64);
        self.pacer.on_sent(now, burst.len(), rate);
        self.timers.on_symbols(now, self.last_control);
        self.sent_times.push_back((self.last_seq, now));
        if self.sent_times.len() > SENT_TIMES {
            self.sent_times.pop_front();
        }
        Some(Transmit::Symbols { first })
    }

    /// Whether a symbol may be sent as soon as the pacer lets it.
    pub(super) fn has_symbols(&self) -> bool {
        let burst = Pacer::burst(self.rate());
        self.phase == Phase::Running
            && self.breaker.circuit() != Circuit::Open
            && (!self.page_queue.is_empty()
                || self.repairs.has_ready()
                || self.digests.has_ready()
                || self.pass.is_ready(self.roster.credit()))
            && self.roster.window_fits(self.last_burst(), burst)
    }

    /// Last of the newest burst. What was sent since keeps the room alive while no symbols are:
    /// if it counted, a receiver far away would always seem to have something in its socket.
    pub(super) fn last_burst(&self) -> Seq {
        self.sent_times.back().map_or(Seq(0), |&(last, _)| last)
    }

    fn next_symbol(&mut self, credit: Option<Slot>) -> Option<SymbolRef> {
        if let Some(symbol) = self.page_queue.next_fresh() {
            return Some(self.page_symbol(symbol));
        }
        self.page_turn = !self.page_turn;
        // What somebody asks for beside blocks: pages that were lost, digests of symbols.
        let again = |session: &mut Self| {
            let page = session.page_queue.next_again();
            let page = page.map(|symbol| session.page_symbol(symbol));
            page.or_else(|| session.next_digests())
        };
        if self.page_turn
            && let Some(symbol) = again(self)
        {
            return Some(symbol);
        }
        self.next_block_symbol(credit).or_else(|| again(self))
    }

    fn next_block_symbol(&mut self, credit: Option<Slot>) -> Option<SymbolRef> {
        if let Some((share, esi, last)) = self.repairs.next_symbol(Seq(self.last_seq.0 + 1)) {
            if last {
                self.jobs.push_back(Job::Unpin(share.block));
            }
            self.counters.repair_symbols += 1;
            return Some(self.block_symbol(&share, esi));
        }
        if !self.pass.is_ready(credit) {
            return None;
        }
        let (share, esi) = self.pass.next_symbol()?;
        self.counters.pass_symbols += 1;
        let symbol = self.block_symbol(&share, esi);
        if let Some(shares) = self.pass.finish_group() {
            self.on_group_sent(&shares);
        }
        Some(symbol)
    }

    fn page_symbol(&mut self, symbol: PageSymbol) -> SymbolRef {
        let PageSymbol { page, esi, last } = symbol;
        let seq = self.take_seq();
        if last {
            if self.manifest.on_page_sent(page, seq) {
                self.counters.symbols_needed += 1;
            }
            self.plan_pass();
        }
        self.counters.page_symbols += 1;
        self.symbol(SymbolKind::Page, page.0, esi, 1)
    }

    fn block_symbol(&mut self, share: &Share, esi: Esi) -> SymbolRef {
        self.take_seq();
        self.symbol(SymbolKind::Block, share.block.0, esi, share.k)
    }

    pub(super) fn symbol(&self, kind: SymbolKind, number: u32, esi: Esi, k: u8) -> SymbolRef {
        let (slot, horizon) = (self.pass.slot(), self.pass.horizon());
        SymbolRef {
            kind,
            number,
            esi,
            k,
            slot,
            horizon,
        }
    }

    fn on_group_sent(&mut self, shares: &[Share]) {
        for share in shares {
            self.repairs
                .on_sent(share.block, share.count.into(), self.last_seq);
            if share.esi(share.count) != Esi(share.k) {
                self.repairs.advance(share);
            }
            if self.pass.cycle() == self.first_cycle {
                self.counters.symbols_needed += u64::from(share.k);
            }
            self.jobs.push_back(Job::Unpin(share.block));
        }
        self.plan_pass();
    }

    fn plan_repair_jobs(&mut self) {
        while let Some((share, (by, alone))) = self.repairs.next_job() {
            self.charge_repair(by, alone);
            let Some(block) = self.manifest.block(share.block) else {
                break;
            };
            self.jobs.push_back(Job::Fetch {
                share,
                block,
                purpose: Purpose::Repair,
            });
        }
    }

    /// Puts blocks into groups as far as they are known.
    pub(super) fn plan_pass(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        while self.pass.has_room() {
            let shares = if self.pass.cycle() == Cycle(1) {
                self.first_cycle_shares()
            } else {
                self.later_cycle_shares()
            };
            if shares.is_empty() {
                self.skip_what_nobody_needs();
                break;
            }
            self.add_group(shares);
        }
    }

    fn add_group(&mut self, shares: Vec<Share>) {
        let first_cycle = self.pass.cycle() == Cycle(1);
        let at_hand = |share: &Share| first_cycle && share.count == share.k;
        let waiting = shares.iter().filter(|share| !at_hand(share)).count();
        for share in shares.iter().filter(|share| !at_hand(share)) {
            // Shares are of known blocks; where their pages are lost the session ends.
            let Some(block) = self.manifest.block(share.block) else {
                return;
            };
            // In the first cycle the block is pinned already, by its entry.
            self.jobs.push_back(Job::Fetch {
                share: *share,
                block,
                purpose: Purpose::Pass,
            });
            if first_cycle {
                self.jobs.push_back(Job::Unpin(share.block));
            }
        }
        self.pass.add_group(shares, waiting);
    }

    /// Whole groups of the blocks whose pages were sent, and what is left of them where the
    /// source pauses or ends.
    fn first_cycle_shares(&mut self) -> Vec<Share> {
        let cursor = self.pass.cursor().0;
        let known = self.manifest.closed_blocks().0;
        let last = self.manifest.known_blocks().0 == known;
        let ready = known - cursor;
        // Without a second cycle nothing may leave the window before everybody has it.
        let closed = !self.config.seekable && cursor + GROUP > self.kept_from.0 + STREAM_WINDOW;
        let part = ready < GROUP && !last;
        if ready == 0 || part || closed || self.page_queue.fresh() > 0 {
            return Vec::new();
        }
        let tail = self.end.is_some() && ready <= GROUP;
        let mut shares = Vec::new();
        for block in (cursor..known).take(GROUP as usize).map(BlockNumber) {
            // Known, unless its page is lost.
            let Some(k) = self.manifest.block(block).map(|block| block.k()) else {
                break;
            };
            let count = k
                .saturating_add(self.parity(k, tail))
                .min(MAX_SYMBOLS as u8);
            shares.push(Share {
                block,
                k,
                first: Esi(0),
                count,
            });
        }
        shares
    }

    fn parity(&self, k: u8, tail: bool) -> u8 {
        match self.config.parity {
            Parity::Fixed(parity) => parity,
            Parity::Auto if tail => {
                let (mut receivers, mut loss) = (0u32, 0.0);
                for (_, member) in self.roster.gating() {
                    receivers += 1;
                    loss = f64::max(loss, member.loss());
                }
                tail_parity(receivers, f64::from(k) * loss)
            }
            Parity::Auto => 0,
        }
    }

    /// Whether the source was read and every block had its first pass.
    pub(super) fn first_pass_done(&self) -> bool {
        self.pass.cycle() > Cycle(1)
            || self.end.is_some_and(|end| {
                self.pass.cursor() == end.blocks
                    && self.pass.is_idle()
                    && self.page_queue.fresh() == 0
            })
    }
}

/// Proactive repair symbols of each block of the last group, of which a receiver loses `lost` on
/// average: enough for all but some of the room's blocks.
fn tail_parity(receivers: u32, lost: f64) -> u8 {
    if lost < 0.1 {
        return 0;
    }
    // The number lost is nearly Poisson's; what is beyond `parity` is what is left of 1.
    let blocks = f64::from(receivers) * f64::from(GROUP);
    let (mut term, mut beyond) = ((-lost).exp(), 1.0);
    for parity in 0..MAX_TAIL_PARITY {
        beyond -= term;
        if blocks * beyond < MAY_LACK {
            return parity;
        }
        term *= lost / f64::from(parity + 1);
    }
    MAX_TAIL_PARITY
}

#[cfg(test)]
mod tests {
    use super::tail_parity;

    #[test]
    fn the_last_group_gets_more_parity_with_loss_and_with_receivers() {
        // P(X > 4) of a Poisson variable with mean 1.87 is 0.043, P(X > 5) is 0.013.
        assert_eq!(tail_parity(1, 1.87), 5);
        assert_eq!(tail_parity(1, 0.0), 0);
        assert!(tail_parity(1000, 1.87) > tail_parity(8, 1.87));
        assert!(tail_parity(1000, 1.87) > tail_parity(1000, 0.187));
        assert_eq!(tail_parity(1000, 9.35), 16);
    }
}
