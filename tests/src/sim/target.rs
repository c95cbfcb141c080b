//! A receiver's disk and what stands before it: decode, check, write.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use mimeo_protocol::block::{Decoder, is_zero};
use mimeo_protocol::manifest::{Run, StoredBlock};
use mimeo_protocol::receiver::{
    Assembled, Difference, Finding, ReadBack, ReadBackPlan, Unused, Zeroed,
};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Place};

use super::Image;

/// What goes wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Writing fails after this many bytes.
    FailsAfter(u64),
    /// The first this many blocks that are read back from memory have a bit flipped.
    BadMemory(u32),
    /// The first so many times that the block at this place is read back from memory it has a bit
    /// flipped.
    BadMemoryAt(Place, u32),
    /// The byte at this offset is another when it is read back.
    LiesAt(u64),
    /// Nothing can be read back.
    Unreadable,
    /// There is no room for the byte at this offset, nor for those behind it.
    FullAt(u64),
    /// The byte at this offset cannot be written.
    BadSector(u64),
    /// Everything can be written, and nothing of it stays.
    FailsToFlush,
}

/// How a disk behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskProfile {
    /// Bytes per second that it writes.
    pub speed: u64,
    /// Bytes per second that it reads, while it does not write.
    pub reads: u64,
    /// How long flushing takes.
    pub flush: Duration,
    /// What goes wrong.
    pub trouble: Option<Trouble>,
    /// Blocks are checked and forgotten: for rooms that would not fit memory.
    pub discards: bool,
}

impl Default for DiskProfile {
    fn default() -> Self {
        Self {
            speed: 500_000_000,
            reads: 2_000_000_000,
            flush: Duration::from_millis(20),
            trouble: None,
            discards: false,
        }
    }
}

/// What a disk has done, to be told to the session when the time comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// A block is written.
    Written {
        /// Its number.
        block: BlockNumber,
        /// Its entry.
        entry: StoredBlock,
        /// Its raw bytes.
        bytes: u64,
        /// How long the disk worked on it.
        busy: Duration,
    },
    /// A run of zeros is written.
    Zeroed(Zeroed),
    /// What it holds at the place of a block was compared with the block's entry.
    Checked {
        /// The block's number.
        block: BlockNumber,
        /// What was found.
        finding: Finding,
        /// The block's bytes.
        bytes: u64,
    },
    /// Everything is safe.
    Flushed,
    /// So many bytes are read back and right.
    Verifying(u64),
    /// Everything is read back and right.
    Verified,
    /// It is not.
    Different(Difference),
    /// The disk refuses.
    Failed,
}

/// A disk. What it holds stays until it is overwritten; what it has to grow by, to take a block
/// that does not come in order, is leftovers of a former life.
pub struct Target {
    /// How it behaves; may change while the room runs.
    pub profile: DiskProfile,
    unused: Unused,
    bytes: Vec<u8>,
    written: u64,
    free_at: Option<Instant>,
    /// It does nothing before.
    stalled_until: Option<Instant>,
    /// When what it is booked for begins and ends, as far as it writes.
    booked: VecDeque<(Instant, Instant)>,
    decoder: Decoder,
}

/// What was on the disk before: not zeros, so that zeros have to be written.
pub const LEFTOVERS: u8 = 0xee;

/// What it reads as where it was told that nobody needs it.
pub const FORGOTTEN: u8 = 0xdd;

impl Target {
    /// A disk that grows as it is written to, and holds an image or nothing.
    #[must_use]
    pub fn new(profile: DiskProfile, unused: Unused, holds: Option<&Image>) -> Self {
        Self {
            profile,
            unused,
            bytes: holds.map_or_else(Vec::new, |image| image.0.to_vec()),
            written: 0,
            free_at: None,
            stalled_until: None,
            booked: VecDeque::new(),
            decoder: Decoder::new(),
        }
    }

    /// Whether the image is on the disk, byte for byte where it is used, and everywhere if what is
    /// unused is to be zeros; of a disk that keeps nothing, whether as many bytes were checked.
    #[must_use]
    pub fn holds(&self, image: &Image) -> bool {
        match (self.profile.discards, self.unused) {
            (true, Unused::Zero) => self.written == image.len() as u64,
            (true, _) => self.written == image.used_len() as u64,
            (false, Unused::Zero) => self.bytes == image.0[..],
            (false, _) => {
                let same = |range: Range<usize>| self.bytes[range.clone()] == image.0[range];
                self.bytes.len() == image.len() && image.used().all(same)
            }
        }
    }

    /// It is told that nobody needs a run, and forgets it.
    pub fn discard(&mut self, run: Run) {
        let from = run.place.offset() as usize;
        let end = from + run.count as usize * BLOCK_SIZE;
        self.bytes.resize(self.bytes.len().max(end), LEFTOVERS);
        self.bytes[from..end].fill(FORGOTTEN);
    }

    /// What is on the disk.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Decodes a block, checks it against its entry and writes it. `None`: it is not what its
    /// entry says.
    pub fn write(
        &mut self,
        now: Instant,
        image_len: Option<u64>,
        assembled: &mut Assembled,
    ) -> Option<(Instant, Completion)> {
        let (block, place) = (assembled.block, assembled.entry.place);
        let flips = match &mut self.profile.trouble {
            Some(Trouble::BadMemory(times)) => Some(times),
            Some(Trouble::BadMemoryAt(at, times)) if *at == place => Some(times),
            _ => None,
        };
        if let Some(times @ 1..) = flips {
            *times -= 1;
            assembled.symbols[13] ^= 4;
        }
        let raw = assembled.decode(image_len, &mut self.decoder)?;
        let raw = raw.to_vec();
        let end = self.put(place.offset(), &raw);
        let bytes = raw.len() as u64;
        let (at, busy) = self.work(now, bytes);
        Some((
            at,
            end.unwrap_or(Completion::Written {
                block,
                entry: assembled.entry.clone(),
                bytes,
                busy,
            }),
        ))
    }

    /// Compares what it holds with a block's entry.
    pub fn check(
        &mut self,
        now: Instant,
        image_len: Option<u64>,
        block: BlockNumber,
        entry: &StoredBlock,
    ) -> (Instant, Completion) {
        let (len, from) = (Finding::len_of(entry, image_len), entry.place.offset());
        let held = self.held(from as usize, len);
        let finding = Finding::of(entry, held, image_len);
        let bytes = held.len() as u64;
        let time = Duration::from_secs_f64(bytes as f64 / self.profile.reads as f64);
        let done = Completion::Checked {
            block,
            finding,
            bytes,
        };
        (self.book(now, time), done)
    }

    fn held(&self, from: usize, len: usize) -> &[u8] {
        let end = self.bytes.len().min(from + len);
        self.bytes.get(from..end).unwrap_or_default()
    }

    /// Writes a run of zeros, unless it looks first and finds them; runs are whole blocks.
    pub fn zero(&mut self, now: Instant, run: Run, looks: bool) -> (Instant, Completion) {
        let bytes = u64::from(run.count) * BLOCK_SIZE as u64;
        let held = self.held(run.place.offset() as usize, bytes as usize);
        if looks && held.len() as u64 == bytes && is_zero(held) {
            let zeroed = Zeroed {
                run,
                written: 0,
                kept: bytes,
                busy: Duration::ZERO,
                done: true,
            };
            return (now, Completion::Zeroed(zeroed));
        }
        let end = self.put(run.place.offset(), &vec![0; bytes as usize]);
        // Discarding is quick.
        let (at, busy) = self.work(now, bytes / 16);
        let zeroed = Zeroed {
            run,
            written: bytes,
            kept: 0,
            busy,
            done: true,
        };
        (at, end.unwrap_or(Completion::Zeroed(zeroed)))
    }

    /// Sets the length and flushes.
    pub fn flush(&mut self, now: Instant, image_len: u64) -> (Instant, Completion) {
        if !self.profile.discards {
            self.bytes.resize(image_len as usize, LEFTOVERS);
        }
        let (at, _) = self.work(now, 0);
        let done = match self.profile.trouble {
            Some(Trouble::FailsToFlush) => Completion::Failed,
            _ => Completion::Flushed,
        };
        (at + self.profile.flush, done)
    }

    /// Reads all of the image back, at the speed of writing; progress is told half-way.
    pub fn verify(&mut self, now: Instant, plan: ReadBackPlan) -> Vec<(Instant, Completion)> {
        let (half, half_len) = (self.work(now, plan.image_len / 2).0, plan.image_len / 2);
        let (whole, _) = self.work(now, plan.image_len - half_len);
        if self.profile.trouble == Some(Trouble::Unreadable) {
            return vec![(half, Completion::Failed)];
        }
        let end = match self.prove(plan) {
            Ok(()) => Completion::Verified,
            Err(difference) => Completion::Different(difference),
        };
        vec![(half, Completion::Verifying(half_len)), (whole, end)]
    }

    fn prove(&self, plan: ReadBackPlan) -> Result<(), Difference> {
        let mut disk = self.bytes.clone();
        if let Some(Trouble::LiesAt(at)) = self.profile.trouble {
            disk[at as usize] ^= 0x40;
        }
        let mut proof = ReadBack::new(plan);
        while let Some(range) = proof.poll_read(4 * BLOCK_SIZE) {
            proof.handle_read(&disk[range.start as usize..range.end as usize])?;
        }
        proof.finish()
    }

    fn put(&mut self, offset: u64, raw: &[u8]) -> Option<Completion> {
        let from = offset as usize;
        if self.refuses(offset..offset + raw.len() as u64) {
            return Some(Completion::Failed);
        }
        self.written += raw.len() as u64;
        if !self.profile.discards {
            let end = from + raw.len();
            self.bytes.resize(self.bytes.len().max(end), LEFTOVERS);
            self.bytes[from..end].copy_from_slice(raw);
        }
        None
    }

    fn refuses(&self, range: Range<u64>) -> bool {
        match self.profile.trouble {
            Some(Trouble::FailsAfter(limit)) => self.written + (range.end - range.start) > limit,
            Some(Trouble::FullAt(end)) => range.end > end,
            Some(Trouble::BadSector(at)) => range.contains(&at),
            _ => false,
        }
    }

    /// The disk does nothing for a while: what it is given lasts longer.
    pub(super) fn stall(&mut self, now: Instant, pause: Duration) {
        self.stalled_until = Some(self.free_at.map_or(now, |free| free.max(now)) + pause);
    }

    /// How long the write under way has lasted.
    pub(super) fn writing(&mut self, now: Instant) -> Duration {
        while self.booked.front().is_some_and(|&(_, end)| end <= now) {
            self.booked.pop_front();
        }
        let under_way = self.booked.front().filter(|&&(begin, _)| begin <= now);
        under_way.map_or(Duration::ZERO, |&(begin, _)| now - begin)
    }

    /// Books the disk for some bytes, behind what it is already booked for.
    fn work(&mut self, now: Instant, bytes: u64) -> (Instant, Duration) {
        let begin = self.free_at.map_or(now, |free| free.max(now));
        let stalled = self.stalled_until.take().unwrap_or(begin);
        let busy = Duration::from_secs_f64(bytes as f64 / self.profile.speed as f64);
        let busy = stalled.saturating_duration_since(begin) + busy;
        let end = self.book(now, busy);
        self.booked.push_back((begin, end));
        (end, busy)
    }

    fn book(&mut self, now: Instant, time: Duration) -> Instant {
        let at = self.free_at.map_or(now, |free| free.max(now)) + time;
        self.free_at = Some(at);
        at
    }
}
