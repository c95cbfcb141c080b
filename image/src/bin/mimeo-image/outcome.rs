//! What becomes of a subcommand.

/// Why a subcommand does not end in success. The message says what failed, where, and what to do.
#[derive(Debug)]
pub(crate) enum Error {
    /// It cannot be, as it is given.
    Usage(String),
    /// It was tried and failed.
    Failure(String),
    /// What it is about must not or cannot be read or written.
    Refused(String),
    /// It was carried out, and found something that is to be mended: what it prints.
    Findings(String),
    /// An image is not what was captured, or a target not what was written.
    Damaged(String),
    /// The operator stopped it.
    Interrupted(String),
    /// Another process has told why, and ended with this exit code; none if by a signal.
    Told(Option<u8>),
}

impl Error {
    /// Adds what follows from it.
    pub(crate) fn with(mut self, consequence: &str) -> Self {
        let (Self::Usage(text)
        | Self::Failure(text)
        | Self::Refused(text)
        | Self::Damaged(text)
        | Self::Findings(text)
        | Self::Interrupted(text)) = &mut self
        else {
            return self;
        };
        *text += "; ";
        *text += consequence;
        self
    }
}

/// What a subcommand leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// For standard output: what a script takes on.
    pub(crate) output: Option<String>,
    /// For the person in front of it.
    pub(crate) note: Option<String>,
}
