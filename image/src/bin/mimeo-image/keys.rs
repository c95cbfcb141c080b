//! Options for keys: what opens an encrypted image file, what encrypts a new one, what signs.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use mimeo_image::image_file::{Credentials, Encryption, FileError, ImageFile};

use crate::keygen;
use crate::outcome::Error;

/// What opens an image file that is encrypted.
#[derive(Debug, clap::Args)]
pub(crate) struct Unlock {
    /// Of an encrypted image: a file with the passphrase in its first line
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    passphrase_file: Option<PathBuf>,

    /// Of an encrypted image: a file with an identity of age (age-keygen)
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

impl Unlock {
    /// Opens an image file.
    pub(crate) fn open(&self, path: &Path) -> Result<ImageFile, Error> {
        ImageFile::open(path, &self.credentials()?).map_err(refused)
    }

    pub(crate) fn credentials(&self) -> Result<Credentials, Error> {
        let (passphrase, identity) = (self.passphrase_file.clone(), self.identity.clone());
        Credentials::of_files(passphrase, identity).map_err(|error| Error::Usage(error.to_string()))
    }
}

/// How a new image file is encrypted.
#[derive(Debug, clap::Args)]
pub(crate) struct Lock {
    /// Encrypt the image, in the format of age, for a recipient of age (age1..; may be repeated)
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "passphrase_file")]
    encrypt_to: Vec<String>,

    /// Encrypt the image, in the format of age, by the passphrase in the first line of this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Lock {
    pub(crate) fn encryption(&self) -> Result<Encryption, Error> {
        let encryption = match &self.passphrase_file {
            Some(path) => Encryption::passphrase_file(path),
            None if self.encrypt_to.is_empty() => Ok(Encryption::None),
            None => Encryption::recipients(&self.encrypt_to),
        };
        encryption.map_err(|error| Error::Usage(error.to_string()))
    }
}

/// The key in a file of `keygen`.
pub(crate) fn signing_key(path: &Path) -> Result<SigningKey, Error> {
    Ok(SigningKey::from_bytes(&*keygen::read(path)?))
}

/// What became of an image file that cannot be used.
pub(crate) fn refused(error: FileError) -> Error {
    match error {
        error if error.is_damage() => Error::Damaged(error.to_string()),
        error @ (FileError::Exists { .. } | FileError::NotEncrypted { .. }) => {
            Error::Usage(error.to_string())
        }
        error @ (FileError::NotAnImage { .. }
        | FileError::Locked { .. }
        | FileError::TooLarge { .. }) => Error::Refused(error.to_string()),
        error => Error::Failure(error.to_string()),
    }
}
