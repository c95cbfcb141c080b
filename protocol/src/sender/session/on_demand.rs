//! Sessions in which everybody resumes: no block is sent before somebody asks for it.
//!
//! Such a session leaves out the first cycle, whose pass sends every block. The source is read
//! and its pages are sent a little ahead of the pass; receivers compare their targets with them
//! and report what they need, and the pass of the second cycle sends that. Reading, comparing and
//! sending go on at the same time, and the source is read once (docs/decisions/0014-resume.md).

use super::{Event, Job, READ_AHEAD, Session};
use crate::ids::Cycle;
use crate::units::BlockNumber;

impl Session {
    /// At the start: leaves the first cycle out if everybody resumes.
    pub(super) fn consider_on_demand(&mut self) {
        let all_resume = self.roster.gating().all(|(_, member)| member.about.resumes);
        if !self.config.seekable || !all_resume {
            return;
        }
        self.pass.next_cycle();
        self.first_cycle = self.pass.cycle();
        self.cycle_started = self.last_seq;
        self.unpin_from(BlockNumber(0));
        self.events.push_back(Event::OnDemand);
    }

    /// Bodies of blocks from this one on stay in the cache only; they can be read again.
    pub(super) fn unpin_from(&mut self, first: BlockNumber) {
        let known = self.manifest.known_blocks();
        let blocks = (first.0..known.0).map(BlockNumber);
        self.jobs.extend(blocks.map(Job::Unpin));
    }

    /// Whether blocks are sent only where somebody asks for them.
    pub(super) fn is_on_demand(&self) -> bool {
        self.pass.cycle() > Cycle(1)
    }

    /// Whether the first pass over the blocks is under way.
    #[must_use]
    pub fn is_in_first_pass(&self) -> bool {
        self.pass.cycle() == self.first_cycle && self.pass_end_seq.is_none()
    }

    /// Whether the pass is so far behind that nothing more is to be read. What is asked for then
    /// is still in the cache: it holds twice as many bodies, for those that were sent.
    pub(super) fn has_read_enough(&self) -> bool {
        let known = self.manifest.known_blocks().0;
        let come_to = if self.is_on_demand() {
            self.pass.cursor()
        } else {
            self.pass.begun()
        };
        known.saturating_sub(come_to.0) >= READ_AHEAD
    }

    /// Blocks that are known and wait to be sent, as far as that shows what the network has time
    /// for.
    #[must_use]
    pub fn ahead(&self) -> u32 {
        if self.is_on_demand() {
            // Whether any of them will be sent is not known; those in groups will.
            return if self.pass.has_room() { 0 } else { READ_AHEAD };
        }
        self.manifest.known_blocks().0 - self.pass.begun().0
    }
}
