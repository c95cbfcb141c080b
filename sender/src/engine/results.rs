//! What the reader and the encoders make, on its way to the session.

use std::sync::mpsc;

use bytes::Bytes;
use mimeo_image::source::SourceError;
use mimeo_net::Waker;
use mimeo_protocol::block::ZerosDigest;
use mimeo_protocol::sender::{Fetch, Rows};
use mimeo_protocol::units::Place;

use super::queue::{Encoded, Order};

/// What the threads send to the session.
#[derive(Debug)]
pub(super) enum Produced {
    /// A block or a run.
    Item { order: Order, encoded: Encoded },
    /// The digest of a part of a run.
    Zeros { place: Place, digest: ZerosDigest },
    /// All items below this order were handed out.
    End { order: Order, image_len: u64 },
    /// The symbols of a share.
    Fetched {
        fetch: Fetch,
        body: Bytes,
        rows: Rows,
    },
    /// The source failed.
    Failed(SourceError),
    /// The source holds something else than when it was read first.
    Changed { place: Place },
}

/// The way to the session: a channel that wakes it.
#[derive(Debug, Clone)]
pub(super) struct Results {
    channel: mpsc::Sender<Produced>,
    waker: Waker,
}

/// A way to a session that `waker` wakes, and its end there.
pub(super) fn results(waker: Waker) -> (Results, mpsc::Receiver<Produced>) {
    let (channel, end) = mpsc::channel();
    (Results { channel, waker }, end)
}

impl Results {
    pub(super) fn send(&self, produced: Produced) {
        // A session that is over does not listen any more.
        if self.channel.send(produced).is_ok() {
            self.waker.wake();
        }
    }
}
