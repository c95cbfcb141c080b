//! What a program says to the script that called it.

use std::process::ExitCode;

/// Why a program ends; each has a code of its own, the same in both programs. Each program's help
/// lists those that it can end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The image is where it was to go, and verified: on the target, or with every receiver that
    /// joined and at least as many as were wanted.
    Verified,
    /// Anything that no other variant names.
    Failure,
    /// The command line cannot be carried out.
    Usage,
    /// The source cannot be sent; the target cannot be written, or must not be.
    Refused,
    /// Too few receivers came in time; no session was joined in time.
    NobodyInTime,
    /// Some receivers failed or were lost.
    ReceiversFailed,
    /// What was received is not the image.
    DigestMismatch,
    /// The sender did not admit this machine.
    NotAdmitted,
    /// The operator stopped it.
    Interrupted,
}

impl Exit {
    /// Every variant, in the order of their codes.
    pub const ALL: [Exit; 9] = [
        Exit::Verified,
        Exit::Failure,
        Exit::Usage,
        Exit::Refused,
        Exit::NobodyInTime,
        Exit::ReceiversFailed,
        Exit::DigestMismatch,
        Exit::NotAdmitted,
        Exit::Interrupted,
    ];

    /// The exit code of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Exit::Verified => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::NobodyInTime => 4,
            Exit::ReceiversFailed => 5,
            Exit::DigestMismatch => 6,
            Exit::NotAdmitted => 7,
            Exit::Interrupted => 130,
        }
    }

    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Exit::Verified => "verified",
            Exit::Failure => "failure",
            Exit::Usage => "usage",
            Exit::Refused => "refused",
            Exit::NobodyInTime => "nobody_in_time",
            Exit::ReceiversFailed => "receivers_failed",
            Exit::DigestMismatch => "digest_mismatch",
            Exit::NotAdmitted => "not_admitted",
            Exit::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_its_code() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 7, 130]);
    }
}
