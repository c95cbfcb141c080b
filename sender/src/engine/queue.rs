//! Work for the encoders: repairs before reading ahead, and that before what can wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mimeo_image::image_file::Located;
use mimeo_protocol::block::{BlockDigest, Level};
use mimeo_protocol::manifest::{Entry, Run, StoredBlock};
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
    /// Digest a run that was not read; it is cut into parts.
    Zeros { place: Place, count: u32 },
    /// Have the symbols of a share at hand, of a block on which this level was tried.
    Fetch { fetch: Fetch, level: Level },
}

/// What an encoder made of a block.
#[derive(Debug)]
pub(super) enum Encoded {
    /// A block that is sent.
    Body {
        stored: StoredBlock,
        /// The level that was tried.
        level: Level,
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
    /// Only the end of the session needs their digests.
    runs: Runs,
    closed: bool,
}

impl Queues {
    fn next(&mut self) -> Option<Work> {
        if let Some(urgent) = self.urgent.pop_front() {
            return Some(urgent);
        }
        if self.runs.are_many() {
            return self.runs.pop();
        }
        let ahead = self.ahead.pop_front();
        ahead.or_else(|| self.runs.pop())
    }
}

/// Blocks of a run that are digested at once: 256 x 27 us of hashing, which a repair waits for. A
/// power of two, so that subtrees are not cut.
const DIGESTED_AT_ONCE: u32 = 256;

/// Short runs that wait for their digests, at most: then they go before what is read, of which they
/// take little time. A disk of 8 TB may have 15 million of them.
const MANY_RUNS: usize = 16_384;

/// Runs that wait for their digests. Those that are digested at once go first, for each of them keeps
/// the digests of what lies before and behind it apart; longer ones are few, two numbers for each 64 MiB.
#[derive(Debug, Default)]
struct Runs {
    short: VecDeque<Run>,
    long: VecDeque<Run>,
}

impl Runs {
    /// Adds the next run in the order of places.
    fn push(&mut self, mut run: Run) {
        for queue in [&mut self.short, &mut self.long] {
            if let Some(&last) = queue.back()
                && last.place.0 + last.count == run.place.0
            {
                queue.pop_back();
                run = Run {
                    place: last.place,
                    count: last.count + run.count,
                };
                break;
            }
        }
        let queue = if run.count <= DIGESTED_AT_ONCE {
            &mut self.short
        } else {
            &mut self.long
        };
        queue.push_back(run);
    }

    fn are_many(&self) -> bool {
        self.short.len() > MANY_RUNS
    }

    /// A part of the next one.
    fn pop(&mut self) -> Option<Work> {
        let queue = if self.short.is_empty() {
            &mut self.long
        } else {
            &mut self.short
        };
        let run = queue.front_mut()?;
        let place = run.place;
        let next = (place.0 + 1).next_multiple_of(DIGESTED_AT_ONCE);
        let count = run.count.min(next - place.0);
        run.place.0 += count;
        run.count -= count;
        if run.count == 0 {
            queue.pop_front();
        }
        Some(Work::Zeros { place, count })
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
            Work::Zeros { place, count } => queues.runs.push(Run { place, count }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(place: u32, count: u32) -> Run {
        Run {
            place: Place(place),
            count,
        }
    }

    fn all(runs: &mut Runs) -> Vec<(u32, u32)> {
        let parts = std::iter::from_fn(|| runs.pop());
        let part = |work| match work {
            Work::Zeros { place, count } => (place.0, count),
            other => unreachable!("{other:?}"),
        };
        parts.map(part).collect()
    }

    #[test]
    fn runs_are_digested_in_parts_the_short_ones_first() {
        let mut runs = Runs::default();
        for (place, count) in [
            (2, 600),
            (700, 3),
            (703, 2),
            (710, 250),
            (961, 6),
            (967, 44),
        ] {
            runs.push(run(place, count));
        }
        let long = [(2, 254), (256, 256), (512, 90)];
        let short = [(700, 5), (710, 58), (768, 192), (961, 50)];
        assert_eq!(all(&mut runs), [&short[..], &long[..]].concat());
        assert!(runs.short.is_empty() && runs.long.is_empty());
    }

    #[test]
    fn pieces_of_a_long_run_are_one() {
        let mut runs = Runs::default();
        for place in (0..100_000).step_by(100) {
            runs.push(run(place, 100));
        }
        assert_eq!((runs.short.len(), runs.long.len()), (0, 1));
        assert_eq!(all(&mut runs).len(), 100_000_usize.div_ceil(256));
    }

    #[test]
    fn many_short_runs_go_before_what_is_read() {
        let mut queues = Queues::default();
        let read = |order| Work::Read {
            order,
            place: Place(0),
            len: 1,
            only: false,
        };
        queues.ahead.extend((0..10).map(read));
        for at in 0..=MANY_RUNS {
            queues.runs.push(run(2 * u32::try_from(at).unwrap(), 1));
        }
        assert!(matches!(queues.next(), Some(Work::Zeros { .. })));
        assert!(matches!(queues.next(), Some(Work::Read { order: 0, .. })));
        assert_eq!(queues.runs.short.len(), MANY_RUNS);
    }
}
