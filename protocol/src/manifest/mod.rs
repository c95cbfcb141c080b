//! The manifest: what an image consists of, block by block.
//!
//! The manifest travels in [`Page`]s of up to 32 [`Entry`]s, each of which is one symbol, whose
//! repair symbols are copies, and goes out before the blocks that it describes. Every place of the
//! image is covered by exactly one entry, in order. The [`Identity`] is a hash of the whole manifest
//! that does not depend on how it was cut into pages and runs.
//!
//! # Wire format
//!
//! All numbers are big-endian. A page of n entries has 9 + 41 n + 64 bytes, at most 1385:
//!
//! | bytes | field | valid |
//! |---|---|---|
//! | 0..4 | page number | any |
//! | 4..8 | number of the first block of the page | first block + blocks fits 32 bits |
//! | 8 | number of entries n | 1 to 32 |
//! | 9 + 41 i .. 50 + 41 i | entry i, for i in 0..n | places ascend and do not overlap |
//! | 9 + 41 n .. 73 + 41 n | Ed25519 signature of all bytes before it | the sender's |
//!
//! Every kind of entry has 41 bytes:
//!
//! | bytes | field | valid |
//! |---|---|---|
//! | 0 | kind | 1 block, zstd; 2 block, as it is; 3 run of zeros; 4 unused run |
//! | 1..5 | place of the block or of the first block of the run | place + blocks fits 32 bits |
//! | 5..9 | block: length of the body in bytes | 1 to 262,144 |
//! | | run: number of blocks | 1 or more |
//! | 9..41 | block: digest | any |
//! | | run: zeros | zeros |
//!
//! Blocks (kinds 1 and 2) are numbered densely from the page's first block number, in the order
//! of their entries.

mod entry;
mod identity;
mod page;

pub use entry::{Entry, EntryError, Run, StoredBlock};
pub use identity::{Identity, IdentityError, IdentityHasher};
pub use page::{MAX_PAGE, Page, PageError};
