//! `mimeo-image sign`: who vouches for an image file.

use std::path::PathBuf;

use mimeo_image::image_file::sign;

use crate::keys::{refused, signing_key};
use crate::outcome::{Done, Error};

/// Sign an image file, so that verify and info tell whose it is
///
/// The signature goes into the place that the file has for it; nothing else changes. An encrypted
/// image can be signed only when it is captured (capture --sign-key).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key's file, as mimeo-image keygen makes it
    #[arg(long, value_name = "FILE")]
    sign_key: PathBuf,

    /// The image file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Signs an image file.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let key = signing_key(&args.sign_key)?;
    sign(&args.file, &key).map_err(refused)?;
    Ok(Done {
        output: None,
        note: Some(format!("{} is signed", args.file.display())),
    })
}
