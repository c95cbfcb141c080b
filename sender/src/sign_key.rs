//! The key that signs an image, from the file of `--sign-key`.

use std::path::PathBuf;

use mimeo_console::{KeyFileError, keyfile};
use mimeo_protocol::keys::{Secret, SigningKey};

use crate::config::{Admission, ConfigError};

/// How such a file is made.
const MAKE: &str = "mimeo-image keygen FILE";

/// Reads the key.
///
/// # Errors
///
/// When the file is no key file, or holds the same key as that of `--key-file`: every receiver
/// holds that one.
pub(crate) fn read(path: PathBuf, admission: &Admission) -> Result<SigningKey, ConfigError> {
    match keyfile::read(&path) {
        Ok(seed) if *admission == Admission::Key(Secret::new(*seed)) => {
            Err(ConfigError::SharedSignKey(path))
        }
        Ok(seed) => Ok(SigningKey::from_seed(&seed)),
        Err(error) => Err(ConfigError::SignKey { path, error }),
    }
}

/// What is wrong with the file, and what to do: this key is not copied from anywhere.
pub(crate) fn text(error: &KeyFileError) -> String {
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
