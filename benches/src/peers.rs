//! mimeo and the established tools, run in a [`Room`] for comparison.
//!
//! Every tool gets a [`Job`] and gives a [`PeerRun`] back, so rows of one table are
//! made the same way. Time runs from the first data that the
//! sender puts on the wire to the moment the last receiver says it is done;
//! rendezvous before and farewells after it do not count against a tool.

mod limit;
mod mimeo;
mod transfer;
mod udpcast;
mod uftp;
mod zstd_udpcast;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::netlab::{Host, Room};

pub use limit::limit;
pub use mimeo::{Mimeo, mimeo, receiver as mimeo_receiver, sender as mimeo_sender};
pub use transfer::prepare;
pub use udpcast::udpcast;
pub use uftp::uftp;
pub use zstd_udpcast::zstd_udpcast;

/// One transfer to every receiver of a room.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The network; all its receivers take part.
    pub room: &'a Room,
    /// The file to send.
    pub image: &'a Path,
    /// Where it goes.
    pub targets: &'a Targets,
    /// When to give up: the tools are known to wait for ever.
    pub timeout: Duration,
}

/// Where receivers put what they receive.
#[derive(Clone, Debug)]
pub enum Targets {
    /// Files below this directory, compared with the image and then removed. What earlier
    /// runs left for its filesystem to write is written before a run.
    Files(PathBuf),
    /// Nowhere.
    Discard,
}

impl Targets {
    /// The file that `host` writes, if any.
    #[must_use]
    pub fn file(&self, host: Host) -> Option<PathBuf> {
        match self {
            Self::Files(directory) => {
                Some(directory.join(format!("h{}", host.number())).join("image"))
            }
            Self::Discard => None,
        }
    }
}

/// CPU time in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cpu {
    /// In user mode.
    pub user: f64,
    /// In the kernel. On a virtual network the sender's holds what it costs to carry each
    /// datagram to every receiver's socket.
    pub system: f64,
}

impl Cpu {
    /// In both modes.
    #[must_use]
    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

/// What came of a transfer.
#[derive(Clone, Debug, Serialize)]
pub struct PeerRun {
    /// Name of the tool.
    pub tool: &'static str,
    /// How many receivers took part.
    pub receivers: u16,
    /// Length of the image.
    pub bytes: u64,
    /// From the first data to the last receiver's end; `None` when a receiver did
    /// not get that far.
    pub seconds: Option<f64>,
    /// CPU time of the sender.
    pub sender_cpu: Cpu,
    /// CPU time of all receivers together.
    pub receivers_cpu: Cpu,
    /// Peak resident memory of the largest process in bytes.
    pub max_rss: u64,
    /// Bytes that the sender's interface has sent, with all headers; too few by the
    /// headers of datagrams that went in one super-packet.
    pub wire_bytes: u64,
    /// Datagrams sent for each that a room without loss needs, where the tool tells.
    pub sent_per_needed: Option<f64>,
    /// True when all programs ended well and in time, and files equal the image.
    pub ok: bool,
    /// What was wrong, empty when all was well.
    pub note: String,
}

impl PeerRun {
    /// Notes that something was wrong.
    fn fail(&mut self, what: &str) {
        let separator = if self.note.is_empty() { "" } else { "; " };
        self.note += &format!("{separator}{what}");
        self.ok = false;
    }

    /// The image's length in GB (10^9 bytes).
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "exact to 2^53 bytes, and only for display"
    )]
    pub fn gigabytes(&self) -> f64 {
        self.bytes as f64 / 1e9
    }

    /// Image bits per second that every receiver got, in Gbit/s.
    #[must_use]
    pub fn gigabits_per_second(&self) -> Option<f64> {
        // What took less than a millisecond was not measured.
        let seconds = self.seconds.filter(|&seconds| seconds > 0.0)?;
        Some(self.gigabytes() * 8.0 / seconds)
    }
}
