//! Bounding dirty pages.
//!
//! Left alone, the kernel lets a fifth of the memory fill with dirty pages,
//! then stops the writer for seconds, and takes minutes to flush at the end:
//! the credit a receiver grants would be a lie and its progress too. So
//! writeback is started early, and the writer waits for its own older pages.

use std::collections::VecDeque;
use std::ops::Range;

/// Writeback starts whenever this much was written: 8 MiB are 32 blocks, large
/// enough for sequential transfers, 60 ms of a disk that writes 130 MB/s.
pub(super) const WINDOW: u64 = 8 << 20;

/// The most bytes that may be dirty or under writeback, 128 MiB: 16 windows, so
/// that a disk which writes 130 MB/s always has a second's work queued and a
/// flush at the end takes about a second. Smaller stalls fast disks, larger
/// makes credit and progress lie and needs the memory of small machines.
pub const MAX_DIRTY: u64 = 128 << 20;

/// What to do with a range of the file, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Start writeback and return.
    Start(Range<u64>),
    /// Wait until it is on the disk.
    Wait(Range<u64>),
}

/// Keeps account of what was written and not yet waited for. It makes no
/// system call itself.
#[derive(Debug, Default)]
pub(super) struct DirtyPages {
    filling: Window,
    started: VecDeque<Window>,
    started_bytes: u64,
}

/// Ranges written one after the other; neighbours are merged.
#[derive(Debug, Default)]
struct Window {
    ranges: Vec<Range<u64>>,
    bytes: u64,
}

impl Window {
    fn add(&mut self, range: Range<u64>) {
        self.bytes += range.end - range.start;
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }
}

impl DirtyPages {
    /// Notes that `range` was written, at most [`WINDOW`] bytes, and adds what
    /// is to be done now to `steps`.
    ///
    /// After those steps at most [`MAX_DIRTY`] bytes are dirty: fewer than one
    /// window being filled, and started ones up to the rest.
    pub(super) fn record(&mut self, range: Range<u64>, steps: &mut Vec<Step>) {
        debug_assert!(range.end - range.start <= WINDOW);
        self.filling.add(range);
        if self.filling.bytes < WINDOW {
            return;
        }
        let full = std::mem::take(&mut self.filling);
        steps.extend(full.ranges.iter().cloned().map(Step::Start));
        self.started_bytes += full.bytes;
        self.started.push_back(full);
        while self.started_bytes > MAX_DIRTY - WINDOW {
            let Some(oldest) = self.started.pop_front() else {
                break;
            };
            self.started_bytes -= oldest.bytes;
            steps.extend(oldest.ranges.into_iter().map(Step::Wait));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_are_started_as_one_range() {
        let mut pages = DirtyPages::default();
        let mut steps = Vec::new();
        let block = 256 << 10;
        for index in 0..32 {
            assert!(steps.is_empty());
            pages.record(index * block..(index + 1) * block, &mut steps);
        }
        assert_eq!(steps, [Step::Start(0..WINDOW)]);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_is_dirty(
            writes in prop::collection::vec((0_u64..1 << 40, 1..=WINDOW), 1..200)
        ) {
            let mut pages = DirtyPages::default();
            let (mut dirty, mut started) = (0, 0);
            for (offset, len) in writes {
                let mut steps = Vec::new();
                pages.record(offset..offset + len, &mut steps);
                dirty += len;
                for step in steps {
                    match step {
                        Step::Start(range) => started += range.end - range.start,
                        Step::Wait(range) => {
                            dirty -= range.end - range.start;
                            started -= range.end - range.start;
                        }
                    }
                }
                prop_assert!(dirty <= MAX_DIRTY, "{dirty} bytes are dirty");
                prop_assert!(dirty - started < WINDOW, "writeback is started late");
            }
        }
    }
}
