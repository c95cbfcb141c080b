//! `mimeo-image capture`: a disk into an image file.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use mimeo_image::image_file::{
    Capture, CaptureError, Description, Finished, Form, ImageWriter, Level,
};
use mimeo_image::source::{DiskSource, SourceOptions, UsedMode};
use mimeo_image::used::{Layout, Summary};
use mimeo_image::{ByteSize, Source};

use crate::disk::warn_if_packed;
use crate::keys::{Lock, refused, signing_key};
use crate::outcome::{Done, Error};
use crate::progress::{Mode, Progress};

/// Capture a disk into an image file
///
/// The image file is compressed block by block: `zstd -d FILE -o disk.raw` makes the raw disk of it,
/// and mimeo-sender sends it without compressing anything again. It appears under its name only
/// when it is complete and on the storage medium.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compression: none, fast, default, max, or a level of zstd from -7 to 22
    #[arg(long, value_name = "LEVEL", default_value_t = Level::DEFAULT,
          allow_negative_numbers = true)]
    level: Level,

    /// Something to find in the image again (mimeo-image info); may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,

    #[command(flatten)]
    lock: Lock,

    /// Sign with the key in this file (mimeo-image keygen)
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,

    /// Do not compute the BLAKE3 hash of the disk: it takes time for the empty parts, too
    #[arg(long)]
    no_b3sum: bool,

    /// What to capture: auto, what the filesystems use, by their own maps; off, every byte
    #[arg(long, value_name = "HOW", value_enum, default_value_t = UsedMode::Auto)]
    used: UsedMode,

    /// Leave out the content of page files, hibernation files and swap files, too: what writes them
    /// anew needs none of it
    #[arg(long)]
    scrub: bool,

    /// Capture a hibernated system whole; with --used off, capture even a source that is in use
    #[arg(long)]
    force: bool,

    /// Overwrite an image file that exists
    #[arg(long)]
    overwrite: bool,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    progress: Mode,

    /// A block device that nobody writes to, or the raw image of a disk or partition
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// The image file to be made
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Captures a disk.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let labels = labels(&args.label)?;
    let disk = open(args)?;
    let key = args.sign_key.as_deref().map(signing_key).transpose()?;
    let encryption = args.lock.encryption()?;
    let mut description = describe(args, &disk, labels);
    // Before there is a file that a signal would leave behind.
    let mut progress = Progress::start(args.progress, "capturing", disk.len())
        .map_err(|error| Error::Failure(format!("signals cannot be caught: {error}")))?;
    let mut writer =
        ImageWriter::create(&args.file, args.overwrite, encryption, disk.len()).map_err(refused)?;
    let capture = Capture {
        level: args.level,
        hash_disk: !args.no_b3sum,
    };
    let digest = capture
        .run(&disk, &mut writer, |done| progress.on(done))
        .map_err(failed)?;
    description.blake3 = digest.map(|digest| digest.to_string());
    let finished = writer.finish(&description, key.as_ref()).map_err(refused)?;
    Ok(Done {
        output: description.blake3,
        note: Some(told(args, &disk, &finished, &progress.end())),
    })
}

/// Whether two paths lead to one file or device.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

fn open(args: &Args) -> Result<DiskSource, Error> {
    let is_stream = |meta: std::fs::Metadata| meta.file_type().is_fifo();
    let path = &args.source;
    if path.as_os_str() == "-" || std::fs::metadata(path).is_ok_and(is_stream) {
        return Err(Error::Usage(format!(
            "{}: a stream cannot be captured; name a block device or a raw image",
            path.display()
        )));
    }
    if let Ok(Some(_)) = Form::of_path(path) {
        return Err(Error::Usage(format!(
            "{}: it is an image file already; `mimeo-image export` makes the raw disk of it",
            path.display()
        )));
    }
    if args.scrub && args.used == UsedMode::Off {
        return Err(Error::Usage(
            "--scrub leaves out what no clone needs, --used off captures every byte: choose one of \
             them"
                .to_owned(),
        ));
    }
    if is_same(path, &args.file) {
        return Err(Error::Usage(format!(
            "{}: it is what is captured; name another file for the image",
            args.file.display()
        )));
    }
    let options = SourceOptions {
        used: args.used,
        force: args.force,
        virtual_disks: true,
    };
    match Source::open_with(path.as_os_str(), &options) {
        Ok(Source::Disk(mut disk)) => {
            warn_if_packed(path, &disk);
            if args.scrub {
                scrub(&mut disk);
            }
            if let Some(layout) = disk.layout() {
                warn(layout);
            }
            Ok(disk)
        }
        Ok(other) => Err(Error::Usage(other.describe())),
        Err(error) => Err(Error::Refused(error.to_string())),
    }
}

/// Leaves out what no clone needs, and says so.
fn scrub(disk: &mut DiskSource) {
    for file in disk.scrub() {
        let mark = match file.outcome {
            Ok(_) => "",
            Err(_) => "warning: ",
        };
        // Nobody reading it is no reason to stop.
        let _ = writeln!(io::stderr(), "{mark}{file}");
    }
}

/// Says what is copied whole, and why.
fn warn(layout: &Layout) {
    for remark in layout.remarks() {
        let mark = if remark.is_warning { "warning: " } else { "" };
        // Nobody reading it is no reason to stop.
        let _ = writeln!(io::stderr(), "{mark}{}", remark.text);
    }
}

fn describe(args: &Args, disk: &DiskSource, labels: BTreeMap<String, String>) -> Description {
    let layout = match disk.layout() {
        Some(layout) => Summary::of(layout),
        None => Summary::of(&Layout::examine(&disk.whole())),
    };
    let second = jiff::Timestamp::now().as_second();
    let created = jiff::Timestamp::from_second(second).unwrap_or_default();
    Description {
        tool: concat!("mimeo-image ", env!("CARGO_PKG_VERSION")).to_owned(),
        created: created.to_string(),
        source: disk.describe(),
        level: args.level.to_string(),
        sector_size: disk.sector().or(layout.table.sector_size),
        used: disk.used_bytes(),
        layout: Some(layout),
        labels,
        ..Description::default()
    }
}

fn told(args: &Args, disk: &DiskSource, finished: &Finished, took: &str) -> String {
    let (stored, len) = (ByteSize(finished.len), ByteSize(disk.len()));
    let hash = if args.no_b3sum {
        ""
    } else {
        "; the BLAKE3 hash of the disk is"
    };
    format!(
        "{}: {len} captured {took}, {stored} stored{hash}",
        args.file.display()
    )
}

fn failed(error: CaptureError) -> Error {
    match error {
        CaptureError::Stopped => {
            Error::Interrupted("interrupted; no image file was made".to_owned())
        }
        CaptureError::File(error) => refused(error),
        CaptureError::Source(error) => Error::Failure(format!("{error}; no image file was made")),
    }
}

/// Labels by their keys, each of which says one thing.
fn labels(given: &[(String, String)]) -> Result<BTreeMap<String, String>, Error> {
    let mut labels = BTreeMap::new();
    for (key, value) in given {
        if labels.insert(key.clone(), value.clone()).is_some() {
            return Err(Error::Usage(format!(
                "--label {key}=.. is given more than once; a key has one value"
            )));
        }
    }
    Ok(labels)
}

/// `--label KEY=VALUE`
fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
