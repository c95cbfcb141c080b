//! What a session is to do: the command line, checked as a whole and resolved.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Zoned;
use mimeo_console::{
    Admission, AdmissionError, JoinCode, Mode, ReportFile, ReportFileError, duration, terminal,
};
use mimeo_image::image_file::{Credentials, KeyError};
use mimeo_image::source::{SourceOptions, UsedMode};
use mimeo_protocol::block::Level;
use mimeo_protocol::keys::SigningKey;
use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::{Parity, SlowRules};
use mimeo_protocol::wire::DEFAULT_PORT;

use crate::cli::Args;
use crate::sign_key::{self, SignKeyError};
use crate::{slow, start_at};

/// Bytes of a session name that fit the announce.
const MAX_NAME: usize = 255;

/// What the engine needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The image: a path, or `-` for standard input.
    pub source: OsString,
    /// What of it is sent, and what is not refused.
    pub source_options: SourceOptions,
    /// Whether the content of page and swap files is left out, too.
    pub scrub: bool,
    /// Name of the network interface; without it the only suitable one is taken.
    pub interface: Option<String>,
    /// The session's name: 1 to 255 bytes without control characters.
    pub session_name: String,
    /// UDP port of the rendezvous, not 0.
    pub port: u16,
    /// Routers that a multicast datagram may pass, plus one: 1 to 255.
    pub ttl: u8,
    /// Who may join.
    pub admission: Admission,
    /// What signs the image; without it a key of its own for the session.
    pub signing_key: Option<SigningKey>,
    /// When to start.
    pub start: StartRules,
    /// Stay this long for late receivers after all others are done.
    pub linger: Duration,
    /// Stay this long after the last word of a lost receiver.
    pub lost_timeout: Duration,
    /// Never send faster; at least [`Rate::FLOOR`].
    pub rate_cap: Option<Rate>,
    /// Proactive repair symbols.
    pub parity: Parity,
    /// What becomes of slow receivers; never demoted where the image is a stream.
    pub slow: SlowRules,
    /// How hard to compress, if anything was said; not said of an image file.
    pub level: Option<Level>,
    /// What opens an encrypted image file.
    pub credentials: Arc<Credentials>,
    /// Whether the image gets a hash as a whole.
    pub hash_image: bool,
}

impl Config {
    /// Whether the operator can type anything: standard input is a terminal, and not what is sent.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.source != OsStr::new("-") && terminal::has_keys()
    }

    /// Options that receivers have to be given beside the join code, each with a blank before it.
    pub(crate) fn join_options(&self) -> String {
        let mut options = String::new();
        if self.port != DEFAULT_PORT {
            options += &format!(" --port {}", self.port);
        }
        if let Some(key) = &self.signing_key {
            options += &format!(" --sender-key {}", key.verifying_key());
        }
        options
    }
}

/// When a session starts. The times are below `start_timeout` where they could only be
/// overtaken by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRules {
    /// Receivers that must be there, at least 1.
    pub min_receivers: usize,
    /// Wait at least this long after the first receiver joined.
    pub min_wait: Duration,
    /// Start with whoever is there this long after the first receiver joined.
    pub max_wait: Option<Duration>,
    /// Start with whoever is there at this moment, not before.
    pub start_at: Option<SystemTime>,
    /// Give up after this long without a start.
    pub start_timeout: Duration,
}

/// How the operator is told.
#[derive(Debug, Clone)]
pub struct Presentation {
    /// Where the report goes.
    pub report: Option<ReportFile>,
    /// How progress is shown.
    pub progress: Mode,
}

/// Why a command line cannot be carried out. Every message names the option and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No join code can be made.
    #[error("no random numbers for a join code: {0}; give one with --code")]
    NoRandom(getrandom::Error),
    /// The join code or the key file cannot be used.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// The passphrase or the identity cannot be used.
    #[error(transparent)]
    Credentials(#[from] KeyError),
    /// What is to be left out is to be sent.
    #[error(
        "--scrub leaves out what no clone needs, --used off sends every byte: choose one of them"
    )]
    ScrubWhole,
    /// Nobody would see the join code.
    #[error(
        "--progress none shows nobody the join code that is made: give --code, --key-file or --open"
    )]
    UnseenCode,
    /// Standard input holds the image.
    #[error("--code - reads the code from standard input, which is the image; give --key-file")]
    CodeAndImage,
    /// The key that signs cannot be used.
    #[error(transparent)]
    SignKey(#[from] SignKeyError),
    /// The session's name cannot be announced.
    #[error(
        "--session {0:?}: a name has 1 to {MAX_NAME} bytes and no control characters; \
         choose another"
    )]
    SessionName(String),
    /// `--start-at` is no moment to come.
    #[error("--start-at {0}")]
    StartAt(String),
    /// The session would be given up before a wait is over.
    #[error(
        "{option} {}: --start-timeout {} would give up before; raise --start-timeout",
        duration::show(*wait), duration::show(*timeout)
    )]
    WaitsTooLong {
        /// `--min-wait` or `--max-wait`.
        option: &'static str,
        /// Its value.
        wait: Duration,
        /// The value of `--start-timeout`.
        timeout: Duration,
    },
    /// `--max-wait` is below `--min-wait`.
    #[error(
        "--max-wait {} is below --min-wait {}; raise the one or lower the other",
        duration::show(*max), duration::show(*min)
    )]
    WaitsCross {
        /// The value of `--max-wait`.
        max: Duration,
        /// The value of `--min-wait`.
        min: Duration,
    },
    /// A stream cannot be sent again to those that were left behind.
    #[error(
        "--slow demote: standard input is sent once, so nobody can be served later; \
         --slow wait lets the room wait, --slow drop sends slow receivers away"
    )]
    DemoteOfStream,
    /// The report cannot be put there.
    #[error("--report {}: {error}", path.display())]
    Report {
        /// The path.
        path: PathBuf,
        /// Why.
        error: ReportFileError,
    },
}

/// Turns arguments into a configuration that can be run; `now` is the wall clock.
///
/// # Errors
///
/// When they contradict each other, or name a key or a report that cannot be used.
pub fn resolve(args: Args, now: &Zoned) -> Result<(Config, Presentation), ConfigError> {
    let start = start_rules(&args, now)?;
    let session_name = match args.session {
        Some(name) => checked_name(name)?,
        None => default_name(&args.image),
    };
    let report = args
        .report
        .map(|path| {
            ReportFile::check(&path, Path::new(&args.image), "image")
                .map_err(|error| ConfigError::Report { path, error })
        })
        .transpose()?;
    if args.code.as_deref() == Some("-") && args.image == "-" {
        return Err(ConfigError::CodeAndImage);
    }
    let admission = match Admission::choose(args.code.as_deref(), args.key_file, args.open)? {
        Some(admission) => admission,
        None if args.progress == Mode::None => return Err(ConfigError::UnseenCode),
        None => new_code()?,
    };
    let signing_key = args
        .sign_key
        .map(|path| sign_key::read(path, &admission))
        .transpose()?;
    let credentials = Credentials::of_files(args.passphrase_file, args.identity)?;
    let stream = args.image.to_str() == Some("-");
    let slow = slow::rules(args.slow, args.slow_after, args.slow_below, stream)
        .ok_or(ConfigError::DemoteOfStream)?;
    let config = Config {
        source: args.image,
        source_options: SourceOptions {
            used: used_mode(args.used, args.scrub)?,
            force: args.force,
            // A file is sent as the file that it is.
            virtual_disks: false,
        },
        scrub: args.scrub,
        interface: args.interface,
        session_name,
        port: args.port,
        ttl: args.ttl,
        admission,
        signing_key,
        start,
        linger: args.linger,
        lost_timeout: args.lost_timeout,
        rate_cap: args.rate,
        parity: args.parity,
        slow,
        level: args.compress,
        credentials: Arc::new(credentials),
        hash_image: !args.no_b3sum,
    };
    let presentation = Presentation {
        report,
        progress: args.progress,
    };
    Ok((config, presentation))
}

fn used_mode(used: Option<UsedMode>, scrub: bool) -> Result<UsedMode, ConfigError> {
    match (used, scrub) {
        (Some(UsedMode::Off), true) => Err(ConfigError::ScrubWhole),
        (None, true) => Ok(UsedMode::Auto),
        (used, _) => Ok(used.unwrap_or_default()),
    }
}

/// Where nothing is said a code is made.
fn new_code() -> Result<Admission, ConfigError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(ConfigError::NoRandom)?;
    Ok(Admission::Code(JoinCode::draw(random)))
}

fn start_rules(args: &Args, now: &Zoned) -> Result<StartRules, ConfigError> {
    let timeout = args.start_timeout;
    let waits = [
        ("--min-wait", args.min_wait),
        ("--max-wait", args.max_wait.unwrap_or_default()),
    ];
    for (option, wait) in waits {
        if wait > Duration::ZERO && wait >= timeout {
            return Err(ConfigError::WaitsTooLong {
                option,
                wait,
                timeout,
            });
        }
    }
    match args.max_wait {
        Some(max) if max < args.min_wait => {
            let min = args.min_wait;
            return Err(ConfigError::WaitsCross { max, min });
        }
        _ => {}
    }
    let start_at = match &args.start_at {
        Some(text) => Some(start_at::parse(text, now).map_err(ConfigError::StartAt)?),
        None => None,
    };
    Ok(StartRules {
        min_receivers: args.min_receivers.into(),
        min_wait: args.min_wait,
        max_wait: args.max_wait,
        start_at,
        start_timeout: timeout,
    })
}

fn checked_name(name: String) -> Result<String, ConfigError> {
    let fits = (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits {
        Ok(name)
    } else {
        Err(ConfigError::SessionName(name))
    }
}

/// The image's file name, or the machine's name where the image has none.
fn default_name(image: &OsStr) -> String {
    let file_name = match image.to_str() {
        Some("-") => None,
        _ => Path::new(image).file_name(),
    };
    let name = match file_name {
        Some(name) => name.to_string_lossy().into_owned(),
        None => rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    };
    let mut name: String = name.replace(char::is_control, "?");
    name.truncate(name.floor_char_boundary(MAX_NAME));
    if name.is_empty() {
        "mimeo".clone_into(&mut name);
    }
    name
}

#[cfg(test)]
mod tests;
