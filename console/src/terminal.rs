//! What comes from the operator while a run goes on: signals, and lines that are typed.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{isatty, tcgetpgrp};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::program::Program;
use crate::update::{Severity, Update};
use crate::{Exit, Screen};

/// How often it is looked whether a program in the background came to the foreground.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 300_000_000,
};

/// A second signal sooner than this is the first one's echo: programs that pass signals on send
/// them to a process and to its group.
const ECHO: Duration = Duration::from_millis(500);

/// The first Ctrl-C, SIGTERM or SIGHUP ends the session in order, the second one the process. SIGUSR1
/// asks for [`Program::ON_USR1`].
///
/// They are watched on a thread of their own: the second one works even while the session is
/// stuck in the kernel, say in opening a pipe that nobody has at the other end.
///
/// # Errors
///
/// When the system refuses the handlers or the thread.
pub(crate) fn watch_signals<P: Program>(
    commands: UnboundedSender<P::Command>,
    updates: UnboundedSender<Update<P::Status>>,
    screen: Screen,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (ending, mut endings) = mpsc::unbounded_channel();
    {
        // What is passed on is so whenever the runtime waits for the channel below.
        let _context = runtime.enter();
        pass_on(SignalKind::interrupt(), ending.clone(), ())?;
        pass_on(SignalKind::terminate(), ending.clone(), ())?;
        if !is_ignored(SignalKind::hangup()) {
            pass_on(SignalKind::hangup(), ending, ())?;
        }
        if let Some(command) = P::ON_USR1 {
            pass_on(SignalKind::user_defined1(), commands.clone(), command)?;
        }
    }
    let watch = async move {
        endings.recv().await;
        // Without listeners the session is over and its summary is being written.
        let _ = updates.send(Update::Line(Severity::Warn, P::INTERRUPTED.to_owned()));
        let _ = commands.send(P::INTERRUPT);
        let first = Instant::now();
        while first.elapsed() < ECHO {
            endings.recv().await;
        }
        screen.last_words(P::STOPPED);
        std::process::exit(Exit::Interrupted.code().into());
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(watch))?;
    Ok(())
}

/// Sends `what` whenever the signal comes, as long as somebody listens.
fn pass_on<T: Copy + Send + 'static>(
    kind: SignalKind,
    to: UnboundedSender<T>,
    what: T,
) -> io::Result<()> {
    let mut signal = signal(kind)?;
    tokio::spawn(async move { while signal.recv().await.is_some() && to.send(what).is_ok() {} });
    Ok(())
}

/// Whether who started us has a signal ignored, as nohup has: the terminal may go away then.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (kind.as_raw_value() - 1)) != 0)
}

/// Whether anything can be typed: standard input is a terminal.
#[must_use]
pub fn has_keys() -> bool {
    isatty(io::stdin())
}

/// What a line that was typed asks for; nothing but Enter is the empty line.
pub type Keys<C> = fn(&str) -> Option<C>;

/// Passes on what typed lines ask for until the session is over.
///
/// The terminal's mode is left alone: there is nothing to restore, however the process ends.
///
/// # Errors
///
/// When the system refuses the thread.
pub(crate) fn watch_keys<C: Send + 'static>(
    keys: Keys<C>,
    commands: UnboundedSender<C>,
    screen: Screen,
) -> io::Result<()> {
    let watch = move || {
        let mut buffer = [0; 256];
        while !commands.is_closed() {
            if !line_waits() {
                continue;
            }
            let read = match rustix::io::read(io::stdin(), &mut buffer) {
                Ok(0) => return,
                Ok(read) => &buffer[..read],
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            };
            // A terminal hands over whole lines; what is longer than the buffer is no command.
            let lines = read.iter().filter(|&&byte| byte == b'\n').count();
            screen.on_echo(lines);
            let text = String::from_utf8_lossy(read);
            for line in text.split('\n').take(lines) {
                if let Some(command) = keys(line.trim())
                    && commands.send(command).is_err()
                {
                    return;
                }
            }
        }
    };
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(watch)
        .map(drop)
}

/// Waits a moment for a line that is ours. A program in the background must not read from its
/// terminal: the system would stop it (SIGTTIN).
fn line_waits() -> bool {
    let stdin = io::stdin();
    let foreground = tcgetpgrp(&stdin).is_ok_and(|group| group == rustix::process::getpgrp());
    if !foreground {
        thread::sleep(Duration::from_millis(300));
        return false;
    }
    let mut wait = [PollFd::new(&stdin, PollFlags::IN)];
    poll(&mut wait, Some(&LOOK)).is_ok_and(|ready| ready > 0)
}
