//! Why a filesystem's map is not believed.

use std::fmt::Write as _;
use std::io;

use thiserror::Error;

use super::Signature;
use crate::ByteSize;

/// Why an area counts as used throughout, or why a map could not be read on.
/// The message is for an operator: what is wrong, and what can be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Distrust {
    /// Nothing that mimeo knows.
    #[error("nothing is recognized in it")]
    Unknown,
    /// More than one signature: one of them is a leftover, and which is not known.
    #[error("it shows signs of several: {}; clear the stale ones with wipefs", list(.0))]
    Ambiguous(Vec<Signature>),
    /// Recognized, but its map is not one that mimeo reads.
    #[error("the map of {0} is not read")]
    NoMap(Signature),
    /// A feature or version whose effect on the map is not known.
    #[error("{what} {value:#x} is not known")]
    Feature {
        /// Which kind of feature.
        what: &'static str,
        /// The flags that are not known, or the version.
        value: u64,
    },
    /// Parts of the filesystem lie elsewhere, or are arranged in a way that is not followed.
    #[error("it has {0}")]
    Arrangement(&'static str),
    /// The filesystem says that it is larger than what it lies in.
    #[error("it is {} long, its partition only {}", ByteSize(*.filesystem), ByteSize(*.volume))]
    Size {
        /// Bytes by the filesystem.
        filesystem: u64,
        /// Bytes that there are.
        volume: u64,
    },
    /// It was not unmounted, or has errors: its map may lag behind.
    #[error("it is not clean: {what}; {remedy}")]
    Unclean {
        /// What shows it.
        what: &'static str,
        /// What to do on the reference machine.
        remedy: &'static str,
    },
    /// A system sleeps in it and goes on from there when it is started.
    #[error("a hibernated system is in it ({what}); {remedy}")]
    Hibernated {
        /// What shows it.
        what: &'static str,
        /// What to do on the reference machine.
        remedy: &'static str,
    },
    /// A checksum does not match.
    #[error("the checksum of {what} does not match; check the filesystem")]
    Checksum {
        /// Of what.
        what: &'static str,
    },
    /// Two counts of the same thing differ.
    #[error("{what} should be {expected} and is {found}; check the filesystem")]
    Count {
        /// What was counted.
        what: &'static str,
        /// By the filesystem's own count.
        expected: u64,
        /// By the map.
        found: u64,
    },
    /// A number that points nowhere.
    #[error("{what} is out of range ({value}); check the filesystem")]
    Range {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// A structure that contradicts itself.
    #[error("it is damaged: {what}; check the filesystem")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// The partition table does not say clearly what belongs to it.
    #[error("{0}; mend the partition table")]
    Place(&'static str),
    /// The disk does not give it away.
    #[error("{what} cannot be read at offset {offset}: {source}")]
    Unreadable {
        /// What was to be read.
        what: &'static str,
        /// Byte offset in the volume.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
}

impl Distrust {
    /// Whether imaging it at all would be a mistake: every clone would wake up
    /// as the same sleeping machine.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Hibernated { .. })
    }
}

fn list(signatures: &[Signature]) -> String {
    let mut text = String::new();
    for (index, signature) in signatures.iter().enumerate() {
        let separator = match index {
            0 => "",
            _ if index + 1 == signatures.len() => " and ",
            _ => ", ",
        };
        // A string takes everything.
        let _ = write!(text, "{separator}{signature}");
    }
    text
}
