//! `mimeo-image export`: the raw disk of an image file.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use mimeo_image::image_file::restore;
use mimeo_image::target::Unused;
use mimeo_image::{ByteSize, Target, TargetOptions};

use crate::keys::Unlock;
use crate::outcome::{Done, Error};
use crate::progress::{Mode, Progress};
use crate::restore::{failed, target_failed};

/// Make the raw disk of an image, in a file or on standard output
///
/// Unused areas are zeros, and holes in a file. `b3sum` of it is the hash that info shows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    unlock: Unlock,

    /// Overwrite a file that exists
    #[arg(long)]
    overwrite: bool,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    progress: Mode,

    /// The image file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The raw file to be made, or - for standard output
    #[arg(value_name = "RAW", default_value = "-")]
    raw: OsString,
}

/// Exports an image.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let file = args.unlock.open(&args.file)?;
    check(&args.raw, args.overwrite)?;
    let target = Target::open(&args.raw, &TargetOptions::default()).map_err(target_failed)?;
    let name = target.describe();
    let mut writer = target
        .prepare(Some(file.disk_len()))
        .map_err(target_failed)?;
    let mut progress = Progress::start(args.progress, "exporting", file.disk_len())
        .map_err(|error| Error::Failure(format!("signals cannot be caught: {error}")))?;
    restore(&file, &mut writer, Unused::Zero, |done| progress.on(done))
        .map_err(|error| failed(error, &name))?;
    let (len, took) = (ByteSize(file.disk_len()), progress.end());
    Ok(Done {
        output: None,
        note: Some(format!("{name}: {len} exported {took}")),
    })
}

/// A file that is there is somebody's, and a disk is for another subcommand; a pipe is there to be
/// written to.
fn check(raw: &OsStr, overwrite: bool) -> Result<(), Error> {
    let path = Path::new(raw);
    let is_device = |file: Metadata| file.file_type().is_block_device();
    if raw != "-" && path.metadata().is_ok_and(is_device) {
        return Err(Error::Usage(format!(
            "{}: it is a block device; `mimeo-image restore` writes onto disks",
            path.display()
        )));
    }
    if raw != "-" && !overwrite && path.is_file() {
        return Err(Error::Usage(format!(
            "{}: it exists already and is left as it is; name another file, or overwrite it with \
             --overwrite",
            path.display()
        )));
    }
    Ok(())
}
