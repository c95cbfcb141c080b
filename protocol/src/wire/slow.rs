//! What tells a slow receiver from the others: how hard its parts work, and what limits it.

use super::{Reader, WireError, Write};
use crate::ids::Cycle;
use crate::units::BlockNumber;

/// What the parts of a receiver did, in totals since it started: from two reports follows how
/// fast each part is, whether or not it is the brake now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Milliseconds that its writer spent in recovering, decompressing and checking blocks.
    pub decode_ms: u32,
    /// Milliseconds that its session's thread was not asleep.
    pub session_ms: u32,
    /// Bytes that the medium behind the target has taken.
    pub disk_bytes: u64,
    /// Milliseconds in which the medium had something to do.
    pub disk_ms: u32,
}

impl Effort {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.decode_ms);
        out.put_u32(self.session_ms);
        out.put_u64(self.disk_bytes);
        out.put_u32(self.disk_ms);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            decode_ms: reader.u32("decoding")?,
            session_ms: reader.u32("session's thread")?,
            disk_bytes: reader.u64("bytes on the disk")?,
            disk_ms: reader.u32("disk busy")?,
        })
    }
}

/// What makes a receiver slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlowReason {
    /// It writes slowly.
    Disk,
    /// It decodes or receives slowly.
    Processor,
    /// It has too few buffers for what is under way.
    Memory,
    /// Its port or path carries too little.
    Network,
    /// Whoever reads what it writes into a pipe reads slowly.
    Output,
}

impl SlowReason {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Processor => "CPU",
            Self::Memory => "memory",
            Self::Network => "network",
            Self::Output => "the reader of its output",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Disk => 1,
            Self::Processor => 2,
            Self::Memory => 3,
            Self::Network => 4,
            Self::Output => 5,
        }
    }

    fn of(code: u8) -> Result<Self, WireError> {
        Ok(match code {
            1 => Self::Disk,
            2 => Self::Processor,
            3 => Self::Memory,
            4 => Self::Network,
            5 => Self::Output,
            _ => return Err(WireError::Value { field: "standing" }),
        })
    }
}

/// How a receiver stands to the group. Every change has the next `turn`; a receiver says in its
/// reports which one it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The group waits for it.
    Member {
        /// In this cycle ...
        cycle: Cycle,
        /// ... its deficits below this block are not repaired.
        from: BlockNumber,
    },
    /// The group does not wait for it; it is served in a later cycle.
    Demoted(SlowReason),
}

impl Standing {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Member { cycle, from } => {
                out.push(0);
                out.put_u32(cycle.0);
                out.put_u32(from.0);
            }
            Self::Demoted(reason) => out.push(reason.code()),
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match reader.u8("standing")? {
            0 => Self::Member {
                cycle: Cycle(reader.u32("cycle")?),
                from: BlockNumber(reader.u32("from block")?),
            },
            code => Self::Demoted(SlowReason::of(code)?),
        })
    }
}
