//! Resuming: blocks that the target holds already are kept and not asked for.
//!
//! A block whose entry is known is *unchecked* until the caller has compared it with what the
//! target holds. Nothing is said of unchecked blocks: a report covers what lies before the first
//! of them. A block that arrives whole before its check is simply written.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use super::ledger::Ledger;
use super::pages::RunKind;
use super::{Event, Resume, Session, Unused};
use crate::ids::Cycle;
use crate::manifest::Entry;
use crate::receiver::Finding;
use crate::units::{BLOCK_SIZE, BlockNumber};
use crate::wire::Deficit;

/// Checks that are under way at most: 16 MiB, a tenth of a second of a hard disk.
const MAX_UNDER_WAY: usize = 64;

/// Checks after which the sender should hear of them: what they found gives it something to send.
const TELL_AFTER: u32 = 32;

/// So many blocks, the first of the image, show whether the target holds a part of it.
const PROOF: u32 = 64;

/// Whether anything may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// So many of the first blocks were checked, and so many of them were different.
    Open { checked: u32, different: u32 },
    /// The target holds a part of the image, or nothing, or that does not matter.
    Given,
    /// It holds something else.
    Refuted,
}

/// Which blocks were checked.
///
/// In this order: the first blocks of the image, for the proof; those that had not been begun at
/// the join, as the stream gets there first; those before them.
#[derive(Debug)]
pub(super) struct Checks {
    /// Whether the target is looked at; if not, what is not known of it is taken to differ.
    looks: bool,
    /// Blocks below this one were begun before the join.
    start: u32,
    /// Blocks below this one were taken up, of those below `start`.
    behind: u32,
    /// Blocks below this one were taken up, of those from `start` on.
    ahead: u32,
    under_way: BTreeSet<BlockNumber>,
    proof: Proof,
    /// Checks since the last report.
    fresh: u32,
    kept_blocks: u32,
    kept_bytes: u64,
}

impl Checks {
    pub(super) fn new(resume: Resume, joined_at: BlockNumber) -> Option<Self> {
        let proof = match resume {
            Resume::Off => return None,
            Resume::IfPart => Proof::Open {
                checked: 0,
                different: 0,
            },
            Resume::Always => Proof::Given,
        };
        Some(Self {
            looks: true,
            proof,
            ..Self::blind(joined_at)
        })
    }

    /// Blocks are kept where it is known what the target holds, and it is not looked at.
    pub(super) fn blind(joined_at: BlockNumber) -> Self {
        Self {
            looks: false,
            start: joined_at.0,
            behind: 0,
            ahead: joined_at.0,
            under_way: BTreeSet::new(),
            proof: Proof::Given,
            fresh: 0,
            kept_blocks: 0,
            kept_bytes: 0,
        }
    }

    /// The target is known to hold a part of the image.
    pub(super) fn prove(&mut self) {
        self.proof = Proof::Given;
    }

    /// The target holds something else: nothing more is written.
    pub(super) fn refute(&mut self) {
        self.proof = Proof::Refuted;
    }

    /// The next block to look at, of those below `known`.
    fn next(&mut self, known: BlockNumber) -> Option<BlockNumber> {
        let behind = self.start.min(known.0);
        let at = if self.behind < behind.min(PROOF) {
            &mut self.behind
        } else if self.ahead < known.0 {
            &mut self.ahead
        } else if self.behind < behind {
            &mut self.behind
        } else {
            return None;
        };
        *at += 1;
        Some(BlockNumber(*at - 1))
    }

    fn are_over(&self, known: BlockNumber) -> bool {
        let all = self.behind == self.start.min(known.0) && self.ahead >= known.0;
        all && self.under_way.is_empty()
    }

    /// Takes a finding into account; true if it is the first that gives the proof.
    fn on_checked(&mut self, finding: Finding) -> bool {
        self.fresh += 1;
        if let Proof::Open { checked, different } = &mut self.proof {
            *checked += 1;
            *different += u32::from(finding == Finding::Different);
            if finding == Finding::Same {
                self.proof = Proof::Given;
                return true;
            }
        }
        false
    }

    /// Decides whether the target holds a part of the image, once enough of it was seen: the
    /// flag says that all of it was.
    fn judge(&mut self, all: bool) -> Option<Event> {
        match self.proof {
            Proof::Open { checked, different } if all || checked >= PROOF => {
                self.proof = if different == 0 {
                    Proof::Given
                } else {
                    Proof::Refuted
                };
                (different > 0).then_some(Event::NotThisImage { different })
            }
            _ => None,
        }
    }

    /// What was found since the last report is told.
    pub(super) fn on_report(&mut self) {
        self.fresh = 0;
    }

    /// The first block from `from` on that was not checked and of which no symbol came.
    fn first_unknown(&self, from: BlockNumber, ledger: &Ledger) -> Option<BlockNumber> {
        let mut under_way = self.under_way.range(from..);
        let under_way = under_way.find(|&&block| ledger.lacks(block)).copied();
        let behind = ledger.first_lacking(self.behind.max(from.0)..self.start);
        let ahead = ledger.first_lacking(self.ahead.max(from.0)..u32::MAX);
        under_way.into_iter().chain(behind).chain(ahead).min()
    }

    /// The first run of unchecked blocks that does not end before a block, or at it.
    fn unchecked_from(&self, block: BlockNumber) -> Range<u32> {
        let mut runs = [self.behind..self.start, self.ahead..u32::MAX].into_iter();
        let run = runs.find(|run| !run.is_empty() && run.end > block.0);
        let run = run.unwrap_or(u32::MAX..u32::MAX);
        match self.under_way.range(block..).next() {
            Some(under_way) if under_way.0 < run.start => under_way.0..under_way.0 + 1,
            _ => run,
        }
    }
}

impl Session {
    /// Whether the target may be changed.
    pub(super) fn may_write(&self) -> bool {
        let proof = self.checks.as_ref().map(|checks| checks.proof);
        proof.is_none_or(|proof| proof == Proof::Given)
    }

    /// Blocks and bytes that were kept.
    pub(super) fn kept(&self) -> (u32, u64) {
        let checks = self.checks.as_ref();
        checks.map_or((0, 0), |checks| (checks.kept_blocks, checks.kept_bytes))
    }

    /// Hands out blocks to be checked, as far as their entries are known.
    pub(super) fn plan_checks(&mut self) {
        let known = self.pages.sent_blocks();
        while let Some(checks) = &mut self.checks
            && checks.under_way.len() < MAX_UNDER_WAY
            && checks.proof != Proof::Refuted
            && let Some(block) = checks.next(known)
        {
            if self.ledger.is_settled(block) {
                continue;
            }
            if !checks.looks {
                continue;
            }
            let entry = self.pages.block(block).expect("it is not written");
            let entry = entry.clone();
            checks.under_way.insert(block);
            self.start_receiving();
            self.events.push_back(Event::Check { block, entry });
        }
        self.consider_proof();
    }

    /// What the target holds at the place of a block of `bytes`.
    pub fn handle_checked(
        &mut self,
        now: Instant,
        block: BlockNumber,
        finding: Finding,
        bytes: u64,
    ) {
        let Some(checks) = &mut self.checks else {
            return;
        };
        if !checks.under_way.remove(&block) {
            return;
        }
        let proven = checks.on_checked(finding);
        let kept = matches!(finding, Finding::Same | Finding::Beyond);
        if kept && !self.ledger.is_settled(block) {
            self.keep(block, bytes);
        }
        if proven {
            self.write_what_waits();
        }
        self.plan_checks();
        self.urge_after_checks(block);
        self.after_writes();
        self.consider_flush(now);
    }

    /// The target holds a block of `bytes` already.
    pub(super) fn keep(&mut self, block: BlockNumber, bytes: u64) {
        if let Some(checks) = &mut self.checks {
            checks.kept_blocks += 1;
            checks.kept_bytes += bytes;
        }
        self.ledger.on_written(block);
        self.suspects.on_written(block);
        if let Some(entry) = self.pages.on_written(block) {
            self.tags.note(&Entry::Block(entry));
        }
    }

    /// The sender waits for what is found, where it sends only what is asked for.
    fn urge_after_checks(&mut self, block: BlockNumber) {
        let lacks = block < self.reportable && !self.ledger.is_settled(block);
        let waits = self.cycle > Cycle(1) || lacks;
        if let Some(checks) = &self.checks
            && waits
            && (checks.fresh >= TELL_AFTER || checks.under_way.is_empty())
        {
            self.schedule.urge();
        }
    }

    /// What waited for the proof is written once it is given.
    fn consider_proof(&mut self) {
        if self.may_write() {
            return;
        }
        let known = self.pages.sent_blocks();
        let whole = self.end.is_some_and(|end| {
            self.pages.up_to() == end.pages && self.pages.sent_blocks() == end.blocks
        });
        let Some(checks) = &mut self.checks else {
            return;
        };
        let all = whole && checks.are_over(known);
        self.events.extend(checks.judge(all));
        self.write_what_waits();
    }

    /// Hands out runs and whole blocks that wait for their pages or for the proof.
    pub(super) fn write_what_waits(&mut self) {
        if !self.may_write() {
            return;
        }
        while let Some((kind, run)) = self.pages.poll_run() {
            let is_unused = kind == RunKind::Unused;
            match self.config.unused {
                Unused::Keep if is_unused => continue,
                Unused::Discard if is_unused => {
                    self.events.push_back(Event::Discard(run));
                    continue;
                }
                _ => {}
            }
            let part = self.tags.unknown_of(run);
            let kept = run.count - part.map_or(0, |part| part.count);
            if !is_unused {
                self.zeros_kept += u64::from(kept) * BLOCK_SIZE as u64;
            }
            self.open_runs += u32::from(part.is_some());
            self.events.extend(part.map(Event::Zero));
        }
        for block in self.ledger.complete() {
            self.hand_out(block);
        }
    }

    /// What is needed of the blocks below `end`, in at most `max` runs, and the block below which
    /// that is everything.
    pub(super) fn needs(&self, end: BlockNumber, max: usize) -> (Vec<Deficit>, BlockNumber) {
        let end = end.min(self.plausible());
        let Some(checks) = &self.checks else {
            return self.ledger.deficits(end, max, |_| u32::MAX..u32::MAX);
        };
        // What was begun before the join comes in a later cycle: it may stay open until then.
        let from = if self.in_joined_cycle {
            self.joined_at
        } else {
            BlockNumber(0)
        };
        let end = checks
            .first_unknown(from, &self.ledger)
            .unwrap_or(end)
            .min(end);
        self.ledger
            .deficits(end, max, |block| checks.unchecked_from(block))
    }
}
