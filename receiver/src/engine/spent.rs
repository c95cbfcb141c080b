//! What the parts of the receiver do with their time, for the sender to see what makes it slow.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mimeo_image::target::Medium;
use mimeo_protocol::wire::Effort;

/// Since when a write has been under way, which may never end; of one writer, read by another
/// thread.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteClock(Arc<Mutex<Option<Instant>>>);

impl WriteClock {
    /// Does a write. Returns what came of it and how long it took.
    pub(super) fn time<T>(&self, write: impl FnOnce() -> T) -> (T, Duration) {
        let begun = Instant::now();
        self.set(Some(begun));
        let done = write();
        self.set(None);
        (done, begun.elapsed())
    }

    /// How long the write under way has lasted.
    pub(super) fn writing(&self, now: Instant) -> Duration {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// Totals since the receiver joined.
#[derive(Debug)]
pub(super) struct Spent {
    awake: Duration,
    /// Since when the session's thread has been awake; `None` while it sleeps.
    since: Option<Instant>,
    decoding: Duration,
    medium: Medium,
}

impl Spent {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            awake: Duration::ZERO,
            since: Some(now),
            decoding: Duration::ZERO,
            medium: Medium::default(),
        }
    }

    pub(super) fn set_medium(&mut self, medium: Medium) {
        self.medium = medium;
    }

    pub(super) fn on_asleep(&mut self, now: Instant) {
        self.awake = self.awake(now);
        self.since = None;
    }

    pub(super) fn on_awake(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// The writer has decoded a block.
    pub(super) fn on_decoded(&mut self, time: Duration) {
        self.decoding += time;
    }

    fn awake(&self, now: Instant) -> Duration {
        let open = self.since.map(|since| now.saturating_duration_since(since));
        self.awake + open.unwrap_or_default()
    }

    /// As a report wants it.
    pub(super) fn effort(&self, now: Instant) -> Effort {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let taken = self.medium.taken();
        Effort {
            decode_ms: ms(self.decoding),
            session_ms: ms(self.awake(now)),
            disk_bytes: taken.bytes,
            disk_ms: ms(taken.busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_does_not_end_is_seen_by_others() {
        let clock = WriteClock::default();
        let later = |by| Instant::now() + Duration::from_secs(by);
        assert_eq!(clock.writing(later(100)), Duration::ZERO);
        let others = clock.clone();
        let (seen, _) = clock.time(|| others.writing(later(100)));
        assert!(seen >= Duration::from_secs(99), "{seen:?}");
        assert_eq!(clock.writing(later(100)), Duration::ZERO, "it is over");
    }

    #[test]
    fn sleep_is_no_work() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut spent = Spent::new(start);
        spent.on_asleep(at(10));
        assert_eq!(spent.effort(at(500)).session_ms, 10);
        spent.on_awake(at(1000));
        spent.on_decoded(Duration::from_millis(7));
        let effort = spent.effort(at(1005));
        assert_eq!((effort.session_ms, effort.decode_ms), (15, 7));
    }
}
