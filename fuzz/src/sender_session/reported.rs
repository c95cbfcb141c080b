//! Reports with any numbers in them, mostly close to those that make sense.

use arbitrary::{Arbitrary, Unstructured};
use mimeo_protocol::ids::{ReceiverNumber, Seq, Slot};
use mimeo_protocol::sender::Session;
use mimeo_protocol::units::{BlockNumber, PageNumber};
use mimeo_protocol::wire::{Deficit, Effort, PageRun, Parts, Remedy, Report, Spoiled};

use crate::report::stage;
use crate::value::Near;

/// What a report says.
#[derive(Debug, Arbitrary)]
pub(super) struct Reported {
    pub(super) who: u8,
    stage: u8,
    seen: Near,
    held: Near,
    expected: Near,
    received: Near,
    drops: Near,
    window: Near,
    credit: Near,
    done: Near,
    turn: Near,
    totals: Near,
    pages: Near,
    complete: Near,
    beyond: Near,
    #[arbitrary(with = missing)]
    missing: Vec<(u8, Near)>,
    #[arbitrary(with = runs)]
    runs: Vec<Run>,
    /// Blocks, and whether they need digests or symbols.
    #[arbitrary(with = spoiled)]
    spoiled: Vec<(u8, u8)>,
}

#[derive(Debug, Arbitrary)]
struct Run {
    gap: u8,
    count: Near,
    symbols: u8,
}

fn missing(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<(u8, Near)>> {
    u.arbitrary_iter()?.take(4).collect()
}

fn runs(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<Run>> {
    u.arbitrary_iter()?.take(8).collect()
}

fn spoiled(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<(u8, u8)>> {
    u.arbitrary_iter()?.take(6).collect()
}

impl Reported {
    /// The report, by a member of the session.
    pub(super) fn report(&self, session: &Session, from: ReceiverNumber) -> Report {
        let last = session.last_seq().0;
        let position = session.position();
        let member = session.roster().member(from);
        let turn = member.map_or(0, |member| member.turn);
        let total = |base: u32| self.totals.to_u32(base);
        let expected = self.expected.to_u64(last);
        let complete = self.complete.to_u32(position.horizon.0);
        let (deficits, end) = self.deficits(complete);
        let covered = self.beyond.to_u32(position.horizon.0).max(end);
        Report {
            stage: stage(self.stage / 32),
            seq_seen: Seq(self.seen.to_u48(last)),
            held_us: self.held.to_u32(0),
            received: self.received.to_u64(expected),
            expected,
            socket_drops: self.drops.to_u32(0),
            window: self.window.to_u32(2048),
            credit: Slot(self.credit.to_u32(position.slot.0 + 40)),
            blocks_done: self.done.to_u32(complete),
            bytes_written: self.totals.to_u64(complete.into()),
            bytes_kept: self.totals.to_u64(0),
            busy_ms: total(complete),
            bytes_verified: self.totals.to_u64(0),
            effort: Effort {
                decode_ms: total(1),
                session_ms: total(2),
                disk_bytes: self.totals.to_u64(1 << 20),
                disk_ms: total(3),
            },
            buffers: 256,
            turn: self.turn.to_u32(turn.into()) as u16,
            bad_blocks: total(4),
            forged_symbols: total(5),
            pages_up_to: PageNumber(self.pages.to_u32(session.manifest().pages().0)),
            missing_pages: self.missing_pages(),
            spoiled: self.spoiled(),
            complete_up_to: BlockNumber(complete),
            covered_up_to: BlockNumber(covered),
            deficits,
        }
    }

    /// What a receiver says that has everything so far.
    pub(super) fn content(session: &Session, from: ReceiverNumber) -> Report {
        let same = Near::Same;
        let content = Self {
            who: 0,
            stage: 32,
            seen: same,
            held: same,
            expected: same,
            received: same,
            drops: same,
            window: same,
            credit: same,
            done: same,
            turn: same,
            totals: same,
            pages: same,
            complete: same,
            beyond: same,
            missing: Vec::new(),
            runs: Vec::new(),
            spoiled: Vec::new(),
        };
        content.report(session, from)
    }

    fn missing_pages(&self) -> Vec<PageRun> {
        let mut next = self.pages.to_u32(0);
        let runs = self.missing.iter().map_while(|&(gap, count)| {
            let first = next.checked_add(gap.into())?;
            let count = count.to_u32(1).max(1);
            next = first.checked_add(count)?;
            Some(PageRun {
                first: PageNumber(first),
                count,
            })
        });
        runs.collect()
    }

    /// Mostly of blocks that there are; a few of any.
    fn spoiled(&self) -> Vec<Spoiled> {
        let spoiled = self.spoiled.iter().map(|&(block, what)| Spoiled {
            block: BlockNumber(match block {
                0..250 => u32::from(block % 25),
                _ => self.complete.to_u32(u32::MAX),
            }),
            remedy: match what {
                0..128 => Remedy::Digests(Parts(what % 15 + 1)),
                _ => Remedy::OwnSymbols(what),
            },
        });
        spoiled.collect()
    }

    fn deficits(&self, complete: u32) -> (Vec<Deficit>, u32) {
        let mut end = complete;
        let mut deficits = Vec::new();
        for run in &self.runs {
            let count = run.count.to_u32(1).max(1);
            let first = end.checked_add(run.gap.into());
            let Some((first, next)) = first.and_then(|at| Some((at, at.checked_add(count)?)))
            else {
                break;
            };
            end = next;
            deficits.push(Deficit {
                first: BlockNumber(first),
                count,
                symbols: run.symbols.max(1),
            });
        }
        (deficits, end)
    }
}
