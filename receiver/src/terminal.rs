//! What comes from the operator while a session runs: signals.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use crate::exit::Exit;
use crate::progress::Screen;
use crate::run::{Command, Severity, Update};

/// What the first of two signals is answered with.
const INTERRUPTED: &str =
    "interrupted, the sender is being told; press Ctrl-C again to stop at once";

/// A second signal sooner than this is the first one's echo: programs that pass signals on send
/// them to a process and to its group.
const ECHO: Duration = Duration::from_millis(500);

/// The first Ctrl-C or SIGTERM ends the session in order, the second one the process.
///
/// They are watched on a thread of their own: the second one works even while the session is
/// stuck in the kernel, say in opening a pipe that nobody reads.
///
/// # Errors
///
/// When the system refuses the handlers or the thread.
pub(crate) fn watch_signals(
    commands: UnboundedSender<Command>,
    updates: UnboundedSender<Update>,
    screen: Screen,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let watch = async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        next().await;
        // Without listeners the session is over and its summary is being written.
        let _ = updates.send(Update::Line(Severity::Warn, INTERRUPTED.to_owned()));
        let _ = commands.send(Command::Interrupt);
        let first = Instant::now();
        while first.elapsed() < ECHO {
            next().await;
        }
        screen.last_words("stopped at once; the sender was not told");
        std::process::exit(Exit::Interrupted.code().into());
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(watch))?;
    Ok(())
}
