//! What the program says to the script that called it.

use std::process::ExitCode;

/// Why the program ends; each has a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every receiver that joined has verified the image, and at least as many as were wanted.
    Verified,
    /// Anything that no other variant names.
    Failure,
    /// The command line cannot be carried out.
    Usage,
    /// The source cannot be sent.
    Refused,
    /// Too few receivers came in time.
    NobodyInTime,
    /// Some receivers failed or were lost.
    ReceiversFailed,
    /// A receiver found that what it holds is not the image.
    DigestMismatch,
    /// The operator stopped it.
    Interrupted,
}

/// The codes as `--help` lists them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    every receiver that joined verified the image (and at least --min-receivers)
  1    failure
  2    usage: the command line cannot be carried out
  3    the source was refused
  4    too few receivers came in time
  5    some receivers failed
  6    digest mismatch: a receiver holds something else than the image
  130  interrupted";

impl Exit {
    /// Every variant, in the order of their codes.
    pub const ALL: [Exit; 8] = [
        Exit::Verified,
        Exit::Failure,
        Exit::Usage,
        Exit::Refused,
        Exit::NobodyInTime,
        Exit::ReceiversFailed,
        Exit::DigestMismatch,
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
        assert_eq!(listed, [0, 1, 2, 3, 4, 5, 6, 130]);
    }
}
