//! `mimeo-image keygen`: makes a key, in a file of 32 random bytes.
//!
//! The file of a signing key (`mimeo-sender --sign-key`) is the seed of an Ed25519 key (RFC 8032
//! section 5.1.5) and stays on the sender's machine; receivers are given the public key. That of a
//! room (`--key-file`) is on both sides.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::outcome::{Done, Error};

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Permission bits of the group and of others: none may be set.
const EXPOSED: u32 = 0o077;

/// Make a key: for mimeo-sender --sign-key, and print what mimeo-receiver --sender-key takes
///
/// Whoever has the file can send images that receivers take for yours: keep it on the machine that
/// sends. An existing file is never overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make the key of a room instead, for --key-file of the sender and of every receiver
    #[arg(long, conflicts_with = "public")]
    room: bool,

    /// Make nothing: print the public key of a key for --sign-key that exists
    #[arg(long)]
    public: bool,

    /// The key's file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Makes a key, or reads one.
pub(crate) fn run(args: &Args) -> Result<Done, Error> {
    let file = &args.file;
    if args.public {
        return Ok(Done {
            output: Some(public(&*read(file)?)),
            note: None,
        });
    }
    let mut seed = Zeroizing::new([0; KEY_LEN]);
    getrandom::fill(seed.as_mut())
        .map_err(|error| Error::Failure(format!("no random numbers: {error}")))?;
    write(file, &seed)?;
    let path = file.display();
    Ok(if args.room {
        Done {
            output: None,
            note: Some(format!(
                "{path} is made: give it to the sender and to every receiver with --key-file"
            )),
        }
    } else {
        Done {
            output: Some(public(&seed)),
            note: Some(format!(
                "{path} is made: give it to mimeo-sender with --sign-key, and the key below to every \
                 mimeo-receiver with --sender-key"
            )),
        }
    })
}

/// The public key, as `--sender-key` takes it.
fn public(seed: &[u8; KEY_LEN]) -> String {
    let key = SigningKey::from_bytes(seed).verifying_key();
    key.as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes a file that did not exist, for its owner only.
fn write(path: &Path, seed: &[u8; KEY_LEN]) -> Result<(), Error> {
    let name = path.display();
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let file = made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::Usage(format!(
            "{name} exists already and is left as it is: a key that was overwritten is lost; name \
             another file, or print its public key with --public"
        )),
        _ => Error::Failure(format!("{name} cannot be made: {error}")),
    })?;
    fill(&file, seed).map_err(|error| {
        // A part of a key would only be in the way.
        let _ = fs::remove_file(path);
        Error::Failure(format!("{name} cannot be written: {error}"))
    })
}

fn fill(mut file: &File, seed: &[u8; KEY_LEN]) -> io::Result<()> {
    // Whatever the umask has made of it.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(seed)?;
    file.sync_all()
}

/// Reads a key's file by the rules of `--sign-key`: what this takes, that takes.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let name = path.display();
    let usage = |text: String| Error::Usage(format!("{name}: {text}"));
    // Without waiting for whoever writes to a named pipe.
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of open fits an int");
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
        .map_err(|error| usage(format!("it cannot be read: {error}")))?;
    let about = file
        .metadata()
        .map_err(|error| usage(format!("it cannot be read: {error}")))?;
    let mode = about.permissions().mode() & 0o777;
    if !about.is_file() {
        return Err(usage("it is not a regular file".to_owned()));
    }
    if mode & EXPOSED != 0 {
        return Err(usage(format!(
            "its mode is {mode:03o}, others on this machine can use it; run `chmod 600 {name}`, and \
             make a new key if others did read it"
        )));
    }
    if about.len() != KEY_LEN as u64 {
        let found = about.len();
        return Err(usage(format!(
            "a key is exactly {KEY_LEN} bytes, it has {found}"
        )));
    }
    let mut seed = Zeroizing::new([0; KEY_LEN]);
    (&file)
        .read_exact(seed.as_mut())
        .map_err(|error| Error::Failure(format!("{name} cannot be read: {error}")))?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: &Path) -> Args {
        Args {
            room: false,
            public: false,
            file: file.to_owned(),
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_for_its_owner_and_its_public_key_can_be_printed_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lab.key");
        let made = run(&args(&file)).unwrap().output.unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!((mode(&file), fs::read(&file).unwrap().len()), (0o600, 32));
        let public = Args {
            public: true,
            ..args(&file)
        };
        assert_eq!(run(&public).unwrap().output, Some(made.clone()));
        let other = run(&args(&dir.path().join("other.key"))).unwrap();
        assert_ne!(other.output, Some(made));
    }

    #[test]
    fn the_public_key_is_that_of_rfc_8032() {
        // Section 7.1, test 2.
        let seed = [
            0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11,
            0x4e, 0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed,
            0x4f, 0xb8, 0xa6, 0xfb,
        ];
        let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(public(&seed), key);
    }

    #[test]
    fn the_key_of_a_room_prints_nothing_to_pin() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("room.key");
        let room = Args {
            room: true,
            ..args(&file)
        };
        assert_eq!(run(&room).unwrap().output, None);
        assert_eq!((mode(&file), fs::read(&file).unwrap().len()), (0o600, 32));
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lab.key");
        fs::write(&file, "precious").unwrap();
        let Err(Error::Usage(text)) = run(&args(&file)) else {
            panic!("it was overwritten");
        };
        assert!(text.contains("exists already"), "{text}");
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        let nowhere = run(&args(&dir.path().join("no/lab.key")));
        assert!(matches!(nowhere, Err(Error::Failure(_))), "{nowhere:?}");
    }

    #[test]
    fn what_sign_key_would_refuse_has_no_public_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lab.key");
        let refusal = || {
            let public = Args {
                public: true,
                ..args(&file)
            };
            match run(&public) {
                Err(Error::Usage(text)) => text,
                other => panic!("{other:?}"),
            }
        };
        assert!(refusal().contains("cannot be read"));
        run(&args(&file)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(refusal().contains("mode is 644"));
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, [1; 33]).unwrap();
        assert!(refusal().contains("it has 33"));
    }
}
