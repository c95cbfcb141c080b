//! Encryption at rest, in the format of age (age-encryption.org/v1): `age -d` opens it, too.

mod opened;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use age::stream::StreamWriter;
use age::{Encryptor, Identity, IdentityFile, Recipient, x25519};
use thiserror::Error;

pub(super) use self::opened::Opened;

/// How every age file begins.
pub(super) const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// More is no passphrase.
const MAX_PASSPHRASE: u64 = 64 << 10;

/// Rounds of scrypt for a new passphrase, as a power of two: those of age itself. They take a
/// second and 256 MiB.
const WORK: u8 = 18;

/// What may open an encrypted image file.
#[derive(Default)]
pub struct Credentials {
    passphrase: Option<SecretString>,
    identities: Vec<Box<dyn Identity + Send + Sync>>,
}

/// How a new image file is encrypted.
#[derive(Default)]
pub enum Encryption {
    /// Not at all.
    #[default]
    None,
    /// By a passphrase.
    Passphrase(SecretString),
    /// For who holds the identity of one of these.
    Recipients(Vec<x25519::Recipient>),
}

/// A passphrase, recipient or identity that cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("{}: it cannot be read: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no passphrase in it.
    #[error("{}: its first line is to be the passphrase, and is empty or no text", .0.display())]
    NoPassphrase(PathBuf),
    /// There is no identity in it.
    #[error("{}: it has no identity that age could use ({why}); `age-keygen -o FILE` makes one",
             path.display())]
    NoIdentity {
        /// The path.
        path: PathBuf,
        /// What age says.
        why: String,
    },
    /// It is no recipient.
    #[error(
        "{0:?}: it is no recipient of age; that begins with age1, and `age-keygen -y FILE` \
             shows it"
    )]
    NoRecipient(String),
}

/// Without anything that is secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("passphrase", &self.passphrase.is_some())
            .field("identities", &self.identities.len())
            .finish()
    }
}

impl Credentials {
    /// What is in the file of a passphrase, or else in that of an identity; nothing if neither is
    /// named.
    ///
    /// # Errors
    /// As [`Self::passphrase_file`] and [`Self::identity_file`].
    pub fn of_files(
        passphrase: Option<PathBuf>,
        identity: Option<PathBuf>,
    ) -> Result<Self, KeyError> {
        match (passphrase, identity) {
            (Some(path), _) => Self::passphrase_file(&path),
            (None, Some(path)) => Self::identity_file(&path),
            (None, None) => Ok(Self::default()),
        }
    }

    /// Whether there is nothing that could open anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.passphrase.is_none() && self.identities.is_empty()
    }

    /// The passphrase in the first line of a file.
    ///
    /// # Errors
    /// If it cannot be read or is empty.
    pub fn passphrase_file(path: &Path) -> Result<Self, KeyError> {
        Ok(Self {
            passphrase: Some(read_passphrase(path)?),
            identities: Vec::new(),
        })
    }

    /// The identities in a file of `age-keygen`.
    ///
    /// # Errors
    /// If it cannot be read or has none.
    pub fn identity_file(path: &Path) -> Result<Self, KeyError> {
        let none = |why: String| KeyError::NoIdentity {
            path: path.to_owned(),
            why,
        };
        let file = File::open(path).map_err(|source| KeyError::Io {
            path: path.to_owned(),
            source,
        })?;
        let file = IdentityFile::from_buffer(io::BufReader::new(file.take(MAX_PASSPHRASE)))
            .map_err(|error| none(error.to_string()))?;
        let identities = file
            .into_identities()
            .map_err(|error| none(error.to_string()))?;
        if identities.is_empty() {
            return Err(none("it is empty".to_owned()));
        }
        Ok(Self {
            passphrase: None,
            identities,
        })
    }
}

impl Encryption {
    /// By the passphrase in the first line of a file.
    ///
    /// # Errors
    /// If it cannot be read or is empty.
    pub fn passphrase_file(path: &Path) -> Result<Self, KeyError> {
        read_passphrase(path).map(Self::Passphrase)
    }

    /// For recipients as age writes them: `age1..`.
    ///
    /// # Errors
    /// If one is none.
    pub fn recipients(texts: &[String]) -> Result<Self, KeyError> {
        let parse = |text: &String| {
            let none = |_| KeyError::NoRecipient(text.clone());
            text.parse().map_err(none)
        };
        texts
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self::Recipients)
    }
}

fn read_passphrase(path: &Path) -> Result<SecretString, KeyError> {
    let failed = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.take(MAX_PASSPHRASE)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match str::from_utf8(line) {
        Ok(text) if !text.is_empty() => Ok(SecretString::from(text.to_owned())),
        _ => Err(KeyError::NoPassphrase(path.to_owned())),
    }
}

/// What a new image file is written to.
pub(super) enum Sink<W: Write> {
    Plain(W),
    Encrypted(StreamWriter<W>),
}

impl<W: Write> Sink<W> {
    pub(super) fn new(out: W, encryption: Encryption) -> io::Result<Self> {
        let encryptor = match encryption {
            Encryption::None => return Ok(Self::Plain(out)),
            Encryption::Passphrase(passphrase) => {
                let mut recipient = age::scrypt::Recipient::new(passphrase);
                recipient.set_work_factor(WORK);
                encryptor(std::iter::once(&recipient as &dyn Recipient))?
            }
            Encryption::Recipients(recipients) => {
                encryptor(recipients.iter().map(|it| it as &dyn Recipient))?
            }
        };
        encryptor.wrap_output(out).map(Self::Encrypted)
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Encrypted(out) => out.write_all(bytes),
        }
    }

    /// Ends what is encrypted, and gives back where it was written to.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Encrypted(out) => out.finish(),
        }
    }
}

fn encryptor<'a>(recipients: impl Iterator<Item = &'a dyn Recipient>) -> io::Result<Encryptor> {
    Encryptor::with_recipients(recipients).map_err(io::Error::other)
}
