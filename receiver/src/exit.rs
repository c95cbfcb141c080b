//! What the program says to the script that called it.

use std::process::ExitCode;

/// Why the program ends; each has a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The target holds the image: verified, flushed and confirmed.
    Verified,
    /// Anything that no other variant names.
    Failure,
    /// The command line cannot be carried out.
    Usage,
    /// The target cannot be written, or must not be.
    Refused,
    /// No session was joined in time, or too few receivers were there for it to start.
    NobodyInTime,
    /// What was received is not the image.
    DigestMismatch,
    /// The sender did not admit this machine.
    NotAdmitted,
    /// The operator stopped it.
    Interrupted,
}

/// The codes as `--help` lists them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    the image was written, flushed and verified
  1    failure
  2    usage: the command line cannot be carried out
  3    the target was refused
  4    no session was joined in time, or too few receivers were
  6    digest mismatch
  7    not admitted
  130  interrupted";

impl Exit {
    /// Every variant, in the order of their codes.
    pub const ALL: [Exit; 8] = [
        Exit::Verified,
        Exit::Failure,
        Exit::Usage,
        Exit::Refused,
        Exit::NobodyInTime,
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
    fn codes_are_those_that_the_help_lists() {
        let listed: Vec<u8> = HELP
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        assert_eq!(listed, Exit::ALL.map(Exit::code));
        assert_eq!(listed, [0, 1, 2, 3, 4, 6, 7, 130]);
    }
}
