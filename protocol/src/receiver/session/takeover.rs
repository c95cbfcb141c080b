//! Going over to another session: that of a sender which was started again.
//!
//! What a receiver has written stays known by the tags of its digests, whatever the session: an
//! entry that agrees with the tag at its place is kept, one that does not is of another image.

use std::time::{Duration, Instant};

use super::checks::Checks;
use super::{HOLDOFF, Session};
use crate::ids::Cycle;
use crate::manifest::Entry;
use crate::receiver::Finding;
use crate::units::BlockNumber;
use crate::wire::{FailCode, Stage};

/// A receiver that is called so much later than it asked to be stood still: it was suspended, or
/// its machine was.
const STOOD_STILL: Duration = Duration::from_millis(500);

impl Session {
    /// Goes on where a former session ended, for a session that has handled nothing yet.
    ///
    /// An image that cannot be the same one is refused: the session fails at once.
    pub fn continue_from(&mut self, now: Instant, former: &mut Session) {
        self.tags = std::mem::take(&mut former.tags);
        self.forged_before = former.forged();
        let checks = self
            .checks
            .get_or_insert_with(|| Checks::blind(self.joined_at));
        if !self.tags.is_empty() {
            checks.prove();
        }
        let (old, new) = (former.config.image_len, self.config.image_len);
        if old != new {
            let len =
                |len: Option<u64>| len.map_or("a stream".to_owned(), |len| format!("{len} bytes"));
            self.refuse(now, &format!("{} instead of {}", len(new), len(old)));
        }
    }

    /// What a former session had begun to write is on the target.
    pub fn note_former(&mut self, entry: &Entry) {
        self.tags.note(entry);
    }

    fn refuse(&mut self, now: Instant, how: &str) {
        if let Some(checks) = &mut self.checks {
            checks.refute();
        }
        let text = format!(
            "the sender was started again with another image under the same name ({how}); this \
             receiver has to be started again for it"
        );
        self.fail(now, FailCode::TargetRefused, text);
    }

    /// Pages have arrived: keeps the blocks that are known to be on the target, and refuses an
    /// image that is not the one which the target holds a part of.
    pub(super) fn keep_known(&mut self, now: Instant) {
        if let Some(place) = self.pages.contradiction() {
            if self.may_write() {
                let how = format!("it differs at byte {}", place.offset());
                self.refuse(now, &how);
            }
            return;
        }
        let known = self.pages.sent_blocks();
        let from = std::mem::replace(&mut self.compared, known);
        for block in (from.0..known.0).map(BlockNumber) {
            let Some(entry) = self.pages.block(block) else {
                continue;
            };
            let entry = entry.clone();
            // The last block of a stream may be shorter than it counts here.
            let bytes = Finding::len_of(&entry, self.config.image_len) as u64;
            if self.tags.agrees(&Entry::Block(entry)) == Some(true) {
                self.keep(block, bytes);
            }
        }
        // The sender waits for what is needed, where it sends only what is asked for.
        if self.checks.is_some() && self.cycle > Cycle(1) {
            self.schedule.urge();
        }
    }

    /// Since when nothing of the session was heard, if a sender is needed to go on. `None` too if
    /// no other session could be taken up: what was passed on in order cannot be recognised where
    /// only some tags are kept.
    #[must_use]
    pub fn silent_since(&self) -> Option<Instant> {
        let under_way = matches!(self.stage, Stage::Waiting | Stage::Receiving);
        let recognised = !self.config.in_order || self.tags.stride() == 1;
        (under_way && recognised && !self.has_failed()).then_some(self.heard_at)
    }

    /// Who stood still did not listen: the silence of that time does not count.
    pub(super) fn notice_standstill(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.awake);
        self.awake = now;
        if gap >= STOOD_STILL + self.schedule.longest() + HOLDOFF {
            self.heard_at = (self.heard_at + gap).min(now);
        }
    }
}
