//! Where damage is told of that comes to light while files are served.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, PoisonError};

/// The socket of syslog(3).
const SYSTEM_LOG: &str = "/dev/log";

/// Facility 1, user level, and severity 4, a warning (RFC 5424, section 6.2.1).
const PRIORITY: u32 = 8 + 4;

/// The most warnings that are remembered, so as not to be repeated: an image with more damaged
/// blocks has been told of often enough.
const MAX_TOLD: usize = 1000;

/// Who reads them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Warnings {
    /// Whoever reads standard error.
    Shown,
    /// Whoever reads the system's log.
    System,
}

/// Tells each warning once.
#[derive(Debug)]
pub(super) struct Teller {
    to: Warnings,
    told: Mutex<HashSet<String>>,
}

impl Teller {
    pub(super) fn new(to: Warnings) -> Self {
        Self {
            to,
            told: Mutex::default(),
        }
    }

    /// Tells it, unless it was told.
    pub(super) fn warn(&self, text: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() == MAX_TOLD || told.contains(&text) {
            return;
        }
        // Nobody reading it is no reason to stop.
        match self.to {
            Warnings::Shown => {
                let _ = writeln!(io::stderr(), "warning: {text}");
            }
            Warnings::System => {
                let line = format!("<{PRIORITY}>mimeo-image[{}]: {text}", std::process::id());
                let _ = UnixDatagram::unbound()
                    .and_then(|socket| socket.send_to(line.as_bytes(), SYSTEM_LOG));
            }
        }
        told.insert(text);
    }
}
