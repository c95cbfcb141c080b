//! `mimeo-image verify`: whether an image file is what was captured.

use std::path::PathBuf;

use mimeo_image::ByteSize;
use mimeo_image::image_file::Verifier;

use crate::info::signer;
use crate::keys::{Unlock, refused};
use crate::outcome::{Done, Error};
use crate::progress::{Mode, Progress};

/// Check every byte of an image file, and its signature if it has one
///
/// Each damaged place is told: where in the file, which block, where on the disk.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    unlock: Unlock,

    /// Fail unless this key has signed it: 64 hexadecimal digits, as `mimeo-image keygen` prints them
    #[arg(long, value_name = "KEY", value_parser = key)]
    sender_key: Option<String>,

    /// Do not compute the BLAKE3 hash of the disk: it takes time for the empty parts, too
    #[arg(long)]
    no_b3sum: bool,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    progress: Mode,

    /// The image file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Verifies an image file.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let file = args.unlock.open(&args.file)?;
    let signer = signer(&file);
    if let Some(wanted) = &args.sender_key
        && signer.as_ref() != Some(wanted)
    {
        return Err(Error::Damaged(format!(
            "{}: it is {}, not by key {wanted}; do not use it unless you know why",
            args.file.display(),
            match &signer {
                Some(key) => format!("signed by key {key}"),
                None => "not signed".to_owned(),
            }
        )));
    }
    let hash_disk = !args.no_b3sum && file.description().blake3.is_some();
    let mut progress = Progress::start(args.progress, "verifying", file.disk_len())
        .map_err(|error| Error::Failure(format!("signals cannot be caught: {error}")))?;
    let verified = Verifier::new(&file, hash_disk)
        .run(|done| progress.on(done))
        .map_err(refused)?;
    let took = progress.end();
    if verified.damages > 0 {
        let mut lines: Vec<_> = verified.damaged.iter().map(ToString::to_string).collect();
        let more = verified.damages - verified.damaged.len() as u64;
        if more > 0 {
            lines.push(format!("and {more} more damaged places"));
        }
        return Err(Error::Damaged(lines.join("\n")));
    }
    if verified.stopped {
        let text = "interrupted; what was checked until then is whole".to_owned();
        return Err(Error::Interrupted(text));
    }
    let signed = match signer {
        Some(key) => format!("signed by key {key}"),
        None => "not signed".to_owned(),
    };
    let (name, len) = (args.file.display(), ByteSize(file.disk_len()));
    Ok(Done {
        output: None,
        note: Some(format!(
            "{name}: every byte is right, {signed}; {len} checked {took}"
        )),
    })
}

/// `--sender-key`
fn key(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(
            "a public key is 64 hexadecimal digits; `mimeo-image keygen --public FILE` shows it"
                .to_owned(),
        )
    }
}
