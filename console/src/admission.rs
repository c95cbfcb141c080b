//! What admits a receiver to a session, as both command lines say it.

use std::path::PathBuf;

use crate::keyfile::{self, Key, KeyFileError};
use crate::{JoinCode, JoinCodeError};

/// What both sides must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Nothing: the session is open to everybody.
    Open,
    /// The same key file.
    Key(Key),
    /// The join code that the sender shows.
    Code(JoinCode),
}

/// Why what was given admits nobody.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// It is no join code.
    #[error("--code: {0}")]
    Code(#[from] JoinCodeError),
    /// The key file cannot be used.
    #[error("--key-file {}: {error}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: KeyFileError,
    },
}

impl Admission {
    /// From `--code`, `--key-file` and `--open`, of which a command line has at most one; [`None`]
    /// where it has none.
    ///
    /// # Errors
    ///
    /// When the code is none, or the key file cannot be used.
    pub fn choose(
        code: Option<&str>,
        key_file: Option<PathBuf>,
        open: bool,
    ) -> Result<Option<Self>, AdmissionError> {
        if let Some(code) = code {
            return Ok(Some(Self::Code(JoinCode::parse(code)?)));
        }
        match key_file {
            Some(path) => match keyfile::read(&path) {
                Ok(key) => Ok(Some(Self::Key(key))),
                Err(error) => Err(AdmissionError::KeyFile { path, error }),
            },
            None => Ok(open.then_some(Self::Open)),
        }
    }
}
