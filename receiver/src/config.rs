//! What a receiver is to do: the command line, checked as a whole and resolved.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mimeo_console::{Admission, AdmissionError, Mode, ReportFile, ReportFileError, keyfile};
use mimeo_image::TargetOptions;
use mimeo_image::target::{Unused, can_be_read_back};
use mimeo_protocol::keys::VerifyingKey;

use crate::cli::Args;
use crate::exit::Exit;
use crate::then::Then;

/// Bytes of a session name that fit the announce.
const MAX_NAME: usize = 255;

/// What the engine needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The target: a path, `auto`, `-` for standard output, or `null:`.
    pub target: OsString,
    /// What the operator allows to overwrite.
    pub target_options: TargetOptions,
    /// Read the target back before it is confirmed: it is a file or a block device.
    pub verify: bool,
    /// Keep what the target holds of the image already: it is a file or a block device.
    pub resume: bool,
    /// What becomes of what the target holds where the image is unused, if anything was said.
    pub unused: Option<Unused>,
    /// Name of the network interface; without it the only suitable one is taken.
    pub interface: Option<String>,
    /// Join this session only: 1 to 255 bytes without control characters.
    pub session_name: Option<String>,
    /// Ask this host instead of the control group.
    pub sender: Option<SocketAddr>,
    /// UDP port of the rendezvous, not 0.
    pub port: u16,
    /// What the receiver holds, and so which sessions it joins.
    pub admission: Admission,
    /// The only sender that anything is taken from.
    pub sender_key: Option<VerifyingKey>,
    /// Bytes of buffers, at least 16 MiB.
    pub memory: u64,
    /// Give up after this long without a session; above zero.
    pub start_timeout: Duration,
    /// Give up after the sender was silent for this long; above zero.
    pub idle_timeout: Duration,
}

/// How the operator is told, and what follows.
#[derive(Debug, Clone)]
pub struct Presentation {
    /// Where the report goes.
    pub report: Option<ReportFile>,
    /// How progress is shown.
    pub progress: Mode,
    /// What the machine does once it holds the image.
    pub then: Then,
}

/// Why a command line cannot be carried out. Every message names the option and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is nothing to read back.
    #[error(
        "--verify: {} cannot be read back; name a file or a block device, or leave --verify out: \
         every block is checked before it is written all the same",
        name_of(.0)
    )]
    Verify(OsString),
    /// There is nothing that could be kept.
    #[error(
        "--resume: {} holds nothing that could be kept; name a file or a block device, or leave \
         --resume out",
        name_of(.0)
    )]
    Resume(OsString),
    /// None of `--code`, `--key-file` and `--open`.
    #[error(
        "say which sender to trust: --code CODE joins the one that shows this code, --key-file FILE \
         the one that holds the same key (made with `{}`), --open joins a session that is open to \
         everybody and writes whatever it sends",
        keyfile::MAKE
    )]
    NoAdmission,
    /// The join code or the key file cannot be used.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// No session can have that name.
    #[error(
        "--session {0:?}: a name has 1 to {MAX_NAME} bytes and no control characters; give the \
         name that the sender shows"
    )]
    SessionName(String),
    /// The sender's name has no address.
    #[error(
        "--sender {host}: the name could not be resolved: {error}; give the sender's address \
         instead, or leave --sender out to find it by multicast"
    )]
    Sender {
        /// The name.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// The report cannot be put there.
    #[error("--report {}: {error}", path.display())]
    Report {
        /// The path.
        path: PathBuf,
        /// Why.
        error: ReportFileError,
    },
}

impl ConfigError {
    /// A name server that does not answer is no mistake on the command line: trying again may
    /// help.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            ConfigError::Sender { .. } => Exit::Failure,
            ConfigError::Verify(_)
            | ConfigError::Resume(_)
            | ConfigError::NoAdmission
            | ConfigError::Admission(_)
            | ConfigError::SessionName(_)
            | ConfigError::Report { .. } => Exit::Usage,
        }
    }
}

/// Turns arguments into a configuration that can be run. Asks the name server where the sender
/// is given by name.
///
/// # Errors
///
/// When they name a session, a key, a host or a report that cannot be used.
pub fn resolve(args: Args) -> Result<(Config, Presentation), ConfigError> {
    if args.verify && !can_be_read_back(&args.target) {
        return Err(ConfigError::Verify(args.target));
    }
    if args.resume && !can_be_read_back(&args.target) {
        return Err(ConfigError::Resume(args.target));
    }
    let report = args
        .report
        .map(|path| {
            ReportFile::check(&path, Path::new(&args.target), "target")
                .map_err(|error| ConfigError::Report { path, error })
        })
        .transpose()?;
    let admission = Admission::choose(args.code.as_deref(), args.key_file, args.open)?
        .ok_or(ConfigError::NoAdmission)?;
    let session_name = args.session.map(checked_name).transpose()?;
    let sender = args
        .sender
        .map(|host| {
            host.resolve(args.port)
                .map_err(|error| ConfigError::Sender {
                    host: host.name,
                    error,
                })
        })
        .transpose()?;
    let config = Config {
        target: args.target,
        target_options: TargetOptions {
            yes: args.yes,
            serial: args.serial,
        },
        verify: args.verify,
        resume: args.resume,
        unused: args.unused.map(Unused::from),
        interface: args.interface,
        session_name,
        sender,
        port: args.port,
        admission,
        sender_key: args.sender_key,
        memory: args.memory,
        start_timeout: args.start_timeout,
        idle_timeout: args.idle_timeout,
    };
    let presentation = Presentation {
        report,
        progress: args.progress,
        then: args.then,
    };
    Ok((config, presentation))
}

/// A target as messages call it.
fn name_of(target: &OsStr) -> String {
    match target.to_string_lossy().as_ref() {
        "-" => "standard output".to_owned(),
        "null:" => "what null: discards".to_owned(),
        path => format!("the pipe {path}"),
    }
}

fn checked_name(name: String) -> Result<String, ConfigError> {
    let fits = (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits {
        Ok(name)
    } else {
        Err(ConfigError::SessionName(name))
    }
}

#[cfg(test)]
mod tests;
