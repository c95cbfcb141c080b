//! One pass over blocks: which group is being sent, and how far the pass is.
//!
//! The first cycle's pass sends every block as it comes from the source. A pass of a later cycle
//! visits, in order of their numbers, the blocks that some receiver still needs.

use std::collections::VecDeque;

use super::interleave::{Interleaver, Share};
use crate::ids::{Cycle, Slot};
use crate::units::{BlockNumber, Esi};

/// Groups whose bodies are fetched ahead of the one that is sent.
const GROUPS_AHEAD: usize = 3;

#[derive(Debug)]
struct Group {
    interleaver: Interleaver,
    /// Blocks whose symbols are still being fetched.
    waiting: usize,
    end: BlockNumber,
    begun: bool,
}

/// The pass under way.
#[derive(Debug)]
pub struct Pass {
    cycle: Cycle,
    /// The next block to be put into a group.
    cursor: BlockNumber,
    horizon: BlockNumber,
    begun: BlockNumber,
    slot: Slot,
    groups: VecDeque<Group>,
}

impl Default for Pass {
    fn default() -> Self {
        Self {
            cycle: Cycle(1),
            cursor: BlockNumber(0),
            horizon: BlockNumber(0),
            begun: BlockNumber(0),
            slot: Slot(0),
            groups: VecDeque::new(),
        }
    }
}

impl Pass {
    /// The cycle of this pass.
    #[must_use]
    pub fn cycle(&self) -> Cycle {
        self.cycle
    }

    /// Every block below had its pass.
    #[must_use]
    pub fn horizon(&self) -> BlockNumber {
        self.horizon
    }

    /// Every block below was begun.
    #[must_use]
    pub fn begun(&self) -> BlockNumber {
        self.begun
    }

    /// Blocks begun over all cycles.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The next block that a group may hold.
    #[must_use]
    pub fn cursor(&self) -> BlockNumber {
        self.cursor
    }

    /// Starts the pass of the next cycle.
    pub fn next_cycle(&mut self) {
        self.cycle = Cycle(self.cycle.0 + 1);
        self.cursor = BlockNumber(0);
        self.horizon = BlockNumber(0);
        self.begun = BlockNumber(0);
    }

    /// Whether another group may be prepared.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.groups.len() < GROUPS_AHEAD
    }

    /// Adds a group whose symbols are fetched for `waiting` of its blocks.
    pub fn add_group(&mut self, shares: Vec<Share>, waiting: usize) {
        let last = shares.last().expect("a group has blocks").block;
        let end = BlockNumber(last.0 + 1);
        self.cursor = end;
        let interleaver = Interleaver::new(shares);
        self.groups.push_back(Group {
            interleaver,
            waiting,
            end,
            begun: false,
        });
    }

    /// Nobody needs a block between the last group and this one.
    pub fn skip_to(&mut self, block: BlockNumber) {
        self.cursor = self.cursor.max(block);
        if self.groups.is_empty() {
            (self.horizon, self.begun) = (self.cursor, self.cursor);
        }
    }

    /// The symbols of a block of a prepared group are there.
    pub fn on_fetched(&mut self, block: BlockNumber) {
        let holds = |group: &&mut Group| {
            group.waiting > 0 && group.interleaver.shares().iter().any(|s| s.block == block)
        };
        if let Some(group) = self.groups.iter_mut().find(holds) {
            group.waiting -= 1;
        }
    }

    /// Whether a symbol could be sent, given the credit of the receivers.
    #[must_use]
    pub fn is_ready(&self, credit: Option<Slot>) -> bool {
        self.groups.front().is_some_and(|group| {
            let blocks = u32::try_from(group.interleaver.shares().len()).expect("at most GROUP");
            group.waiting == 0
                && (group.begun || credit.is_some_and(|credit| self.slot.0 + blocks <= credit.0))
        })
    }

    /// The credit that the next group waits for, if nothing else keeps it.
    #[must_use]
    pub fn wanted_credit(&self) -> Option<Slot> {
        let group = self.groups.front()?;
        let blocks = u32::try_from(group.interleaver.shares().len()).expect("at most GROUP");
        (group.waiting == 0 && !group.begun).then_some(Slot(self.slot.0 + blocks))
    }

    /// The next symbol of the pass; `is_ready` was true.
    pub fn next_symbol(&mut self) -> Option<(Share, Esi)> {
        let group = self.groups.front_mut()?;
        if !group.begun {
            group.begun = true;
            self.slot.0 += u32::try_from(group.interleaver.shares().len()).expect("at most GROUP");
            self.begun = group.end;
        }
        group.interleaver.next()
    }

    /// Takes the current group off if all its symbols were sent.
    pub fn finish_group(&mut self) -> Option<Vec<Share>> {
        let group = self.groups.front().filter(|group| group.begun)?;
        if !group.interleaver.is_done() {
            return None;
        }
        let group = self.groups.pop_front()?;
        self.horizon = group.end;
        Some(group.interleaver.shares().to_vec())
    }

    /// The pass has nothing further: every block had its pass.
    pub fn finish(&mut self, blocks: BlockNumber) {
        self.horizon = blocks;
        self.begun = blocks;
        self.cursor = blocks;
    }

    /// Whether no group is prepared or being sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.groups.is_empty()
    }
}
