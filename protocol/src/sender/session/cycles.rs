//! Later cycles: what receivers still need after the first pass, in the order of block numbers.

use std::time::Instant;

use super::{Event, Phase, Session};
use crate::ids::{Cycle, ReceiverNumber};
use crate::sender::interleave::Share;
use crate::sender::repair::Most;
use crate::sender::roster::Member;
use crate::units::{BlockNumber, Esi, GROUP};
use crate::wire::{ALL_SYMBOLS, Deficit, Report};

impl Session {
    /// The next blocks that any receiver still needs, each with the largest deficit.
    pub(super) fn later_cycle_shares(&mut self) -> Vec<Share> {
        let (mut shares, mut alone) = (Vec::new(), Vec::new());
        let mut cursor = self.pass.cursor();
        let covered = self.covered();
        while shares.len() < GROUP as usize {
            let needs = self
                .roster
                .wanting()
                .filter_map(|(_, _, report)| next_need(report, cursor));
            let Some(block) = needs.min().filter(|&block| block < covered) else {
                break;
            };
            cursor = BlockNumber(block.0 + 1);
            if let Some((share, by)) = self.share_of(block) {
                shares.push(share);
                alone.push(by);
            }
        }
        self.charge_pass(&alone);
        shares
    }

    /// There was no need up to where the reports say everything: the pass goes on behind that.
    pub(super) fn skip_what_nobody_needs(&mut self) {
        if self.pass.cycle() > Cycle(1) {
            self.pass.skip_to(self.covered());
        }
    }

    /// What is sent of a block, and how much of it because of one receiver alone.
    fn share_of(&mut self, block: BlockNumber) -> Option<(Share, (ReceiverNumber, u8))> {
        let k = self.manifest.block(block)?.k();
        let needs = self
            .roster
            .wanting()
            .filter_map(|(number, member, report)| {
                let deficit = deficit_of(report, block)?;
                let deficit = if deficit == ALL_SYMBOLS {
                    k
                } else {
                    deficit.min(k)
                };
                let sent = self.repairs.sent_after(block, member.seq_seen());
                let need = u32::from(deficit).saturating_sub(sent);
                Some((number, u8::try_from(need).ok()?))
            });
        let most = needs.fold(Most::default(), Most::add);
        let count = most.symbols;
        let by = most.by.filter(|_| count > 0)?;
        let first = if count == k {
            Esi(0)
        } else {
            self.repairs.cursor(block, k)
        };
        let share = Share {
            block,
            k,
            first,
            count,
        };
        Some((share, (by, most.alone())))
    }

    /// Below this block the newest reports, all of them made in this cycle, say everything.
    fn covered(&self) -> BlockNumber {
        let covered = |member: &Member, report: &Report| {
            let fresh = member.seq_seen() >= self.cycle_started;
            if fresh {
                report.covered_up_to
            } else {
                BlockNumber(0)
            }
        };
        let reports = self.roster.wanting();
        reports
            .map(|(_, member, report)| covered(member, report))
            .min()
            .unwrap_or(BlockNumber(0))
    }

    /// Starts the next cycle when this one is over and some receiver needs one.
    pub(super) fn consider_next_cycle(&mut self, now: Instant) {
        let Some(end) = self.end.filter(|_| {
            self.phase == Phase::Running && self.first_pass_done() && self.pass.is_idle()
        }) else {
            return;
        };
        let cycle = self.pass.cycle();
        if cycle > Cycle(1) && !self.nothing_ahead() {
            return;
        }
        if self.pass_end_seq.is_none() {
            self.pass.finish(end.blocks);
            self.pass_end_seq = Some(self.last_seq);
            self.timers.control_now();
        }
        if !self.config.seekable || !self.repairs.is_idle() {
            return;
        }
        if self.only_stragglers_lack() {
            self.begin_cycle();
            self.restore_all(now);
        } else if self.deferred_needs().next().is_some() {
            self.begin_cycle();
        }
    }

    fn begin_cycle(&mut self) {
        self.pass.next_cycle();
        self.repairs.clear_owed();
        self.cycle_started = self.last_seq;
        self.passed_before = self.counters.pass_symbols;
        self.pass_end_seq = None;
        self.timers.control_now();
        self.events.push_back(Event::Cycle(self.pass.cycle()));
    }

    /// Whether no receiver needs a block from the cursor on, as reports of this cycle say.
    fn nothing_ahead(&self) -> bool {
        let cursor = self.pass.cursor();
        let Some(end) = self.end else { return false };
        let mut wanting = self.roster.wanting().peekable();
        wanting.peek().is_none()
            || (self.covered() >= end.blocks
                && wanting.all(|(_, _, report)| next_need(report, cursor).is_none()))
    }

    /// Receivers that need blocks which this cycle does not repair for them, as reports made
    /// after the end of the pass say.
    fn deferred_needs(&self) -> impl Iterator<Item = ReceiverNumber> {
        let (cycle, ended) = (self.pass.cycle(), self.pass_end_seq);
        self.roster
            .wanting()
            .filter_map(move |(number, member, report)| {
                let fresh = ended.is_some_and(|ended| member.seq_seen() >= ended);
                let deferred = member.deferred_below(cycle);
                let needs = report
                    .deficits
                    .first()
                    .is_some_and(|run| run.first < deferred);
                (fresh && needs).then_some(number)
            })
    }
}

/// The first block from `cursor` on that the report asks for.
fn next_need(report: &Report, cursor: BlockNumber) -> Option<BlockNumber> {
    let ends_before = |run: &Deficit| run.first.0 + run.count <= cursor.0;
    let at = report.deficits.partition_point(ends_before);
    report.deficits.get(at).map(|run| run.first.max(cursor))
}

fn deficit_of(report: &Report, block: BlockNumber) -> Option<u8> {
    let ends_before = |run: &Deficit| run.first.0 + run.count <= block.0;
    let run = report
        .deficits
        .get(report.deficits.partition_point(ends_before))?;
    (run.first <= block).then_some(run.symbols)
}
