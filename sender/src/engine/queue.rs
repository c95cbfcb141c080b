//! Work for the encoders: repairs before reading ahead, and that before what can wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mimeo_image::image_file::Located;
use mimeo_protocol::block::{BlockDigest, Coding, Level};
use mimeo_protocol::manifest::{Entry, StoredBlock};
use mimeo_protocol::sender::Fetch;
use mimeo_protocol::units::Place;

use super::pool::Buffer;

/// Number of an item in the order of places; results are put back into it.
pub(super) type Order = u64;

/// What an encoder does.
#[derive(Debug)]
pub(super) enum Work {
    /// Read a block from the disk, digest and compress it.
    Read {
        order: Order,
        place: Place,
        len: usize,
        only: bool,
    },
    /// Load a block of an image file, which is compressed.
    Load { order: Order, located: Located },
    /// Digest and compress a block that was read from a stream.
    Encode {
        order: Order,
        place: Place,
        raw: Buffer,
        only: bool,
    },
    /// Digest a part of a run that was not read.
    Zeros { place: Place, count: u32 },
    /// Have the symbols of a share at hand.
    Fetch { fetch: Fetch, expected: Expected },
}

/// What a block was when it was sent first: a source that changed since is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) digest: BlockDigest,
    pub(super) coding: Coding,
    pub(super) level: Level,
    pub(super) raw_len: u32,
    pub(super) only: bool,
}

/// What an encoder made of a block.
#[derive(Debug)]
pub(super) enum Encoded {
    /// A block that is sent.
    Body {
        stored: StoredBlock,
        /// The level that was tried.
        level: Level,
        raw_len: u32,
        only: bool,
        body: Bytes,
    },
    /// A block of zeros that was read.
    Zero { place: Place, digest: BlockDigest },
    /// A run that was not read. Its digest comes later.
    Run(Entry),
}

#[derive(Debug, Default)]
struct Queues {
    urgent: VecDeque<Work>,
    ahead: VecDeque<Work>,
    /// Only the end of the session needs it. Two numbers for each 64 MiB.
    spare: VecDeque<Work>,
    closed: bool,
}

impl Queues {
    fn next(&mut self) -> Option<Work> {
        let urgent = self.urgent.pop_front();
        let ahead = || self.ahead.pop_front();
        urgent.or_else(ahead).or_else(|| self.spare.pop_front())
    }
}

/// A queue with three priorities, shared by the encoders.
#[derive(Debug, Default)]
pub(super) struct WorkQueue {
    queues: Mutex<Queues>,
    filled: Condvar,
}

impl WorkQueue {
    /// Adds work; repairs go first, digests of runs last.
    pub(super) fn push(&self, work: Work) {
        let mut queues = self.lock();
        match work {
            Work::Fetch { .. } => queues.urgent.push_back(work),
            Work::Zeros { .. } => queues.spare.push_back(work),
            Work::Read { .. } | Work::Load { .. } | Work::Encode { .. } => {
                queues.ahead.push_back(work);
            }
        }
        drop(queues);
        self.filled.notify_one();
    }

    /// The next work; `None` once the queue is closed.
    pub(super) fn pop(&self) -> Option<Work> {
        let mut queues = self.lock();
        loop {
            if queues.closed {
                return None;
            }
            if let Some(work) = queues.next() {
                return Some(work);
            }
            queues = self
                .filled
                .wait(queues)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the encoders.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Limits how far reading runs ahead of sending.
#[derive(Debug)]
pub(super) struct Allowance {
    left: Mutex<Option<usize>>,
    freed: Condvar,
}

impl Allowance {
    /// An allowance of so many items.
    pub(super) fn new(items: usize) -> Self {
        Self {
            left: Mutex::new(Some(items)),
            freed: Condvar::new(),
        }
    }

    /// Takes one, waiting for it; false once the allowance was withdrawn.
    pub(super) fn take(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &mut *left {
                None => return false,
                Some(0) => {
                    left = self
                        .freed
                        .wait(left)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Some(items) => {
                    *items -= 1;
                    return true;
                }
            }
        }
    }

    /// Gives one back.
    pub(super) fn give(&self) {
        if let Some(items) = &mut *self.left.lock().unwrap_or_else(PoisonError::into_inner) {
            *items += 1;
        }
        self.freed.notify_one();
    }

    /// Ends all waiting.
    pub(super) fn withdraw(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.freed.notify_all();
    }
}
