//! What is sent in a room.

use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::{PageStore, PagesInMemory, Parity, SlowRules, StartPolicy};
use mimeo_protocol::wire::Auth;

use super::Image;

/// What the sender sends and how.
#[derive(Debug, Clone)]
pub struct RoomConfig {
    /// All luck comes from here.
    pub seed: u64,
    /// What is sent.
    pub image: Image,
    /// Whether the sender knows the length beforehand.
    pub length_known: bool,
    /// Whether the source can be read again.
    pub seekable: bool,
    /// When to start.
    pub start: StartPolicy,
    /// Never faster.
    pub rate_cap: Option<Rate>,
    /// Repair symbols in advance.
    pub parity: Parity,
    /// What becomes of slow receivers.
    pub slow: SlowRules,
    /// How long to stay for late receivers.
    pub linger: Duration,
    /// How long to stay for lost receivers.
    pub lost_timeout: Duration,
    /// What admits receivers.
    pub auth: Auth,
    /// Where the sender keeps its manifest.
    pub pages: fn() -> Box<dyn PageStore>,
}

impl RoomConfig {
    /// An image that is sent from a file, in an open session.
    #[must_use]
    pub fn new(seed: u64, image: Image) -> Self {
        Self {
            seed,
            image,
            length_known: true,
            seekable: true,
            start: StartPolicy::default(),
            rate_cap: Some(Rate(1_000_000_000)),
            parity: Parity::Auto,
            slow: SlowRules::default(),
            linger: Duration::ZERO,
            lost_timeout: Duration::ZERO,
            auth: Auth::Open,
            pages: || Box::<PagesInMemory>::default(),
        }
    }

    /// The same image from a pipe.
    #[must_use]
    pub fn stream(self) -> Self {
        Self {
            length_known: false,
            seekable: false,
            ..self
        }
    }
}
