//! `mimeo-image restore`: an image file onto a disk, without a network.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::PathBuf;

use mimeo_image::fit::Geometry;
use mimeo_image::image_file::{ImageFile, ReadBack, RestoreError, read_back, restore};
use mimeo_image::target::{Unused, can_be_read_back};
use mimeo_image::{ByteSize, ReadMode, ReadPath, Target, TargetError, TargetOptions, TargetWriter};

use crate::keys::{Unlock, refused};
use crate::outcome::{Done, Error};
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

    /// Read everything back from the disk, past the page cache, and compare it with the image; fail
    /// with exit code 6 where it differs
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    unlock: Unlock,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    progress: Mode,

    /// The image file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// A block device, a file, auto for the only internal disk, - for standard output, or the word `null:` to
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
    if args.verify && !can_be_read_back(&args.target) {
        return Err(Error::Usage(format!(
            "--verify: {} cannot be read back; name a file or a block device, or leave --verify out: \
             every block is checked before it is written all the same",
            args.target.display()
        )));
    }
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
    let writer = target
        .prepare(Some(file.disk_len()))
        .map_err(target_failed)?;
    let mut restoring = Restoring {
        file,
        writer,
        name,
        unused,
        progress: args.progress,
    };
    let mut note = restoring.write()?;
    // What is read back has to be the image as yet, so the table is changed after that.
    if args.verify {
        note += &restoring.prove()?;
    }
    restoring.fit(args.verify)?;
    Ok(Done {
        output: None,
        note: Some(note),
    })
}

/// An image that is being restored.
struct Restoring {
    file: ImageFile,
    writer: TargetWriter,
    /// The target, for people.
    name: String,
    unused: Unused,
    progress: Mode,
}

impl Restoring {
    fn start(&self, what: &'static str) -> Result<Progress, Error> {
        Progress::start(self.progress, what, self.file.disk_len())
            .map_err(|error| Error::Failure(format!("signals cannot be caught: {error}")))
    }

    /// Writes everything and flushes it. Returns what there is to be told.
    fn write(&mut self) -> Result<String, Error> {
        let mut progress = self.start("restoring")?;
        restore(&self.file, &mut self.writer, self.unused, |done| {
            progress.on(done)
        })
        .map_err(|error| failed(error, &self.name))?;
        let kept = self.unused != Unused::Zero && self.file.description().blocks.unused > 0;
        let note = if kept {
            "; unused areas are not written, so the disk's own hash is not that of the image"
        } else {
            ""
        };
        let len = ByteSize(self.file.disk_len());
        let (name, took) = (&self.name, progress.end());
        Ok(format!("{name}: {len} restored and flushed {took}{note}"))
    }

    /// Reads everything back. Returns what there is to be told.
    fn prove(&mut self) -> Result<String, Error> {
        let mut progress = self.start("verifying")?;
        let found = read_back(&self.file, &self.writer, self.unused, |done| {
            progress.on(done)
        })
        .map_err(|error| self.not_proved(error))?;
        let path = match found {
            ReadBack::Right(path) => path,
            ReadBack::Different(difference) => {
                return Err(self.different(&difference.to_string()));
            }
        };
        // What was read may have lost its name since the flush.
        self.writer.confirm().map_err(target_failed)?;
        let from = match path {
            ReadPath::Direct => "from the disk, past the page cache",
            // It was not asked for, but would be no more than this.
            ReadPath::CacheDropped | ReadPath::Cached => {
                "through the page cache, which was told to forget it first: direct reads were refused"
            }
            ReadPath::Memory => "from memory: its file system has no disk behind the page cache",
        };
        Ok(format!("\nread back {} {from}", progress.end()))
    }

    /// Fits the partition table to the disk; with `verify` what was written for it is read back.
    fn fit(&mut self, verify: bool) -> Result<(), Error> {
        let fitted = self
            .writer
            .fit(self.file.disk_len())
            .map_err(target_failed)?;
        if verify && fitted.is_changed() {
            let reader = self.writer.reader(ReadMode::Direct);
            let found = reader
                .and_then(|mut reader| fitted.prove(&mut reader))
                .map_err(target_failed)?;
            if let Some(Range { start, end }) = found {
                return Err(self.different(&format!(
                    "the partition table that was fitted to it differs between bytes {start} and \
                     {end}"
                )));
            }
        }
        for note in fitted.notes {
            let mark = if note.is_warning() { "warning: " } else { "" };
            // Nobody reading it is no reason to stop.
            let _ = writeln!(io::stderr(), "{mark}{note}");
        }
        Ok(())
    }

    fn different(&self, how: &str) -> Error {
        Error::Damaged(format!(
            "{}: what was written and flushed reads back differently: {how}; it does not hold the \
             image: look for errors in the kernel's log (dmesg), and do not trust this disk",
            self.name
        ))
    }

    fn not_proved(&self, error: RestoreError) -> Error {
        let name = &self.name;
        let open = format!(
            "{name} was written and flushed, but not proved, and a partition table that had to be \
             fitted to it was not; restore it again"
        );
        match error {
            RestoreError::Stopped => Error::Interrupted(format!("interrupted: {open}")),
            RestoreError::File(error) => refused(error).with(&open),
            RestoreError::Target(error) => target_failed(error).with(&open),
        }
    }
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
