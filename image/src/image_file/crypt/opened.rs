//! Reads what is encrypted, at any offset.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use age::secrecy::ExposeSecret as _;
use age::stream::StreamReader;
use age::{DecryptError, Decryptor, Identity};
use age_core::format::{FileKey, Stanza};

use super::Credentials;
use crate::image_file::Locked;

/// The most that a header may demand before its passphrase is tried: 1 GiB of memory, 4 s.
const MAX_WORK: u8 = 20;

/// The content of an age file, at any offset. Several threads decrypt at the same time.
pub(crate) struct Opened {
    file: Arc<File>,
    key: KnownKey,
    /// Those that nobody uses just now. One that met an error is in a state that no later read can
    /// rely on, and is not put back.
    readers: Mutex<Vec<StreamReader<Positioned>>>,
    len: u64,
}

impl Opened {
    /// Opens the age file; finding its key may take a second, by design of passphrases.
    pub(crate) fn open(file: File, credentials: &Credentials) -> Result<Self, Locked> {
        let other = |error: io::Error| Locked::Other(error.to_string());
        let file = Arc::new(file);
        let decryptor = Decryptor::new(Positioned::start(&file)).map_err(locked)?;
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
            found: Mutex::new(None),
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
            readers: Mutex::new(vec![reader]),
            len,
        })
    }

    /// Bytes of the content.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` from `offset` on.
    pub(crate) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let readers = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let free = readers().pop();
        let mut reader = match free {
            Some(reader) => reader,
            None => self.another()?,
        };
        reader.seek(SeekFrom::Start(offset))?;
        reader.read_exact(buffer)?;
        readers().push(reader);
        Ok(())
    }

    fn another(&self) -> io::Result<StreamReader<Positioned>> {
        let decryptor = Decryptor::new(Positioned::start(&self.file)).map_err(io::Error::other)?;
        decryptor
            .decrypt(std::iter::once(&self.key as &dyn Identity))
            .map_err(io::Error::other)
    }
}

/// A file with a position of its own, unlike copies of a descriptor, which share one.
struct Positioned {
    file: Arc<File>,
    at: u64,
}

impl Positioned {
    fn start(file: &Arc<File>) -> Self {
        Self {
            file: Arc::clone(file),
            at: 0,
        }
    }
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => (&*self.file).seek(SeekFrom::End(0))?.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
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
    found: Mutex<Option<KnownKey>>,
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
