//! How a receiver's part ends: confirmed, failed, or without an answer.

use std::time::{Duration, Instant};

use super::spoiled::MANY_BAD_BLOCKS;
use super::{Event, Session, Unused};
use crate::receiver::read_back::{Difference, ReadBackPlan};
use crate::units::BLOCK_SIZE;
use crate::wire::{FailCode, ReadBack, Stage, ToReceiver, ToSender};

/// The last word is repeated this often ...
const REPEAT_EVERY: Duration = Duration::from_millis(200);
/// ... a confirmation for this long, as the sender may be busy ...
const CONFIRM_FOR: Duration = Duration::from_secs(5);
/// ... and a failure for this long.
const FAIL_FOR: Duration = Duration::from_secs(2);

/// Why a receiver did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub code: FailCode,
    /// For the person in front of the machine.
    pub text: String,
}

/// The last word to the sender.
#[derive(Debug)]
pub(super) struct LastWord {
    message: ToSender,
    next: Instant,
    until: Instant,
}

impl LastWord {
    pub(super) fn next(&self) -> Instant {
        self.next.min(self.until)
    }
}

impl Session {
    /// A message of the sender, opened under this receiver's own key.
    pub fn handle_message(&mut self, now: Instant, message: ToReceiver) {
        self.heard_at = now;
        let confirming = matches!(
            &self.last_word,
            Some(LastWord {
                message: ToSender::Confirm { .. },
                ..
            })
        );
        match message {
            ToReceiver::ConfirmSeen if confirming => {
                self.last_word = None;
                self.over(Event::Finished { acknowledged: true });
            }
            ToReceiver::FailSeen if self.last_word.is_some() && !confirming => {
                self.last_word = None;
                self.over(Event::Left);
            }
            ToReceiver::Abort { code, text } => self.on_abort(code, text),
            ToReceiver::Ask => self.schedule.on_asked(),
            ToReceiver::Position { seq, position } => self.on_told(seq, position),
            ToReceiver::Standing { turn, standing } => self.on_standing(turn, standing),
            // Symbols are taken by the endpoint, which has the buffers.
            ToReceiver::ConfirmSeen | ToReceiver::FailSeen | ToReceiver::Symbol(_) => {}
        }
    }

    /// The sender has given this receiver up.
    fn on_abort(&mut self, code: FailCode, text: String) {
        self.outbox.push_back(ToSender::AbortSeen);
        // What is complete stays complete, whatever became of the others, unless it is something
        // else than the sender has sent.
        if self.stage == Stage::Complete && code != FailCode::IdentityMismatch {
            return;
        }
        let failure = if code == FailCode::TooMuch && self.suspects.bad_blocks() >= MANY_BAD_BLOCKS
        {
            Failure {
                code: FailCode::DigestMismatch,
                text: format!(
                    "{} blocks failed their digest: {text}",
                    self.suspects.bad_blocks()
                ),
            }
        } else {
            Failure { code, text }
        };
        self.last_word = None;
        self.over(Event::Failed(failure));
        self.over(Event::Left);
    }

    /// Whether everything is written: then the target is to be flushed.
    pub(super) fn consider_flush(&mut self, now: Instant) {
        let under_way = matches!(self.stage, Stage::Waiting | Stage::Receiving);
        let Some(end) = self.end.filter(|_| under_way && !self.has_failed()) else {
            return;
        };
        let pages = self.pages.up_to() == end.pages && self.pages.sent_blocks() == end.blocks;
        let written =
            self.ledger.done_count() == end.blocks.0 && self.open_runs == 0 && self.may_write();
        if !pages || !written {
            return;
        }
        let known = self.config.image_len.is_none_or(|len| len == end.image_len);
        if known && self.pages.identity(end.image_len) == Some(end.identity) {
            self.stage = Stage::Flushing;
            // At once: a confirmation that follows soon says nothing of what was written or kept.
            let report = self.report(now);
            self.outbox.push_back(ToSender::Report(report));
            self.events.push_back(Event::Flush {
                image_len: end.image_len,
            });
        } else {
            self.fail_identity(
                now,
                "the manifest that arrived is not the one the sender made",
            );
        }
    }

    pub(super) fn fail_identity(&mut self, now: Instant, text: &str) {
        self.fail(now, FailCode::IdentityMismatch, text.to_owned());
    }

    /// The session itself finds that it cannot go on.
    pub(super) fn fail(&mut self, now: Instant, code: FailCode, text: String) {
        self.handle_failure(now, code, &text);
        self.over(Event::Failed(Failure { code, text }));
    }

    /// The target is flushed: only now does the receiver say that it has the image, or reads it
    /// back before it does.
    pub fn handle_flushed(&mut self, now: Instant) {
        let flushing = self.stage == Stage::Flushing && !self.has_failed();
        let Some(end) = self.end.filter(|_| flushing) else {
            return;
        };
        if !self.config.verify {
            return self.confirm(now, ReadBack::No);
        }
        self.stage = Stage::Verifying;
        self.schedule.urge();
        let is_cut = |len: &u64| *len < end.image_len;
        let cut = self.config.target_len.filter(is_cut);
        let front = cut.and_then(|_| self.pages.front());
        let (image_len, identity) = front.unwrap_or((end.image_len, end.identity));
        let places = image_len.div_ceil(BLOCK_SIZE as u64);
        self.events.push_back(Event::Verify(ReadBackPlan {
            image_len,
            only: end.image_len <= BLOCK_SIZE as u64,
            identity,
            unused: self
                .pages
                .take_unused(u32::try_from(places).unwrap_or(u32::MAX)),
            unused_is_zero: self.config.unused == Unused::Zero,
            tags: std::mem::take(&mut self.tags),
        }));
    }

    /// So many bytes of the image were read back so far and are right.
    pub fn handle_verifying(&mut self, bytes: u64) {
        self.written.verified = bytes;
    }

    /// All of the image was read back and is right.
    pub fn handle_verified(&mut self, now: Instant, read_back: ReadBack) {
        if self.stage == Stage::Verifying && !self.has_failed() {
            self.written.verified = self.end.map_or(0, |end| end.image_len);
            self.confirm(now, read_back);
        }
    }

    /// The target does not read back what was written to it.
    pub fn handle_difference(&mut self, now: Instant, difference: &Difference) {
        if self.stage == Stage::Verifying && !self.has_failed() {
            let (code, text) = (
                FailCode::ReadBackDiffers,
                format!("the target {difference}"),
            );
            self.handle_failure(now, code, &text);
            self.over(Event::Failed(Failure { code, text }));
        }
    }

    fn confirm(&mut self, now: Instant, read_back: ReadBack) {
        let Some(end) = self.end else { return };
        self.stage = Stage::Complete;
        let message = ToSender::Confirm {
            identity: end.identity,
            image_len: end.image_len,
            read_back,
        };
        self.last_word = Some(LastWord {
            message,
            next: now,
            until: now + CONFIRM_FOR,
        });
    }

    /// Whether it is over for this receiver, told or not: what its disk still does no longer
    /// counts, as the sender's books say that it failed.
    pub(super) fn has_failed(&self) -> bool {
        self.is_over || self.last_word.is_some()
    }

    /// The receiver gives up; the sender is told until it answers.
    pub fn handle_failure(&mut self, now: Instant, code: FailCode, text: &str) {
        if self.stage == Stage::Complete || self.last_word.is_some() {
            return;
        }
        let message = ToSender::Fail {
            code,
            text: text.to_owned(),
        };
        self.last_word = Some(LastWord {
            message,
            next: now,
            until: now + FAIL_FOR,
        });
    }

    pub(super) fn poll_last_word(&mut self, now: Instant) -> Option<ToSender> {
        let word = self.last_word.as_mut()?;
        (now >= word.next && now < word.until).then(|| {
            word.next = now + REPEAT_EVERY;
            word.message.clone()
        })
    }

    /// The last word was repeated for long enough without an answer.
    pub(super) fn consider_leaving(&mut self, now: Instant) {
        let Some(word) = self.last_word.take_if(|word| now >= word.until) else {
            return;
        };
        self.over(match word.message {
            ToSender::Confirm { .. } => Event::Finished {
                acknowledged: false,
            },
            _ => Event::Left,
        });
    }

    /// Whether the image depends on the sender. What is on the disk is proved without it, however
    /// long that takes.
    pub(super) fn needs_sender(&self) -> bool {
        !matches!(self.stage, Stage::Verifying | Stage::Complete)
    }

    /// Nothing of the session was heard for too long.
    pub(super) fn consider_silence(&mut self, now: Instant) {
        let silent = now >= self.heard_at + self.config.idle_timeout;
        if silent && self.last_word.is_none() && !self.is_over && self.needs_sender() {
            let seconds = self.config.idle_timeout.as_secs_f64();
            let text = format!("nothing was heard of the sender for {seconds} s (--idle-timeout)");
            // It may still hear: perhaps only what is sent to the group is held back.
            self.handle_failure(now, FailCode::Silence, &text);
            self.over(Event::Failed(Failure {
                code: FailCode::Silence,
                text,
            }));
        }
    }

    /// The last event of the session; the first one counts.
    pub(super) fn over(&mut self, event: Event) {
        if !self.is_over || matches!(event, Event::Left) {
            self.is_over = true;
            self.events.push_back(event);
        }
    }
}
