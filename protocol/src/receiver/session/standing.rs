//! How this receiver stands to the group: waited for, or demoted as too slow.
//!
//! Of a demoted receiver no block is repaired in the cycle under way, so a block of which it
//! missed a part would hold its buffer for nothing. It takes a block only from the beginning of
//! its pass, when the block can still become whole, and where no buffer is free the block behind
//! the horizon that lacks most gives up its own. So what it holds in the end is what it caught
//! most of, and the later cycle sends so much less of that.

use std::time::Duration;

use super::ledger::GivenUp;
use super::{Event, Session};
use crate::units::{BlockNumber, GROUP};
use crate::wire::{Effort, SlowReason, Standing, SymbolHeader};

/// A demoted receiver begins a block only within this part of its source symbols: what it lacks
/// then costs less in the later cycle than the buffer is worth.
const BEGINNING: u8 = 16;

/// In a later cycle the blocks that are so far beyond the horizon are not being sent yet: the
/// sender prepares three groups, and a receiver has room for two more.
const FAR_OFF: u32 = 5 * GROUP;

/// How the receiver stands; see the module's page.
#[derive(Debug, Default)]
pub(super) struct Stand {
    pub(super) turn: u16,
    pub(super) demoted: Option<SlowReason>,
    pub(super) effort: Effort,
    /// How long the write under way has lasted.
    writing: Duration,
    /// Milliseconds of writing that a report told of.
    told_ms: u32,
}

impl Stand {
    /// Milliseconds of writing to tell of, where what is done took so long. A write that ends is
    /// under way no more before it is done: what was told is not taken back for that moment.
    pub(super) fn busy_ms(&mut self, done: Duration) -> u32 {
        let busy = u32::try_from((done + self.writing).as_millis()).unwrap_or(u32::MAX);
        self.told_ms = self.told_ms.max(busy);
        self.told_ms
    }
}

impl Session {
    /// Why the group does not wait for this receiver, if it does not.
    #[must_use]
    pub fn demoted(&self) -> Option<SlowReason> {
        self.stand.demoted
    }

    /// What the receiver's parts did so far, in totals, and how long the write under way has
    /// lasted, zero where there is none: one that never ends counts too.
    pub fn handle_effort(&mut self, effort: Effort, writing: Duration) {
        self.stand.effort = effort;
        self.stand.writing = writing;
    }

    pub(super) fn on_standing(&mut self, turn: u16, standing: Standing) {
        if turn <= self.stand.turn {
            return;
        }
        self.stand.turn = turn;
        let before = self.stand.demoted;
        match standing {
            Standing::Demoted(reason) => self.stand.demoted = Some(reason),
            Standing::Member { cycle, from } => {
                self.stand.demoted = None;
                if cycle == self.cycle {
                    self.joined_at = from;
                    self.joined_cycle = cycle;
                    self.in_joined_cycle = true;
                }
            }
        }
        self.schedule.urge();
        if self.stand.demoted != before {
            self.events.push_back(Event::Standing(self.stand.demoted));
        }
    }

    /// Whether the first symbol of a block is to begin it.
    pub(super) fn begins(&self, header: &SymbolHeader) -> bool {
        self.stand.demoted.is_none() || header.esi.0 <= header.k / BEGINNING
    }

    /// Blocks that may give up their buffers: those that are not repaired in this cycle, and what
    /// was caught in the cycles before of those whose turn in this one is far off.
    pub(super) fn given_up(&self) -> GivenUp {
        let below = match self.stand.demoted {
            Some(_) => self.horizon,
            None if self.in_joined_cycle => self.joined_at,
            None => BlockNumber(0),
        };
        let idle_from = BlockNumber(self.horizon.0.saturating_add(FAR_OFF));
        GivenUp { below, idle_from }
    }
}
