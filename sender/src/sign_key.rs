//! The key that signs an image, from the file of `--sign-key`.

use std::path::PathBuf;

use mimeo_console::{Admission, KeyFileError, keyfile};
use mimeo_protocol::keys::SigningKey;

/// How such a file is made.
const MAKE: &str = "mimeo-image keygen FILE";

/// Why the key that signs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignKeyError {
    /// It cannot be read.
    #[error("--sign-key {}: {}", path.display(), text(error))]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: KeyFileError,
    },
    /// Everybody would hold it.
    #[error(
        "--sign-key {}: it is the key of --key-file, which every receiver holds, so that each of \
         them could sign; make another one with `{MAKE}`",
        .0.display()
    )]
    Shared(PathBuf),
}

/// Reads the key.
///
/// # Errors
///
/// When the file is no key file, or holds the same key as that of `--key-file`: every receiver
/// holds that one.
pub(crate) fn read(path: PathBuf, admission: &Admission) -> Result<SigningKey, SignKeyError> {
    match keyfile::read(&path) {
        Ok(key) if *admission == Admission::Key(key.clone()) => Err(SignKeyError::Shared(path)),
        Ok(key) => Ok(SigningKey::from_seed(key.bytes())),
        Err(error) => Err(SignKeyError::File { path, error }),
    }
}

/// What is wrong with the file, and what to do: this key is not copied from anywhere.
fn text(error: &KeyFileError) -> String {
    match error {
        KeyFileError::Missing => format!("there is no such file; make a key with `{MAKE}`"),
        KeyFileError::NotRegular => {
            format!("it is not a regular file; make a key with `{MAKE}`")
        }
        KeyFileError::Length { found } => format!(
            "a key is exactly {} bytes, it has {found}; make one with `{MAKE}`",
            keyfile::KEY_LEN
        ),
        error => error.to_string(),
    }
}
