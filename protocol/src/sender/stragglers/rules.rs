//! What the operator wants of slow receivers.

use std::time::Duration;

/// What becomes of a receiver that is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowPolicy {
    /// It keeps what it catches and is served in a later cycle.
    #[default]
    Demote,
    /// The room waits for it.
    Wait,
    /// It is sent away.
    Drop,
}

/// When a receiver is too slow, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowRules {
    /// What becomes of it.
    pub policy: SlowPolicy,
    /// The sender must have waited for it for this long.
    pub after: Duration,
    /// It takes less than this share of what all others could take: 0 to 1.
    pub below: f64,
}

impl Default for SlowRules {
    fn default() -> Self {
        Self {
            policy: SlowPolicy::Demote,
            after: Duration::from_millis(500),
            below: 0.5,
        }
    }
}
