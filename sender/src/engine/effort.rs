//! How hard to try to compress: what the network has time for.
//!
//! On a Gigabit a processor compresses faster than the network takes the result, and every byte
//! that is saved is time that is saved. On a network of 10 Gbit/s, or for a slow processor, sending
//! a block as it is takes less time than compressing it. Which of the two it is shows in how far
//! the encoders are ahead of what is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mimeo_protocol::block::Level;

/// With so many blocks ahead, the network is what is waited for. The session takes 128 in ahead, of
/// which up to 63 stand in a page that is not full and cannot be sent yet.
const PLENTY: u32 = 112;

/// With fewer, blocks are sent as they are: a group of 16 and that page.
const FEW: u32 = 80;

/// What the session tells the encoders; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Effort {
    configured: Level,
    ahead: Arc<AtomicU32>,
}

impl Effort {
    /// The default level is the most that is tried; any other is what the operator asked for.
    pub(super) fn new(configured: Level) -> Self {
        Self {
            configured,
            ahead: Arc::new(AtomicU32::new(u32::MAX)),
        }
    }

    /// So many blocks are encoded and not begun; `None` while nothing is sent yet.
    pub(super) fn set_ahead(&self, blocks: Option<u32>) {
        // A hint that may be late: nothing else is read by it.
        self.ahead
            .store(blocks.unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// The level of the next block.
    pub(super) fn level(&self) -> Level {
        if self.configured != Level::DEFAULT {
            return self.configured;
        }
        match self.ahead.load(Ordering::Relaxed) {
            PLENTY.. => Level::DEFAULT,
            FEW.. => Level::FAST,
            _ => Level::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_gives_way_to_a_fast_network_and_other_levels_do_not() {
        let levels = |effort: &Effort| {
            [
                None,
                Some(200),
                Some(112),
                Some(111),
                Some(80),
                Some(79),
                Some(0),
            ]
            .map(|ahead| {
                effort.set_ahead(ahead);
                effort.level()
            })
        };
        let (full, fast, none) = (Level::DEFAULT, Level::FAST, Level::NONE);
        assert_eq!(
            levels(&Effort::new(Level::DEFAULT)),
            [full, full, full, fast, fast, none, none]
        );
        for asked in [Level::NONE, Level::FAST, Level::MAX] {
            assert_eq!(levels(&Effort::new(asked)), [asked; 7]);
        }
    }
}
