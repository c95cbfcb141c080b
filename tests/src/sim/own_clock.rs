//! A machine's own clock: it may run fast or slow, stand still while the machine sleeps, and jump.
//!
//! The programs read a monotonic clock, so no jump goes backwards.

use std::time::{Duration, Instant};

/// Parts in a million: what a clock gains, or loses where it is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drift(pub i32);

/// What a clock shows, as a function of the room's time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OwnClock {
    /// When it was last meddled with, in the room's time, and what it showed; `None`: it shows the
    /// room's time.
    set: Option<(Instant, Instant)>,
    drift: Drift,
    asleep: bool,
}

const MILLION: u128 = 1_000_000;

impl OwnClock {
    /// What it shows.
    pub(super) fn shows(&self, now: Instant) -> Instant {
        let Some((set, shown)) = self.set else {
            return now;
        };
        if self.asleep {
            return shown;
        }
        let passed = now.saturating_duration_since(set).as_nanos();
        shown + nanos(passed * self.pace() / MILLION)
    }

    /// When it will show something, in the room's time; of a clock that stands still, as if it
    /// went on now.
    pub(super) fn when(&self, now: Instant, shows: Instant) -> Instant {
        let Some((set, shown)) = self.set else {
            return shows;
        };
        let from = if self.asleep { now } else { set };
        let to_pass = shows.saturating_duration_since(shown).as_nanos();
        // Rounded up, and up again for what `shows` rounds down: at that moment it is time.
        from + nanos((to_pass * MILLION).div_ceil(self.pace()) + 1)
    }

    /// From now on it gains or loses.
    pub(super) fn drift(&mut self, now: Instant, drift: Drift) {
        self.set = Some((now, self.shows(now)));
        self.drift = drift;
    }

    /// It jumps ahead.
    pub(super) fn jump(&mut self, now: Instant, ahead: Duration) {
        self.set = Some((now, self.shows(now) + ahead));
    }

    /// It stands still, as it does while a machine sleeps.
    pub(super) fn fall_asleep(&mut self, now: Instant) {
        self.set = Some((now, self.shows(now)));
        self.asleep = true;
    }

    /// It goes on, if it stood still.
    pub(super) fn wake_up(&mut self, now: Instant) {
        if self.asleep {
            self.set = Some((now, self.shows(now)));
            self.asleep = false;
        }
    }

    /// Millionths of a second that it shows for a second.
    fn pace(&self) -> u128 {
        MILLION.saturating_add_signed(self.drift.0.into())
    }
}

fn nanos(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).expect("rooms do not last for centuries"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_gains_jumps_and_stands_still() {
        let start = Instant::now();
        let mut clock = OwnClock::default();
        assert_eq!(clock.shows(start), start);
        clock.drift(start, Drift(1000));
        assert_eq!(clock.shows(start + ms(1000)), start + ms(1001));
        clock.jump(start + ms(1000), ms(99));
        assert_eq!(clock.shows(start + ms(2000)), start + ms(2101));
        clock.fall_asleep(start + ms(2000));
        assert_eq!(clock.shows(start + ms(9000)), start + ms(2101));
        clock.wake_up(start + ms(9000));
        assert_eq!(clock.shows(start + ms(10_000)), start + ms(3102));
    }

    #[test]
    fn what_it_will_show_it_shows_then() {
        let start = Instant::now();
        for drift in [-1000, -7, 0, 3, 1000] {
            let mut clock = OwnClock::default();
            clock.drift(start, Drift(drift));
            for wait in [0, 1, 999, 1_000_001, 123_456_789] {
                let wanted = start + Duration::from_nanos(wait);
                let when = clock.when(start, wanted);
                let shows = clock.shows(when);
                assert!(shows >= wanted, "{drift}: {:?}", wanted - shows);
                assert!(shows - wanted < Duration::from_nanos(4), "{drift}");
            }
        }
    }
}
