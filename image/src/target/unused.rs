//! What becomes of what a target holds where an image is unused.

use super::{Target, TargetError};

/// What becomes of what a target holds where no filesystem of the image uses anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// It stays: nothing is written there.
    Keep,
    /// The device is told that nobody needs it, which spares an SSD work later.
    Discard,
    /// It becomes zeros.
    Zero,
}

impl Target {
    /// What becomes of unused areas of this target, if `wanted` is what the operator said. A device
    /// keeps what it has there unless told otherwise; everything else reads as zeros there, whatever
    /// it held, as a file is an image for others and a stream has no other way.
    ///
    /// # Errors
    /// [`TargetError::KeepsNothing`] if a file or a stream is to keep something.
    pub fn unused(&self, wanted: Option<Unused>) -> Result<Unused, TargetError> {
        match (self, wanted) {
            (Self::Device(_), wanted) => Ok(wanted.unwrap_or(Unused::Keep)),
            (_, Some(Unused::Keep)) => Err(TargetError::KeepsNothing {
                target: self.describe(),
            }),
            _ => Ok(Unused::Zero),
        }
    }
}
