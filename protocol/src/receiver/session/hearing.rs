//! Finds out whether the way lets announces pass and holds the session's own group back.

use std::time::{Duration, Instant};

/// The sender is heard, and its group is not, for this long: something on the way holds it back.
const NO_DATA: Duration = Duration::from_secs(10);

/// Announces come once a second. After a longer pause the sender was silent, or this machine did
/// not listen: it says nothing of the group that this was silent too.
const PAUSE: Duration = Duration::from_secs(3);

/// When what was heard.
#[derive(Debug)]
pub(super) struct Hearing {
    announced: Instant,
    /// When the first of the announces came that were heard without a pause and without a datagram
    /// of the group.
    alone_since: Option<Instant>,
    told: bool,
}

impl Hearing {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            announced: now,
            alone_since: None,
            told: false,
        }
    }

    /// A datagram of the group came.
    pub(super) fn on_group(&mut self) {
        self.alone_since = None;
    }

    /// An announce came. True, once, if the group has been missing for [`NO_DATA`].
    pub(super) fn on_announce(&mut self, now: Instant) -> bool {
        let paused = now.saturating_duration_since(self.announced) > PAUSE;
        self.announced = now;
        let since = match self.alone_since {
            Some(since) if !paused => since,
            _ => *self.alone_since.insert(now),
        };
        let missing = !self.told && now.saturating_duration_since(since) >= NO_DATA;
        self.told |= missing;
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn epoch() -> Instant {
        Instant::now()
    }

    /// How often it is told, where announces come at these seconds and the group at those.
    fn told(announces: &[u64], group: &[u64]) -> usize {
        let start = epoch();
        let mut hearing = Hearing::new(start);
        let told = |second| {
            // Announces are read before the group where both wait.
            let announced = announces.contains(&second);
            let told = announced && hearing.on_announce(start + Duration::from_secs(second));
            if group.contains(&second) {
                hearing.on_group();
            }
            told
        };
        (0..60).map(told).filter(|told| *told).count()
    }

    fn seconds(range: std::ops::Range<u64>) -> Vec<u64> {
        range.collect()
    }

    #[test]
    fn a_group_that_is_held_back_is_told_once() {
        assert_eq!(told(&seconds(0..60), &[]), 1);
        assert_eq!(told(&seconds(0..60), &seconds(0..40)), 1);
        // An announce may be lost.
        let thinned: Vec<u64> = seconds(0..60).into_iter().step_by(3).collect();
        assert_eq!(told(&thinned, &[]), 1);
    }

    #[test]
    fn a_group_that_is_heard_now_and_then_is_not_held_back() {
        let group: Vec<u64> = seconds(0..60).into_iter().step_by(9).collect();
        assert_eq!(told(&seconds(0..60), &group), 0);
    }

    #[test]
    fn after_a_silence_the_group_has_its_time_again() {
        // The sender, or this machine, stood still from the fifth second on; its first announce
        // comes before anything of the group.
        for length in [4, 9, 10, 11, 30] {
            let announces = [seconds(0..5), seconds(5 + length..60)].concat();
            let group = [seconds(0..5), seconds(6 + length..60)].concat();
            assert_eq!(told(&announces, &group), 0, "{length} s");
        }
    }
}
