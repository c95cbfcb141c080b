//! Decompresses blocks before they are asked for, on all processors, where somebody reads on and on.
//!
//! The kernel asks for 128 KiB at a time, half a block, and for little ahead of that: without this one
//! processor would decompress while the others wait.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mimeo_image::image_file::{BLOCK_SIZE, ImageFile};
use mimeo_image::used::ReadAt;

/// Who reads on and on is remembered for so many others.
const STREAMS: usize = 8;

/// Blocks ahead of who has read on for some time: with [`STREAMS`] of them, not more than the image
/// file keeps.
const MAX_AHEAD: u64 = 8;

/// Threads; more would wait for one another's blocks.
const WORKERS: std::ops::RangeInclusive<usize> = 2..=8;

/// An image file whose blocks are read ahead.
#[derive(Debug)]
pub(super) struct ReadAhead {
    file: Arc<ImageFile>,
    streams: Mutex<Streams>,
    wanted: SyncSender<u64>,
}

impl ReadAhead {
    /// Starts the threads, which end when it is dropped.
    pub(super) fn start(file: Arc<ImageFile>) -> io::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let (wanted, to_do) = mpsc::sync_channel(STREAMS * MAX_AHEAD as usize);
        let to_do = Arc::new(Mutex::new(to_do));
        for _ in 0..processors.clamp(*WORKERS.start(), *WORKERS.end()) {
            let (file, to_do) = (Arc::clone(&file), Arc::clone(&to_do));
            let next = move || to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
            thread::Builder::new()
                .name("ahead".to_owned())
                .spawn(move || {
                    while let Ok(block) = next() {
                        // It is kept in the file; an error is told to who asks for it.
                        let _ = file.read_at(block * BLOCK_SIZE as u64, &mut [0]);
                    }
                })?;
        }
        Ok(Self {
            file,
            streams: Mutex::default(),
            wanted,
        })
    }
}

impl ReadAt for ReadAhead {
    fn size(&self) -> u64 {
        self.file.disk_len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let blocks =
            offset / BLOCK_SIZE as u64..(offset + buffer.len() as u64).div_ceil(BLOCK_SIZE as u64);
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = streams.on_read(blocks);
        drop(streams);
        let end = self.size().div_ceil(BLOCK_SIZE as u64);
        for block in ahead.start..ahead.end.min(end) {
            // Where the threads are that far behind, nothing is gained.
            let _ = self.wanted.try_send(block);
        }
        self.file.read_exact_at(offset, buffer)
    }
}

/// Those who read on and on.
#[derive(Debug, Default)]
struct Streams(VecDeque<Stream>);

#[derive(Clone, Copy, Debug)]
struct Stream {
    /// The block behind what was read.
    next: u64,
    /// The block behind what is to be read ahead.
    told: u64,
    /// How far ahead; grows as it goes on.
    ahead: u64,
}

impl Streams {
    /// These blocks are read. Returns which ones are to be read ahead.
    fn on_read(&mut self, blocks: Range<u64>) -> Range<u64> {
        let goes_on = |it: &Stream| (it.next - 1..=it.next).contains(&blocks.start);
        let known = self.0.iter().position(goes_on);
        let stream = known.and_then(|index| self.0.remove(index));
        let mut stream = stream.unwrap_or(Stream {
            next: blocks.end,
            told: blocks.end,
            ahead: 1,
        });
        let mut ahead = 0..0;
        // Reading about in one block is no reading on.
        if blocks.end > stream.next {
            stream.next = blocks.end;
            stream.ahead = (2 * stream.ahead).min(MAX_AHEAD);
            let end = stream.next + stream.ahead;
            ahead = stream.told.max(stream.next)..end;
            stream.told = stream.told.max(end);
        }
        if self.0.len() == STREAMS {
            self.0.pop_front();
        }
        self.0.push_back(stream);
        ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_on_is_read_ahead_of() {
        let mut streams = Streams::default();
        // Halves of blocks, as the kernel asks for them.
        let mut ahead = Vec::new();
        for block in 10..20 {
            for _ in 0..2 {
                let range = streams.on_read(block..block + 1);
                ahead.extend(range);
            }
        }
        assert_eq!(ahead, (12..28).collect::<Vec<_>>());
    }

    #[test]
    fn who_reads_here_and_there_is_not() {
        let mut streams = Streams::default();
        for block in [7, 3, 99, 12, 3, 7, 3, 50] {
            assert!(streams.on_read(block..block + 1).is_empty());
        }
    }

    #[test]
    fn several_are_told_apart() {
        let mut streams = Streams::default();
        let mut most = 0;
        for step in 0..6 {
            for stream in 0..STREAMS as u64 {
                let block = stream * 1000 + step;
                let ahead = streams.on_read(block..block + 1);
                most = most.max(ahead.end.saturating_sub(block));
                assert!(ahead.is_empty() || ahead.start > block);
            }
        }
        assert_eq!(most, 1 + MAX_AHEAD);
    }
}
