//! `mimeo-image restore`: an image file onto a disk, without a network.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;

use mimeo_image::fit::Geometry;
use mimeo_image::image_file::{RestoreError, restore};
use mimeo_image::target::Unused;
use mimeo_image::{ByteSize, Target, TargetError, TargetOptions};

use crate::cli::{Done, Error};
use crate::keys::{Unlock, refused};
use crate::progress::{Mode, Progress};

/// Write an image onto a disk
///
/// Every block is checked before it is written. A disk of another length gets the partition table that
/// it must have, and one that is too small for the partitions is refused. It is done when this ends with exit code 0; before,
/// the target holds a part of the image only.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Overwrite a device although it has a partition table or a file system
    #[arg(long)]
    yes: bool,

    /// The serial number that the target's disk must have
    #[arg(long, value_name = "SERIAL")]
    serial: Option<String>,

    /// What becomes of what a disk holds where no filesystem of the image uses anything [default:
    /// keep; files and pipes get zeros there]
    #[arg(long, value_name = "HOW", value_enum)]
    unused: Option<How>,

    #[command(flatten)]
    unlock: Unlock,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    progress: Mode,

    /// The image file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// A block device, a file, auto for the only internal disk, - for standard output, or null: to
    /// discard
    #[arg(value_name = "TARGET")]
    target: OsString,
}

/// What becomes of unused areas, as it is said on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum How {
    /// It stays: nothing is written there
    Keep,
    /// The disk is told that nobody needs it (discard, TRIM), which keeps an SSD fast
    Discard,
    /// It becomes zeros
    Zero,
}

impl From<How> for Unused {
    fn from(how: How) -> Self {
        match how {
            How::Keep => Self::Keep,
            How::Discard => Self::Discard,
            How::Zero => Self::Zero,
        }
    }
}

/// Restores an image.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let file = args.unlock.open(&args.file)?;
    let options = TargetOptions {
        yes: args.yes,
        serial: args.serial.clone(),
    };
    let mut target = Target::open(&args.target, &options).map_err(target_failed)?;
    let geometry = Geometry::of(&file, file.description().sector_size);
    target.check(&geometry.needs()).map_err(target_failed)?;
    let name = target.describe();
    let unused = target
        .unused(args.unused.map(Unused::from))
        .map_err(target_failed)?;
    let disk = ByteSize(file.disk_len());
    // Nobody reading it is no reason to stop.
    let _ = writeln!(io::stderr(), "restoring {disk} onto {name}");
    let mut writer = target
        .prepare(Some(file.disk_len()))
        .map_err(target_failed)?;
    let mut progress = Progress::start(args.progress, "restoring", file.disk_len())
        .map_err(|error| Error::Failure(format!("signals cannot be caught: {error}")))?;
    restore(&file, &mut writer, unused, |done| progress.on(done))
        .map_err(|error| failed(error, &name))?;
    let fitted = writer.fit(file.disk_len()).map_err(target_failed)?;
    for note in fitted.notes {
        let mark = if note.is_warning() { "warning: " } else { "" };
        // Nobody reading it is no reason to stop.
        let _ = writeln!(io::stderr(), "{mark}{note}");
    }
    let kept = unused != Unused::Zero && file.description().blocks.unused > 0;
    let note = format!(
        "{name}: {} restored and flushed {}{}",
        ByteSize(file.disk_len()),
        progress.end(),
        if kept {
            "; unused areas are not written, so the disk's own hash is not that of the image"
        } else {
            ""
        }
    );
    Ok(Done {
        output: None,
        note: Some(note),
    })
}

/// Why the target does not hold the image.
pub(crate) fn failed(error: RestoreError, target: &str) -> Error {
    let incomplete = format!("{target} does not hold the image, only a part of it");
    match error {
        RestoreError::Stopped => Error::Interrupted(format!("interrupted: {incomplete}")),
        RestoreError::File(error) => refused(error).with(&incomplete),
        RestoreError::Target(error) => target_failed(error).with(&incomplete),
    }
}

pub(crate) fn target_failed(error: TargetError) -> Error {
    match error {
        error if error.is_refusal() => Error::Refused(error.to_string()),
        error => Error::Failure(error.to_string()),
    }
}
