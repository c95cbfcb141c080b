//! `Report`: the full state of a receiver in one datagram.

use super::{Effort, Reader, Spoiled, WireError, Write};
use crate::ids::{Seq, Slot};
use crate::units::{BlockNumber, PageNumber};

/// The most bytes of an encoded report, so that its datagram fits [`super::MAX_DATAGRAM`]
/// behind the envelope's header, the message's type and the tag.
pub const MAX_REPORT: usize = super::MAX_DATAGRAM - 12 - 1 - super::TAG;

/// A deficit that stands for "every symbol": lets runs span blocks of different `k`.
pub const ALL_SYMBOLS: u8 = u8::MAX;

/// The most page runs that one report names.
const MAX_PAGE_RUNS: usize = 16;

/// The most spoiled blocks that one report names: 384 bytes.
pub const MAX_SPOILED: usize = 64;

/// What a receiver is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Admitted, no data yet.
    Waiting,
    /// Blocks are coming in.
    Receiving,
    /// All blocks are written, the target is being flushed.
    Flushing,
    /// Verified and flushed.
    Complete,
    /// Flushed; the target is being read back.
    Verifying,
}

impl Stage {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match reader.u8("stage")? {
            0 => Ok(Self::Waiting),
            1 => Ok(Self::Receiving),
            2 => Ok(Self::Flushing),
            3 => Ok(Self::Complete),
            4 => Ok(Self::Verifying),
            _ => Err(WireError::Value { field: "stage" }),
        }
    }
}

/// A run of blocks that each need the same number of further symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deficit {
    /// First block of the run.
    pub first: BlockNumber,
    /// Blocks in the run, at least 1.
    pub count: u32,
    /// Symbols that each still needs, at least 1; [`ALL_SYMBOLS`] where none arrived.
    pub symbols: u8,
}

/// A run of manifest pages that did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRun {
    /// First page of the run.
    pub first: PageNumber,
    /// Pages in the run, at least 1.
    pub count: u32,
}

/// Full state: a later report replaces an earlier one, so a lost report costs nothing but time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the receiver is doing.
    pub stage: Stage,
    /// Highest group datagram seen.
    pub seq_seen: Seq,
    /// Microseconds between its arrival and this report.
    pub held_us: u32,
    /// Group datagrams that arrived.
    pub received: u64,
    /// Group datagrams that were sent since the join, as the sequence numbers show.
    pub expected: u64,
    /// Datagrams that the receiver's own kernel dropped for want of buffer.
    pub socket_drops: u32,
    /// Symbol datagrams that may be sent after `seq_seen`: what the receiver's socket can hold, and in
    /// a large room what it reads meanwhile.
    pub window: u32,
    /// The sender may begin slots below this one.
    pub credit: Slot,
    /// Blocks that are on the target: written, or kept as they were.
    pub blocks_done: u32,
    /// Bytes that are written, zeros included.
    pub bytes_written: u64,
    /// Bytes that the target held already, zeros included.
    pub bytes_kept: u64,
    /// Milliseconds spent in writing, the write under way included.
    pub busy_ms: u32,
    /// Bytes of the image that were read back from the target and found right.
    pub bytes_verified: u64,
    /// What its parts did so far.
    pub effort: Effort,
    /// Block buffers that it has.
    pub buffers: u32,
    /// The newest turn of its standing that it was told of.
    pub turn: u16,
    /// Blocks that did not have their digest.
    pub bad_blocks: u32,
    /// Symbols of the group that turned out not to be the sender's.
    pub forged_symbols: u32,
    /// All pages below this one arrived.
    pub pages_up_to: PageNumber,
    /// Pages that are known to be missing from there on, oldest first.
    pub missing_pages: Vec<PageRun>,
    /// Blocks that did not have their digest and need something for it, oldest first.
    pub spoiled: Vec<Spoiled>,
    /// All blocks below this one are on the target.
    pub complete_up_to: BlockNumber,
    /// The deficits below are all there are below this block.
    pub covered_up_to: BlockNumber,
    /// What is needed from `complete_up_to` to `covered_up_to`, oldest first.
    pub deficits: Vec<Deficit>,
}

impl Report {
    /// Leaves out what it says of blocks from `end` on.
    pub fn cut_off(&mut self, end: BlockNumber) {
        self.complete_up_to = self.complete_up_to.min(end);
        self.covered_up_to = self.covered_up_to.min(end);
        self.spoiled.retain(|spoiled| spoiled.block < end);
        self.deficits.retain(|run| run.first < end);
        if let Some(last) = self.deficits.last_mut() {
            last.count = last.count.min(end.0 - last.first.0);
        }
    }

    /// Appends the report. Runs that do not fit are left out and the horizon is drawn in.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(self.stage as u8);
        out.put_u48(self.seq_seen.0);
        out.put_u32(self.held_us);
        out.put_u64(self.received);
        out.put_u64(self.expected);
        out.put_u32(self.socket_drops);
        out.put_u32(self.window);
        out.put_u32(self.credit.0);
        out.put_u32(self.blocks_done);
        out.put_u64(self.bytes_written);
        out.put_u64(self.bytes_kept);
        out.put_u32(self.busy_ms);
        out.put_u64(self.bytes_verified);
        self.effort.encode(out);
        out.put_u32(self.buffers);
        out.put_u16(self.turn);
        out.put_u32(self.bad_blocks);
        out.put_u32(self.forged_symbols);
        self.encode_pages(out);
        self.encode_spoiled(out);
        self.encode_deficits(start, out);
    }

    fn encode_pages(&self, out: &mut Vec<u8>) {
        out.put_u32(self.pages_up_to.0);
        let runs = &self.missing_pages[..self.missing_pages.len().min(MAX_PAGE_RUNS)];
        out.push(u8::try_from(runs.len()).expect("at most MAX_PAGE_RUNS"));
        for run in runs {
            out.put_u32(run.first.0);
            out.put_u32(run.count);
        }
    }

    fn encode_spoiled(&self, out: &mut Vec<u8>) {
        let spoiled = &self.spoiled[..self.spoiled.len().min(MAX_SPOILED)];
        out.push(u8::try_from(spoiled.len()).expect("at most MAX_SPOILED"));
        for spoiled in spoiled {
            spoiled.encode(out);
        }
    }

    fn encode_deficits(&self, start: usize, out: &mut Vec<u8>) {
        out.put_u32(self.complete_up_to.0);
        let covered_at = out.len();
        out.put_u32(self.covered_up_to.0);
        let mut next = self.complete_up_to.0;
        for run in &self.deficits {
            // Two varints of at most five bytes and the deficit.
            if out.len() - start + 11 > MAX_REPORT {
                out[covered_at..covered_at + 4].copy_from_slice(&run.first.0.to_be_bytes());
                break;
            }
            put_varint(run.first.0 - next, out);
            put_varint(run.count, out);
            out.push(run.symbols);
            next = run.first.0 + run.count;
        }
    }

    /// Reads a whole report.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_REPORT {
            return Err(WireError::Value { field: "length" });
        }
        let mut reader = Reader::new(bytes);
        let mut report = Self {
            stage: Stage::decode(&mut reader)?,
            seq_seen: Seq(reader.u48("sequence seen")?),
            held_us: reader.u32("held")?,
            received: reader.u64("received")?,
            expected: reader.u64("expected")?,
            socket_drops: reader.u32("socket drops")?,
            window: reader.u32("window")?,
            credit: Slot(reader.u32("credit")?),
            blocks_done: reader.u32("blocks done")?,
            bytes_written: reader.u64("bytes written")?,
            bytes_kept: reader.u64("bytes kept")?,
            busy_ms: reader.u32("busy")?,
            bytes_verified: reader.u64("bytes verified")?,
            effort: Effort::decode(&mut reader)?,
            buffers: reader.u32("buffers")?,
            turn: reader.u16("turn")?,
            bad_blocks: reader.u32("bad blocks")?,
            forged_symbols: reader.u32("forged symbols")?,
            pages_up_to: PageNumber(reader.u32("pages up to")?),
            missing_pages: Vec::new(),
            spoiled: Vec::new(),
            complete_up_to: BlockNumber(0),
            covered_up_to: BlockNumber(0),
            deficits: Vec::new(),
        };
        report.decode_pages(&mut reader)?;
        report.decode_spoiled(&mut reader)?;
        report.decode_deficits(reader)?;
        Ok(report)
    }

    fn decode_pages(&mut self, reader: &mut Reader<'_>) -> Result<(), WireError> {
        let runs = usize::from(reader.u8("page runs")?);
        if runs > MAX_PAGE_RUNS {
            return Err(WireError::Value { field: "page runs" });
        }
        let mut next = self.pages_up_to.0;
        for _ in 0..runs {
            let (first, count) = (reader.u32("page")?, reader.u32("page count")?);
            let end = first
                .checked_add(count)
                .filter(|_| first >= next && count > 0);
            next = end.ok_or(WireError::Value { field: "page run" })?;
            self.missing_pages.push(PageRun {
                first: PageNumber(first),
                count,
            });
        }
        Ok(())
    }

    fn decode_spoiled(&mut self, reader: &mut Reader<'_>) -> Result<(), WireError> {
        let blocks = usize::from(reader.u8("spoiled blocks")?);
        if blocks > MAX_SPOILED {
            let field = "spoiled blocks";
            return Err(WireError::Value { field });
        }
        for _ in 0..blocks {
            self.spoiled.push(Spoiled::decode(reader)?);
        }
        Ok(())
    }

    fn decode_deficits(&mut self, mut reader: Reader<'_>) -> Result<(), WireError> {
        self.complete_up_to = BlockNumber(reader.u32("complete up to")?);
        self.covered_up_to = BlockNumber(reader.u32("covered up to")?);
        let mut next = self.complete_up_to.0;
        while !reader.rest().is_empty() {
            let (gap, count) = (varint(&mut reader, "gap")?, varint(&mut reader, "run")?);
            let symbols = reader.u8("deficit")?;
            let field = "deficit run";
            let first = next.checked_add(gap).ok_or(WireError::Value { field })?;
            next = first.checked_add(count).ok_or(WireError::Value { field })?;
            if count == 0 || symbols == 0 || next > self.covered_up_to.0 {
                return Err(WireError::Value { field });
            }
            self.deficits.push(Deficit {
                first: BlockNumber(first),
                count,
                symbols,
            });
        }
        Ok(())
    }
}

/// Appends an unsigned LEB128 number.
fn put_varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn varint(reader: &mut Reader<'_>, field: &'static str) -> Result<u32, WireError> {
    let mut value = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = reader.u8(field)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value).map_err(|_| WireError::Value { field });
        }
    }
    Err(WireError::Value { field })
}
