//! The command line of the sender.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use mimeo_console::{Mode, args, duration};
use mimeo_image::source::UsedMode;
use mimeo_protocol::block::Level;
use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::Parity;
use mimeo_protocol::wire::DEFAULT_PORT;

use crate::exit;
use crate::parse;
use crate::slow::{self, Policy};

const LONG_ABOUT: &str = "\
Sends a disk image to every receiver on the network at once.

Receivers join the session (mimeo-receiver), the session starts by the start rules or on Enter, \
and every receiver verifies what it wrote. Late receivers join while the session runs and get \
what they missed in a following cycle; an image from standard input is sent once, so its session \
is closed at the start.";

const EXAMPLES: &str = "\
Examples:
  Make a key, once for a room, and copy it to the receivers' boot medium:
    head -c 32 /dev/urandom > room.key && chmod 600 room.key
  Send an image to 30 machines, or to whoever is there 10 minutes after the first:
    mimeo-sender --key-file room.key --min-receivers 30 --max-wait 10m --start-timeout 1h win11.img
  Send an image to who is given the join code that is shown:
    mimeo-sender win11.img
  Send a disk on a trusted network, at most 900 Mbit/s:
    mimeo-sender --open --interface enp3s0 --rate 900M /dev/nvme0n1
  Send a stream from a script and keep a report:
    zcat lab.img.gz | mimeo-sender --open --report lab.json --progress plain -

Units: times 500ms, 10s, 5m, 2h; rates in bit/s with k, M or G. MIMEO_LOG=debug shows a log.";

/// The arguments: their shape is checked here, their sense in [`crate::config::resolve`].
#[derive(Debug, Parser)]
#[command(
    name = "mimeo-sender",
    version,
    about = "Sends a disk image to every receiver on the network at once",
    long_about = LONG_ABOUT,
    max_term_width = 100
)]
pub struct Args {
    /// What to send: an image file of mimeo-image capture, a raw image, a block device, or - for
    /// standard input
    #[arg(value_name = "IMAGE")]
    pub(crate) image: OsString,

    /// Network interface to send on [default: the only suitable one]
    #[arg(long, value_name = "NAME")]
    pub(crate) interface: Option<String>,

    /// Name that receivers see and can ask for [default: the image's file name; the host name
    /// for standard input]
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// UDP port on which receivers find the sender
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,

    /// Hops of multicast datagrams; more than 1 only where routers forward multicast
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) ttl: u8,

    /// Admit receivers that are given this join code, a number and two words [default: a new one,
    /// which is shown]. Every user of this machine can see it among the processes; with - it is the
    /// first line of standard input
    #[arg(long, value_name = "CODE", conflicts_with = "open")]
    pub(crate) code: Option<String>,

    /// Admit receivers that hold the same key file: 32 random bytes, readable by the owner only
    #[arg(long, value_name = "FILE", conflicts_with_all = ["open", "code"])]
    pub(crate) key_file: Option<PathBuf>,

    /// Admit every machine on the network, without a key
    #[arg(long)]
    pub(crate) open: bool,

    /// Sign with the key in this file, so that receivers can be told whom to trust (mimeo-receiver
    /// --sender-key): 32 random bytes, readable by the owner only, on this machine only; mimeo-image
    /// keygen makes one [default: a new key for each session]
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<PathBuf>,

    /// Start when this many receivers are there; fewer verified ones are a failure
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) min_receivers: u16,

    /// Wait at least this long after the first receiver joined
    #[arg(long, value_name = "T", default_value = "0s", value_parser = duration::parse)]
    pub(crate) min_wait: Duration,

    /// Start with whoever is there this long after the first receiver joined
    #[arg(long, value_name = "T", value_parser = duration::parse)]
    pub(crate) max_wait: Option<Duration>,

    /// Start with whoever is there at this time: 14:30, 14:30:00 (local), or RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with_all = ["min_wait", "max_wait"])]
    pub(crate) start_at: Option<String>,

    /// Give up when the session has not started after this time
    #[arg(long, value_name = "T", default_value = "10m", value_parser = duration::timeout)]
    pub(crate) start_timeout: Duration,

    /// Stay this long for late receivers after all others are done
    #[arg(long, value_name = "T", default_value = "0s", value_parser = duration::parse)]
    pub(crate) linger: Duration,

    /// Stay this long after the last word of a receiver that fell silent, once all others are done:
    /// it may come back; not for standard input
    #[arg(long, value_name = "T", default_value = "60s", value_parser = duration::parse)]
    pub(crate) lost_timeout: Duration,

    /// What becomes of receivers that are much slower than all others: at most half of a room; where
    /// more are slow it waits for them and says who they are [default: demote; wait for a stream from
    /// standard input]
    #[arg(long, value_name = "HOW")]
    pub(crate) slow: Option<Policy>,

    /// A receiver is slow when the sender has waited for it for this long ...
    #[arg(long, value_name = "T", default_value = "500ms", value_parser = duration::timeout)]
    pub(crate) slow_after: Duration,

    /// ... and it takes less than this share of what all others could take: 1% to 90%
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = slow::percent)]
    pub(crate) slow_below: u8,

    /// Never send faster: bit/s, such as 900M or 2.5G [default: what the network takes]
    #[arg(long, value_name = "RATE", value_parser = parse::rate)]
    pub(crate) rate: Option<Rate>,

    /// Repair symbols sent with every block before anybody asks: 0 to 68, or auto
    #[arg(long, value_name = "N|auto", default_value = "auto", value_parser = parse::parity)]
    pub(crate) parity: Parity,

    /// Compression: none, fast, default, max, or a level of zstd from -7 to 22; default is at most
    /// 3, and less while the network is faster than that [default: default; an image file is sent
    /// as it was compressed when it was captured]
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    pub(crate) compress: Option<Level>,

    /// Of an encrypted image file: a file with the passphrase in its first line
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Of an encrypted image file: a file with an identity of age (age-keygen)
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,

    /// Do not compute the BLAKE3 hash of the whole image, which is one number to compare with b3sum:
    /// receivers check every block by its own. Terabytes of nothing take minutes to hash
    #[arg(long)]
    pub(crate) no_b3sum: bool,

    /// Whether what no filesystem of the image uses is left out [default: auto for block devices, off
    /// for everything else]
    #[arg(long, value_name = "WHAT")]
    pub(crate) used: Option<UsedMode>,

    /// Copy hibernated partitions whole; with --used off, also a source that is in use
    #[arg(long)]
    pub(crate) force: bool,

    /// Leave out the content of page files, hibernation files and swap files, too, which the machines
    /// make anew (NTFS: pagefile.sys, swapfile.sys, hiberfil.sys; ext: what fstab names); implies
    /// --used auto
    #[arg(long)]
    pub(crate) scrub: bool,

    /// Write a report of the session to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = Mode::parser(
        "Bars on a terminal, plain lines elsewhere",
        "A picture of the room that is redrawn in place",
    ))]
    pub(crate) progress: Mode,
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
        parse_args(
            std::iter::once("mimeo-sender")
                .chain(args.iter().copied())
                .map(OsString::from),
        )
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let args = parse(&["--open", "win11.img"]).unwrap();
        assert_eq!((args.port, args.ttl, args.min_receivers), (64636, 1, 1));
        assert_eq!((args.min_wait, args.max_wait), (Duration::ZERO, None));
        assert_eq!(args.start_timeout, Duration::from_secs(600));
        assert_eq!((args.linger, args.rate), (Duration::ZERO, None));
        assert_eq!((args.parity, args.compress), (Parity::Auto, None));
        assert_eq!((args.passphrase_file, args.identity), (None, None));
        assert!(!args.no_b3sum);
        assert_eq!((args.report, args.progress), (None, Mode::Auto));
        assert_eq!((args.used, args.force), (None, false));
        let slow = (args.slow, args.slow_after, args.slow_below);
        assert_eq!(slow, (None, Duration::from_millis(500), 50));
    }

    #[test]
    fn every_option_is_read() {
        let args = parse(&[
            "--interface",
            "eth1",
            "--session",
            "lab",
            "--port",
            "7000",
            "--ttl",
            "4",
            "--key-file",
            "room.key",
            "--min-receivers",
            "30",
            "--min-wait",
            "5s",
            "--max-wait",
            "5m",
            "--start-timeout",
            "1h",
            "--linger",
            "1m",
            "--slow",
            "drop",
            "--slow-after",
            "2s",
            "--slow-below",
            "25%",
            "--rate",
            "2.5G",
            "--parity",
            "8",
            "--compress",
            "-3",
            "--report",
            "r.json",
            "--progress",
            "json",
            "-",
        ])
        .unwrap();
        assert_eq!(args.image, "-");
        assert_eq!(args.interface.as_deref(), Some("eth1"));
        assert_eq!(args.session.as_deref(), Some("lab"));
        assert_eq!((args.port, args.ttl, args.min_receivers), (7000, 4, 30));
        assert_eq!(args.key_file, Some(PathBuf::from("room.key")));
        assert_eq!(args.min_wait, Duration::from_secs(5));
        assert_eq!(args.max_wait, Some(Duration::from_secs(300)));
        assert_eq!(args.start_timeout, Duration::from_secs(3600));
        assert_eq!(args.linger, Duration::from_secs(60));
        assert_eq!(args.rate, Some(Rate(2_500_000_000)));
        let slow = (args.slow, args.slow_after, args.slow_below);
        assert_eq!(slow, (Some(Policy::Drop), Duration::from_secs(2), 25));
        assert_eq!(args.parity, Parity::Fixed(8));
        assert_eq!(args.compress, Some("-3".parse().unwrap()));
        assert_eq!(args.report, Some(PathBuf::from("r.json")));
        assert_eq!(args.progress, Mode::Json);
    }

    #[test]
    fn options_that_do_not_go_with_others_are_read() {
        let at = parse(&["--start-at", "14:30", "--sign-key", "lab.key", "x"]).unwrap();
        assert_eq!(at.start_at.as_deref(), Some("14:30"));
        assert_eq!(at.sign_key, Some(PathBuf::from("lab.key")));
        let used = parse(&["--used", "off", "--force", "x"]).unwrap();
        assert_eq!((used.used, used.force), (Some(UsedMode::Off), true));
        assert!(!used.scrub && parse(&["--scrub", "x"]).unwrap().scrub);
        let locked = parse(&["--passphrase-file", "p", "--no-b3sum", "x"]).unwrap();
        assert_eq!(locked.passphrase_file, Some(PathBuf::from("p")));
        assert!(locked.no_b3sum);
        let locked = parse(&["--identity", "i", "x"]).unwrap();
        assert_eq!(locked.identity, Some(PathBuf::from("i")));
    }

    #[test]
    fn mistakes_exit_with_2_and_name_the_option() {
        let wrong: [(&[&str], &str); 19] = [
            (&[], "<IMAGE>"),
            (&["a", "b"], "'b'"),
            (&["--port", "0", "x"], "--port"),
            (&["--port", "65536", "x"], "--port"),
            (&["--ttl", "0", "x"], "--ttl"),
            (&["--ttl", "256", "x"], "--ttl"),
            (&["--min-receivers", "0", "x"], "--min-receivers"),
            (&["--min-wait", "5", "x"], "--min-wait"),
            (&["--start-timeout", "0s", "x"], "--start-timeout"),
            (&["--slow", "ignore", "x"], "--slow"),
            (&["--slow-after", "0s", "x"], "--slow-after"),
            (&["--slow-below", "100%", "x"], "--slow-below"),
            (&["--parity", "69", "x"], "--parity"),
            (&["--compress", "23", "x"], "--compress"),
            (&["--used", "all", "x"], "--used"),
            (&["--progress", "loud", "x"], "--progress"),
            (&["--open", "--key-file", "k", "x"], "--key-file"),
            (
                &["--identity", "i", "--passphrase-file", "p", "x"],
                "--identity",
            ),
            (
                &["--start-at", "14:30", "--max-wait", "5m", "x"],
                "--max-wait",
            ),
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
