//! Encryption at rest, in the format of age (age-encryption.org/v1): `age -d` opens it, too.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret as _, SecretString};
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile, Recipient, x25519};
use age_core::format::{FileKey, Stanza};
use thiserror::Error;

use super::Locked;

/// How every age file begins.
pub(super) const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// More is no passphrase.
const MAX_PASSPHRASE: u64 = 64 << 10;

/// Rounds of scrypt for a new passphrase, as a power of two: those of age itself. They take a
/// second and 256 MiB.
const WORK: u8 = 18;

/// The most that a header may demand before its passphrase is tried: 1 GiB of memory, 4 s.
const MAX_WORK: u8 = 20;

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

/// The content of an age file, at any offset.
pub(super) struct Opened {
    file: File,
    key: KnownKey,
    /// Gone after an error, which leaves it in a state that no later read can rely on.
    reader: Option<StreamReader<File>>,
    len: u64,
}

impl Opened {
    /// Opens the age file; finding its key may take a second, by design of passphrases.
    pub(super) fn open(file: File, credentials: &Credentials) -> Result<Self, Locked> {
        let other = |error: io::Error| Locked::Other(error.to_string());
        let copy = || file.try_clone().map_err(other);
        let decryptor = Decryptor::new(rewound(copy()?).map_err(other)?).map_err(locked)?;
        let passphrase = credentials.passphrase.as_ref().map(|passphrase| {
            let mut identity = age::scrypt::Identity::new(passphrase.clone());
            identity.set_max_work_factor(MAX_WORK);
            identity
        });
        if passphrase.is_none() && credentials.identities.is_empty() {
            return Err(Locked::NoCredentials);
        }
        let finder = KeyFinder {
            passphrase,
            credentials,
            found: std::sync::Mutex::new(None),
        };
        let mut reader = decryptor
            .decrypt(std::iter::once(&finder as &dyn Identity))
            .map_err(locked)?;
        let key = finder
            .found
            .into_inner()
            .ok()
            .flatten()
            .ok_or(Locked::WrongCredentials)?;
        // Decrypts the last chunk, so a file whose end is missing is found out here.
        let len = reader.seek(SeekFrom::End(0)).map_err(other)?;
        Ok(Self {
            file,
            key,
            reader: Some(reader),
            len,
        })
    }

    /// Bytes of the content.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` from `offset` on.
    pub(super) fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.again()?,
        };
        reader.seek(SeekFrom::Start(offset))?;
        reader.read_exact(buffer)?;
        self.reader = Some(reader);
        Ok(())
    }

    fn again(&self) -> io::Result<StreamReader<File>> {
        let file = rewound(self.file.try_clone()?)?;
        let decryptor = Decryptor::new(file).map_err(io::Error::other)?;
        decryptor
            .decrypt(std::iter::once(&self.key as &dyn Identity))
            .map_err(io::Error::other)
    }
}

fn rewound(mut file: File) -> io::Result<File> {
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn locked(error: DecryptError) -> Locked {
    match error {
        DecryptError::NoMatchingKeys
        | DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed => Locked::WrongCredentials,
        DecryptError::ExcessiveWork { required, .. } => Locked::Other(format!(
            "its header demands 2^{required} rounds of scrypt, at most 2^{MAX_WORK} are made"
        )),
        error => Locked::Other(error.to_string()),
    }
}

/// Finds the key of a file, and keeps it.
struct KeyFinder<'a> {
    passphrase: Option<age::scrypt::Identity>,
    credentials: &'a Credentials,
    found: std::sync::Mutex<Option<KnownKey>>,
}

impl Identity for KeyFinder<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.keep(|identity| identity.unwrap_stanza(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        self.keep(|identity| identity.unwrap_stanzas(stanzas))
    }
}

impl KeyFinder<'_> {
    fn keep(
        &self,
        unwrap: impl Fn(&dyn Identity) -> Option<Result<FileKey, DecryptError>>,
    ) -> Option<Result<FileKey, DecryptError>> {
        let passphrase = self.passphrase.iter().map(|it| it as &dyn Identity);
        let others = self.credentials.identities.iter();
        let all = passphrase.chain(others.map(|it| &**it as &dyn Identity));
        let key = all.into_iter().find_map(&unwrap)?;
        if let (Ok(key), Ok(mut found)) = (&key, self.found.lock()) {
            *found = Some(KnownKey(copy(key)));
        }
        Some(key)
    }
}

/// The key of a file that was opened before.
struct KnownKey(FileKey);

impl Identity for KnownKey {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(copy(&self.0)))
    }
}

fn copy(key: &FileKey) -> FileKey {
    FileKey::init_with_mut(|bytes| bytes.copy_from_slice(key.expose_secret()))
}
