//! Images and what became of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// True when `copy` exists and has the same bytes as `original`.
///
/// # Errors
///
/// One of them cannot be read.
pub fn is_same(original: &Path, copy: &Path) -> io::Result<bool> {
    let mut copy = match File::open(copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result?,
    };
    let mut original = File::open(original)?;
    let mut left = original.metadata()?.len();
    if copy.metadata()?.len() != left {
        return Ok(false);
    }
    let mut buffers = (vec![0; PIECE], vec![0; PIECE]);
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        original.read_exact(&mut buffers.0[..size])?;
        copy.read_exact(&mut buffers.1[..size])?;
        if buffers.0[..size] != buffers.1[..size] {
            return Ok(false);
        }
        left -= size as u64;
    }
    Ok(true)
}

/// BLAKE3 of a file in hexadecimal, as `b3sum` prints it.
///
/// # Errors
///
/// It cannot be read.
pub fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            size => drop(hasher.update(&buffer[..size])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_are_the_same_only_byte_by_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut bytes = vec![1; PIECE + 5];
        fs::write(path("original"), &bytes).unwrap();
        fs::write(path("same"), &bytes).unwrap();
        *bytes.last_mut().unwrap() = 2;
        fs::write(path("last"), &bytes).unwrap();
        bytes.pop();
        fs::write(path("short"), &bytes).unwrap();
        let same = |name: &str| is_same(&path("original"), &path(name)).unwrap();
        assert!(same("same"));
        assert!(!same("last") && !same("short") && !same("absent"));
    }

    #[test]
    fn the_digest_is_the_public_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("empty");
        fs::write(&path, "").unwrap();
        // The test vector of BLAKE3 for no input.
        let expected = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(digest(&path).unwrap(), expected);
        fs::write(&path, vec![7; PIECE + 1]).unwrap();
        assert_eq!(
            digest(&path).unwrap(),
            blake3::hash(&vec![7; PIECE + 1]).to_hex().as_str()
        );
    }
}
