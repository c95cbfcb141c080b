//! What came of a room.

use std::time::Duration;

use mimeo_protocol::sender::Counters;

/// Figures of one room. The same setting gives the same figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// From the first data to the last confirmation.
    pub time: Duration,
    /// From the first data to the last confirmation of those that were never served later.
    pub others: Duration,
    /// When the last receiver joined, from the first data on; zero where all joined before.
    pub last_join: Duration,
    /// What the sender sent.
    pub counters: Counters,
    /// Block symbols that were of no use to any receiver.
    pub needless_symbols: u64,
    /// Blocks that a later cycle sent and that were of no use to any receiver.
    pub needless_blocks: u64,
    /// Datagrams that receivers sent in the time above.
    pub feedback: u64,
    /// The most of them in a second: one of those that follow each other from the first data on.
    pub feedback_peak: u64,
    /// Cycles.
    pub cycles: u32,
    /// The most bytes that the sender's session held for a receiver.
    pub state_bytes: usize,
}

impl Figures {
    /// Symbols sent for each that is needed, less one.
    #[must_use]
    pub fn overhead(&self) -> f64 {
        let counters = self.counters;
        let sent = counters.pass_symbols + counters.repair_symbols + counters.page_symbols;
        sent as f64 / counters.symbols_needed as f64 - 1.0
    }

    /// Feedback datagrams per second, over the whole time.
    #[must_use]
    pub fn feedback_rate(&self) -> f64 {
        self.feedback as f64 / self.time.as_secs_f64()
    }
}
