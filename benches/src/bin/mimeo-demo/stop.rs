//! Ctrl-C, and the other requests to end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// The error of a demo that was broken off.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Remembers that the demo is to end. The signals no longer end this process, so that
/// it can end its children and remove its files.
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Begins to watch.
    pub(crate) fn watch() -> Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let listen = |kind| {
            let _context = runtime.enter();
            signal(kind).context("cannot watch for signals")
        };
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut hangup = listen(SignalKind::hangup())?;
        let flag = Arc::clone(&stopped);
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            flag.store(true, Ordering::Relaxed);
        });
        Ok(Self(stopped))
    }

    /// True from the first signal on.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error from the first signal on.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_requested() {
            Err(Interrupted.into())
        } else {
            Ok(())
        }
    }
}
