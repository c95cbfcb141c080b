//! How the image of a disk fits a disk that is larger or smaller.
//!
//! ```text
//! Geometry::of      what the image is of, by reading it
//!      |
//! Needs             what a target must have: small, to be told to others
//!      |
//! Needs::check      before anything is written; Misfit says what is in the way
//!      |
//! Moves::of         once all of the image is on the target and flushed: what is
//!                   written to the partition table, step by step
//! ```
//!
//! What is moved is the GPT's backup, which belongs into a disk's last sectors
//! (UEFI specification 2.10, section 5.3.2). Of the header only the fields change
//! that say where things are, entries and everything else stay byte for byte;
//! in the protective MBR only the size of the 0xEE entry changes. An MBR and a
//! disk without a table need nothing. Partitions stay where and as long as they are.

mod geometry;
mod moves;
mod needs;
mod sector;

pub use geometry::{Division, Geometry};
pub use moves::{Moves, Note, Step, Write};
pub use needs::{Last, Misfit, Needs};
