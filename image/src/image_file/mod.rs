//! The image file: a disk as a standard zstd file, of which each block is a frame.
//!
//! ```text
//! head | frames, page | frames, page | .. | description | directory | signature | footer | seek table
//! ```
//!
//! * Plain `zstd -d` makes the raw disk of it, as everything but the disk's frames is skippable.
//! * [`ImageWriter`] writes it in one pass, [`ImageFile`] reads it at any offset and finds
//!   everything from its end. Neither needs memory that grows with the disk, but for half a
//!   megabyte for 8 TB.
//! * A block's frame is what is sent of it, and its digest what the manifest on the wire says.
//! * It may be wrapped in the format of age, as a whole.
//!
//! Every byte is in `docs/image-format.md`.

mod atomic;
mod capture;
mod coding;
mod crypt;
mod description;
mod digest;
mod directory;
mod entry;
mod error;
mod footer;
mod frame;
mod part;
mod read_back;
mod reader;
mod restore;
mod seek_table;
mod sign;
mod storage;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use capture::{Capture, CaptureError};
pub use coding::{Decoder, Encoder, Level, LevelError};
pub use crypt::{Credentials, Encryption, KeyError};
pub use description::{Blocks, Description};
pub use digest::{BlockDigest, DiskDigest, DiskHasher};
pub use entry::{Coding, Content, Entry, RunKind};
pub use error::{Damage, FileError, Locked};
pub use footer::Root;
pub use part::Part;
pub use read_back::{Difference, ReadBack, read_back};
pub use reader::{ImageFile, Located, Stored};
pub use restore::{RestoreError, restore};
pub use sign::sign;
pub use storage::Form;
pub use verify::{Verified, Verifier};
pub use writer::{Finished, ImageWriter, NewBlock};

/// Bytes of a block: what is compressed, proved and sent by itself. The same as on the wire.
pub const BLOCK_SIZE: usize = 256 << 10;

/// Blocks of the longest run in one frame: 1 GiB, the most that a frame of the seekable format
/// may hold.
pub const MAX_RUN: u32 = 4096;

/// Bytes of the largest disk: places are 32 bits.
pub const MAX_DISK_LEN: u64 = BLOCK_SIZE as u64 * u32::MAX as u64;

/// Number of a block on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub u32);

impl Place {
    /// Byte offset on the disk.
    #[must_use]
    pub fn offset(self) -> u64 {
        u64::from(self.0) * BLOCK_SIZE as u64
    }
}

/// Blocks of a disk of so many bytes.
fn blocks_of(disk_len: u64) -> u64 {
    disk_len.div_ceil(BLOCK_SIZE as u64)
}
