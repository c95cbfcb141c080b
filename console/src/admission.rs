//! What admits a receiver to a session, as both command lines say it.

use std::io::{self, Read, Write as _};
use std::path::PathBuf;

use crate::keyfile::{self, Key, KeyFileError};
use crate::{JoinCode, JoinCodeError, terminal};

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
    /// Standard input did not tell one.
    #[error("--code -: cannot read a line of standard input: {0}")]
    NoLine(#[source] io::Error),
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
    /// From `--code` (`-` is the first line of standard input, as a command line can be read by all
    /// users of the machine), `--key-file` and `--open`, of which a command line has at most one; [`None`]
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
            let code = match code {
                "-" => typed().map_err(AdmissionError::NoLine)?,
                code => code.to_owned(),
            };
            return Ok(Some(Self::Code(JoinCode::parse(&code)?)));
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

/// Longer lines are no codes.
const LONGEST_LINE: usize = 256;

fn typed() -> io::Result<String> {
    if terminal::has_keys() {
        // Nobody reading it is no reason not to listen.
        let _ = write!(io::stderr(), "join code: ");
    }
    first_line(Unbuffered)
}

/// Standard input, of which nothing is taken but what is asked for: what follows the line is of
/// somebody else.
struct Unbuffered;

impl Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(io::stdin(), buffer)?)
    }
}

fn first_line(mut input: impl Read) -> io::Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.len() < LONGEST_LINE {
        match input.read(&mut byte) {
            Ok(1) if byte != *b"\n" => line.extend_from_slice(&byte),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_first_line_and_nothing_is_taken_behind_it() {
        let mut input: &[u8] = b"7-amateur-trumpet\nnext";
        assert_eq!(first_line(&mut input).unwrap(), "7-amateur-trumpet");
        assert_eq!(input, b"next");
        assert_eq!(
            first_line(&b"7-amateur-trumpet"[..]).unwrap(),
            "7-amateur-trumpet"
        );
        assert_eq!(first_line(&[b'x'; 1000][..]).unwrap().len(), LONGEST_LINE);
    }
}
