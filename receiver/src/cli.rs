//! The command line of the receiver.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use mimeo_console::{Mode, args, duration};
use mimeo_image::target;
use mimeo_protocol::keys::VerifyingKey;
use mimeo_protocol::wire::DEFAULT_PORT;

use crate::exit;
use crate::parse::{self, Host};
use crate::then::Then;

const LONG_ABOUT: &str = "\
Receives a disk image that a sender multicasts to a room of machines, and writes it.

Every block is checked before it is written, and success is told only after the target was flushed \
and the whole image verified. A block device that is in use is refused; one that holds a partition \
table or a file system is overwritten only with --yes.";

const EXAMPLES: &str = "\
Examples:
  Write the machine's only internal disk, whatever it holds, and start from it:
    mimeo-receiver --key-file room.key --yes --then reboot auto
  The same, and read back what the disk has made of it before it is believed:
    mimeo-receiver --key-file room.key --yes --verify --then reboot auto
  Write only what has changed since the room was imaged last:
    mimeo-receiver --key-file room.key --yes --resume /dev/nvme0n1
  Write a certain disk, in a session of a certain name:
    mimeo-receiver --open --session lab-3 --serial S4EWNX0M --yes /dev/nvme0n1
  Ask a sender that multicast announces do not come from:
    mimeo-receiver --open --sender 10.0.0.5 disk.img
  Receive into a program:
    mimeo-receiver --open --progress json - | zstd > disk.img.zst

Units: times 500ms, 10s, 5m, 2h; sizes 64MiB (or 64M), 64MB, bytes. MIMEO_LOG=debug shows a log.";

/// The arguments: their shape is checked here, their sense in [`crate::config::resolve`].
#[derive(Debug, Parser)]
#[command(
    name = "mimeo-receiver",
    version,
    about = "Receives a disk image that a sender multicasts, and writes it",
    long_about = LONG_ABOUT,
    max_term_width = 100
)]
pub struct Args {
    /// Where to write: a block device, a file, auto for the machine's only internal disk, - for
    /// standard output, or the word `null:` to discard
    #[arg(value_name = "TARGET")]
    pub(crate) target: OsString,

    /// Network interface to receive on [default: the only suitable one]
    #[arg(long, value_name = "NAME")]
    pub(crate) interface: Option<String>,

    /// Join the session of this name only [default: the only one that is found]
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Ask this host for its session instead of looking for one by multicast: a name or an
    /// address, with :PORT where it is not that of --port
    #[arg(long, value_name = "HOST", value_parser = parse::host)]
    pub(crate) sender: Option<Host>,

    /// UDP port on which senders are found
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,

    /// Join the sender that shows this join code: a number and two words, of which four letters are
    /// enough. Every user of this machine can see it among the processes; with - it is the first line
    /// of standard input
    #[arg(long, value_name = "CODE", conflicts_with = "open")]
    pub(crate) code: Option<String>,

    /// Join a sender that holds the same key file: 32 random bytes, readable by the owner only
    #[arg(long, value_name = "FILE", conflicts_with_all = ["open", "code"])]
    pub(crate) key_file: Option<PathBuf>,

    /// Join a session that is open to everybody, without a key
    #[arg(long)]
    pub(crate) open: bool,

    /// Take nothing from a sender that signs with another key than this: 64 hexadecimal digits, as
    /// mimeo-sender --sign-key shows them
    #[arg(long, value_name = "KEY", value_parser = parse::sender_key)]
    pub(crate) sender_key: Option<VerifyingKey>,

    /// Read the whole target back when it is flushed, past the page cache, and compare it with what
    /// was sent, before success is told; for files and block devices
    #[arg(long)]
    pub(crate) verify: bool,

    /// Keep what the target holds of the image already, and take only the rest: after a crash, or
    /// for a new version of an image; for files and block devices. Refuses a file that is longer
    /// than the image, and a target of which nothing matches, unless --yes is given
    #[arg(long)]
    pub(crate) resume: bool,

    /// What becomes of what a disk holds where no filesystem of the image uses anything [default:
    /// keep; files and pipes get zeros there]
    #[arg(long, value_name = "HOW")]
    pub(crate) unused: Option<Unused>,

    /// Overwrite a disk although it holds a partition table or a file system
    #[arg(long)]
    pub(crate) yes: bool,

    /// Write only a disk with this serial number; with auto it chooses among several
    #[arg(long, value_name = "S",
          value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) serial: Option<String>,

    /// Memory for blocks on their way to the target, at least 16MiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse::memory)]
    pub(crate) memory: u64,

    /// Give up when no session was joined after this time
    #[arg(long, value_name = "T", default_value = "10m", value_parser = duration::timeout)]
    pub(crate) start_timeout: Duration,

    /// Give up when the sender of the session was silent for this time; until then it is looked
    /// for, as it may have been started again
    #[arg(long, value_name = "T", default_value = "60s", value_parser = duration::timeout)]
    pub(crate) idle_timeout: Duration,

    /// What the machine does after success
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Then::None)]
    pub(crate) then: Then,

    /// Write a report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = Mode::parser(
        "A bar on a terminal, plain lines elsewhere",
        "A bar that is redrawn in place",
    ))]
    pub(crate) progress: Mode,
}

/// What becomes of unused areas, as it is said on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Unused {
    /// It stays: nothing is written there
    Keep,
    /// The disk is told that nobody needs it (discard, TRIM), which keeps an SSD fast
    Discard,
    /// It becomes zeros, which --verify reads back, too
    Zero,
}

impl From<Unused> for target::Unused {
    fn from(unused: Unused) -> Self {
        match unused {
            Unused::Keep => Self::Keep,
            Unused::Discard => Self::Discard,
            Unused::Zero => Self::Zero,
        }
    }
}

/// Reads arguments, the program's name first.
///
/// # Errors
///
/// Those of `clap`, which include the requests for help and the version.
pub fn parse_args(args: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    args::parse(args, EXAMPLES, exit::HELP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        parse_args(["mimeo-receiver"].iter().chain(args).map(OsString::from))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let args = parse(&["--open", "auto"]).unwrap();
        assert_eq!((args.port, args.memory), (64636, 64 << 20));
        assert_eq!(args.start_timeout, Duration::from_secs(600));
        assert_eq!(args.idle_timeout, Duration::from_secs(60));
        assert_eq!((args.then, args.progress), (Then::None, Mode::Auto));
        assert_eq!((args.yes, args.serial, args.report), (false, None, None));
        assert!(!args.verify && !args.resume && args.unused.is_none());
        let args = parse(&["--open", "--unused", "discard", "auto"]).unwrap();
        assert_eq!(args.unused, Some(Unused::Discard));
    }

    #[test]
    fn every_target_is_read() {
        for target in ["/dev/sda", "disk.img", "auto", "-", "null:"] {
            assert_eq!(parse(&["--open", target]).unwrap().target, target);
        }
    }

    #[test]
    fn mistakes_exit_with_2_and_name_the_option() {
        let wrong: [(&[&str], &str); 14] = [
            (&[], "<TARGET>"),
            (&["a", "b"], "'b'"),
            (&["--port", "0", "x"], "--port"),
            (&["--sender", "a:b", "x"], "--sender"),
            (&["--sender-key", "d75a98", "x"], "--sender-key"),
            (&["--sender-key", &"0".repeat(64), "x"], "--sender-key"),
            (&["--memory", "15MiB", "x"], "--memory"),
            (&["--serial", "", "x"], "--serial"),
            (&["--start-timeout", "0s", "x"], "--start-timeout"),
            (&["--idle-timeout", "60", "x"], "--idle-timeout"),
            (&["--then", "halt", "x"], "--then"),
            (&["--progress", "loud", "x"], "--progress"),
            (&["--open", "--key-file", "k", "x"], "--key-file"),
            (&["--unused", "trim", "x"], "--unused"),
        ];
        for (args, named) in wrong {
            let error = parse(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn help_and_version_are_no_failures_and_help_lists_the_exit_codes() {
        for flag in ["-h", "--help", "--version"] {
            assert_eq!(parse(&[flag]).unwrap_err().exit_code(), 0, "{flag}");
        }
        let help = parse(&["--help"]).unwrap_err().to_string();
        assert!(
            help.contains("130  interrupted") && help.contains("Examples:"),
            "{help}"
        );
        assert!(
            parse(&["-h"])
                .unwrap_err()
                .to_string()
                .contains("130  interrupted")
        );
    }
}
