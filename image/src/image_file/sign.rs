//! Signs an image file that is there.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ed25519_dalek::SigningKey;

use super::footer::encode_signature;
use super::{Credentials, FileError, ImageFile, Locked};

/// Puts a signature by `key` into the place that the file has for it, over one that is there.
///
/// # Errors
/// If it is encrypted, damaged, or cannot be written.
pub fn sign(path: &Path, key: &SigningKey) -> Result<(), FileError> {
    let file =
        ImageFile::open_to_sign(path, &Credentials::default()).map_err(|error| match error {
            FileError::Locked { path, .. } => FileError::Locked {
                path,
                why: Locked::Sealed,
            },
            error => error,
        })?;
    let (at, frame) = (
        file.signature_at(),
        encode_signature(&file.root(), Some(key)),
    );
    // Gives up the lock for reading.
    drop(file);
    let failed = |action| move |source: io::Error| FileError::io(path, action, at, source);
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(failed("open it for writing"))?;
    if !crate::lock::for_writing(&file) {
        let busy = io::Error::other("another program uses it; wait until that is done");
        return Err(failed("sign it")(busy));
    }
    file.write_all_at(&frame, at)
        .map_err(failed("write the signature"))?;
    file.sync_all().map_err(failed("flush it"))
}
