//! Rates that do not flicker, and how long it will still take.

use std::time::Duration;

/// Time constant of the averages: a rate that changed is shown to 63 % after this long.
const SMOOTHING: Duration = Duration::from_secs(3);

/// An estimate beyond this is no help.
const LONGEST: Duration = Duration::from_secs(100 * 3600);

/// What a value that was taken `step` after the one before counts in an exponential average:
/// 0 to 1.
#[must_use]
pub fn weight(step: Duration) -> f64 {
    1.0 - (-step.as_secs_f64() / SMOOTHING.as_secs_f64()).exp()
}

/// How long `bytes` still take at a rate in bit/s; nothing where that is no help.
#[must_use]
pub fn remaining(bytes: u64, rate: f64) -> Option<Duration> {
    let bits = bytes as f64 * 8.0;
    Duration::try_from_secs_f64(bits / rate)
        .ok()
        .filter(|time| *time <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_the_more_the_longer_nothing_was_heard() {
        assert!(weight(Duration::ZERO).abs() < 1e-9);
        assert!((weight(SMOOTHING) - 0.632).abs() < 0.001);
        assert!((weight(Duration::from_secs(3600)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_estimate_that_is_no_help_is_not_given() {
        assert_eq!(
            remaining(1_000_000, 8e6),
            Some(Duration::from_secs(1)),
            "bytes at bit/s"
        );
        assert_eq!(remaining(1, 0.0), None);
        assert_eq!(remaining(0, 0.0), None);
        assert_eq!(remaining(u64::MAX, 1.0), None);
        assert_eq!(remaining(100 * 3600, 8.0), Some(LONGEST));
        assert_eq!(remaining(100 * 3600 + 1, 8.0), None);
    }
}
