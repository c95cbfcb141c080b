//! The key file: 32 random bytes that the sender and every receiver of a room hold.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;

/// The content of a key file. It is wiped when it is dropped, and not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; KEY_LEN]>);

impl Key {
    /// A key from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How a key file is made; part of every message that asks for one.
pub const MAKE: &str = "head -c 32 /dev/urandom > room.key && chmod 600 room.key";

/// Permission bits of the group and of others: none may be set.
const EXPOSED: u32 = 0o077;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("there is no such file; make a key with `{MAKE}`, or copy the sender's")]
    Missing,
    /// The system does not let us read it.
    #[error("permission denied; run as the user who owns it, or as root")]
    Denied,
    /// A directory, a device or a pipe.
    #[error("it is not a regular file; make a key with `{MAKE}`")]
    NotRegular,
    /// Others on the machine can read it.
    #[error(
        "its mode is {mode:03o}, others on this machine can use it; \
         run `chmod 600 {}`, and make a new key if others did read it", path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold exactly one key.
    #[error("a key is exactly {KEY_LEN} bytes, it has {found}; make one with `{MAKE}`")]
    Length {
        /// Bytes of the file.
        found: u64,
    },
    /// All of its bytes are zero: a file that was made and never written to.
    #[error("it holds nothing but zeros, which anyone can guess; make a key with `{MAKE}`")]
    Zeros,
    /// Reading failed.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
}

/// Reads the key.
///
/// # Errors
///
/// When the file is missing, unreadable, not a regular file of exactly 32 bytes, all zeros, or
/// accessible to the group or to others.
pub fn read(path: &Path) -> Result<Key, KeyFileError> {
    let file = open(path)?;
    // Asked of the open file, so that nobody can exchange it between the look and the read.
    let about = file.metadata().map_err(KeyFileError::Read)?;
    if !about.is_file() {
        return Err(KeyFileError::NotRegular);
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & EXPOSED != 0 {
        return Err(KeyFileError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    if about.len() != KEY_LEN as u64 {
        return Err(KeyFileError::Length { found: about.len() });
    }
    let mut key = Key::new([0; KEY_LEN]);
    (&file)
        .read_exact(key.0.as_mut())
        .map_err(KeyFileError::Read)?;
    if key.bytes() == &[0; KEY_LEN] {
        return Err(KeyFileError::Zeros);
    }
    Ok(key)
}

/// Opens without waiting: a named pipe in the file's place must not hang the program.
fn open(path: &Path) -> Result<File, KeyFileError> {
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of open fits an int");
    OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => KeyFileError::Missing,
            ErrorKind::PermissionDenied => KeyFileError::Denied,
            _ => KeyFileError::Read(error),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    fn file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("room.key");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_private_file_of_32_bytes_is_a_key() {
        for mode in [0o600, 0o400] {
            let (_dir, path) = file(&[7; 32], mode);
            let key = read(&path).unwrap();
            assert_eq!(key.bytes(), &[7; 32]);
            assert_eq!(format!("{key:?}"), "Key(..)", "logs do not tell it");
        }
    }

    #[test]
    fn zeros_are_no_key() {
        let (_dir, path) = file(&[0; 32], 0o600);
        let error = read(&path).unwrap_err();
        assert!(matches!(error, KeyFileError::Zeros), "{error}");
    }

    #[test]
    fn a_file_that_others_may_touch_is_refused() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            let (_dir, path) = file(&[7; 32], mode);
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("mode is {mode:o}")), "{error}");
            assert!(
                error.contains(&format!("chmod 600 {}", path.display())),
                "{error}"
            );
        }
    }

    #[test]
    fn another_length_is_refused_and_told() {
        for len in [0, 31, 33, 65] {
            let (_dir, path) = file(&vec![7; len], 0o600);
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("it has {len};")), "{error}");
            assert!(error.contains("/dev/urandom"), "{error}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path()), Err(KeyFileError::NotRegular)));
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(matches!(read(&pipe), Err(KeyFileError::NotRegular)));
        let missing = read(&dir.path().join("none")).unwrap_err();
        assert!(matches!(missing, KeyFileError::Missing));
        assert!(missing.to_string().contains(MAKE));
    }
}
