//! What mimeo's programs wrote with `--report`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A sender's report, as far as it is used here.
#[derive(Clone, Debug, Deserialize)]
pub struct SenderReport {
    /// The name of the exit code.
    pub result: String,
    /// The exit code.
    pub exit_code: u8,
    /// What went wrong.
    pub error: Option<String>,
    /// Since the program started.
    pub elapsed_seconds: f64,
    /// From the first data to the last confirmation.
    pub transfer_seconds: f64,
    /// Length of the image.
    pub image_bytes: Option<u64>,
    /// Bytes of the image that are unused and were not sent; older builds do not say.
    #[serde(default)]
    pub bytes_unused: u64,
    /// BLAKE3 of the image in hexadecimal.
    pub digest: Option<String>,
    /// Identity of the image in hexadecimal.
    pub identity: Option<String>,
    /// What was sent.
    pub counters: Counters,
    /// The receivers by number.
    pub receivers: Vec<ReceiverLine>,
}

/// Datagrams of a session.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Counters {
    /// Source symbols of all blocks and pages.
    pub symbols_needed: u64,
    /// Block symbols sent in passes.
    pub pass_symbols: u64,
    /// Block symbols sent as repairs.
    pub repair_symbols: u64,
    /// Manifest symbols sent.
    pub page_symbols: u64,
    /// Reports that came in.
    pub reports: u64,
    /// Datagrams that could not be read.
    pub strays: u64,
}

/// What a sender says about a receiver.
#[derive(Clone, Debug, Deserialize)]
pub struct ReceiverLine {
    /// Its number in the session.
    pub number: u16,
    /// Its IP address and port.
    pub address: String,
    /// `confirmed`, `failed`, `lost` and so on.
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Share of the datagrams to it that were lost, 0..=1.
    pub loss: f64,
    /// Bytes of the image that its target held already.
    pub bytes_kept: u64,
    /// How its target was read back, if it was.
    pub read_back: Option<String>,
    /// What made it slow, if it was found to be.
    pub slow: Option<String>,
    /// From the start of the session to its confirmation or failure.
    pub finished_seconds: Option<f64>,
}

/// A receiver's report, as far as it is used here.
#[derive(Clone, Debug, Deserialize)]
pub struct ReceiverReport {
    /// The name of the exit code.
    pub result: String,
    /// The exit code.
    pub exit_code: u8,
    /// What went wrong.
    pub error: Option<String>,
    /// Sessions that it was a member of, one after another.
    pub sessions: u32,
    /// Bytes of the image that were written.
    pub bytes_written: u64,
    /// Bytes of the image that the target held already.
    pub bytes_kept: u64,
    /// Bytes of the image that are unused; older builds do not say.
    #[serde(default)]
    pub bytes_unused: u64,
    /// Blocks that could not be read to be compared.
    pub unreadable_blocks: u32,
    /// Blocks that failed their digest and were mended.
    pub bad_blocks: u32,
    /// Symbols of them that were not the sender's.
    pub forged_symbols: u32,
    /// Pages, digests of symbols and end records that the sender had not signed.
    pub forged: u64,
    /// Datagrams that could not be read.
    pub strays: u64,
    /// BLAKE3 of the image in hexadecimal.
    pub digest: Option<String>,
    /// Identity of the image in hexadecimal.
    pub identity: Option<String>,
    /// How the target was read back, if it was.
    pub read_back: Option<String>,
}

impl Counters {
    /// Datagrams sent for each that a room without loss needs; [`None`] when it needs
    /// none, as for an image of zeros.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact to 2^53 datagrams")]
    pub fn sent_per_needed(&self) -> Option<f64> {
        let sent = self.pass_symbols + self.repair_symbols + self.page_symbols;
        (self.symbols_needed > 0).then(|| sent as f64 / self.symbols_needed as f64)
    }
}

impl SenderReport {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// There is none, or it is not what a sender writes.
    pub fn read(path: &Path) -> Result<Self> {
        read(path)
    }
}

impl ReceiverReport {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// There is none, or it is not what a receiver writes.
    pub fn read(path: &Path) -> Result<Self> {
        read(path)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("there is no report {path:?}"))?;
    serde_json::from_slice(&text).with_context(|| format!("the report {path:?} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overhead_counts_everything_that_carries_the_image() {
        let counters = Counters {
            symbols_needed: 1000,
            pass_symbols: 990,
            repair_symbols: 20,
            page_symbols: 40,
            reports: 7,
            strays: 0,
        };
        assert_eq!(counters.sent_per_needed(), Some(1.05));
        let nothing = Counters {
            symbols_needed: 0,
            ..counters
        };
        assert_eq!(nothing.sent_per_needed(), None);
    }
}
