//! Virtual time: a heap of events, and the moment that the newest of them set.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Events at one and the same moment that mean that somebody spins instead of waiting.
const SPINNING: u32 = 100_000;

/// What will happen, in order of time, and among equals in order of being scheduled.
#[derive(Debug)]
pub struct Timeline<E> {
    /// The protocol's moments are `Instant`s; only differences to this one ever matter.
    base: Instant,
    now: Duration,
    heap: BinaryHeap<Reverse<Entry<E>>>,
    scheduled: u64,
    at_this_moment: u32,
}

#[derive(Debug)]
struct Entry<E> {
    at: Duration,
    order: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.order)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<E> Default for Timeline<E> {
    fn default() -> Self {
        Self {
            // A day of room to look back from the beginning, as pacers do.
            base: Instant::now() + Duration::from_secs(86_400),
            now: Duration::ZERO,
            heap: BinaryHeap::new(),
            scheduled: 0,
            at_this_moment: 0,
        }
    }
}

impl<E> Timeline<E> {
    /// The present, as the protocol takes it.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.base + self.now
    }

    /// The present, since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now
    }

    /// Schedules an event; what should have happened in the past happens now.
    pub fn at(&mut self, moment: Instant, event: E) {
        let at = moment.saturating_duration_since(self.base).max(self.now);
        self.scheduled += 1;
        let order = self.scheduled;
        self.heap.push(Reverse(Entry { at, order, event }));
    }

    /// Schedules an event after a pause.
    pub fn after(&mut self, pause: Duration, event: E) {
        self.at(self.now() + pause, event);
    }

    /// Advances to the next event.
    ///
    /// # Panics
    ///
    /// If time stands still.
    pub fn advance(&mut self) -> Option<E> {
        let Reverse(entry) = self.heap.pop()?;
        let standing = entry.at == self.now;
        self.at_this_moment = if standing { self.at_this_moment + 1 } else { 0 };
        assert!(
            self.at_this_moment < SPINNING,
            "time stands still at {:?}",
            self.now
        );
        self.now = entry.at;
        Some(entry.event)
    }

    /// Events that are scheduled.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_then_of_scheduling() {
        let mut timeline = Timeline::default();
        for (ms, name) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            timeline.after(Duration::from_millis(ms), name);
        }
        let order: String = std::iter::from_fn(|| timeline.advance()).collect();
        assert_eq!(order, "abcd");
        assert_eq!(timeline.elapsed(), Duration::from_millis(5));
    }

    #[test]
    fn the_past_is_now() {
        let mut timeline = Timeline::default();
        timeline.after(Duration::from_millis(5), ());
        let early = timeline.now();
        timeline.advance();
        timeline.at(early, ());
        timeline.advance();
        assert_eq!(timeline.elapsed(), Duration::from_millis(5));
    }
}
