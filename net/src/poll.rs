//! Waiting for sockets, deadlines and other threads.

use std::{
    io,
    num::NonZeroU64,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};

use crate::Socket;

/// How many sockets one [`Waiter::wait`] can watch.
pub const MAX_SOCKETS: usize = 7;

/// Timer slack of a thread that paces, in nanoseconds; the kernel's default is
/// 50 us, several datagrams at 1 Gbit/s.
const PRECISE_SLACK: NonZeroU64 = NonZeroU64::new(1_000).expect("not zero");

/// Lets the timeouts of the calling thread expire within about 1 us of their
/// time instead of 50 us (`PR_SET_TIMERSLACK`).
///
/// The kernel also allows itself 0.1 % of the time slept, so a deadline far away
/// is best approached in two steps.
///
/// # Errors
///
/// If the kernel refuses, which no known one does.
pub fn precise_timers() -> io::Result<()> {
    Ok(rustix::thread::set_current_timer_slack(Some(
        PRECISE_SLACK,
    ))?)
}

/// What to wait for at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Datagrams to receive.
    Readable,
    /// Room to send.
    Writable,
    /// Either.
    Both,
}

impl Interest {
    fn flags(self) -> PollFlags {
        match self {
            Self::Readable => PollFlags::IN,
            Self::Writable => PollFlags::OUT,
            Self::Both => PollFlags::IN | PollFlags::OUT,
        }
    }
}

/// Why [`Waiter::wait`] returned. Nothing set means that the deadline has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    woken: bool,
    readable: u8,
    writable: u8,
}

// One bit per socket.
const _: () = assert!(MAX_SOCKETS <= u8::BITS as usize);

impl Readiness {
    /// Whether a [`Waker`] was used.
    #[must_use]
    pub fn woken(self) -> bool {
        self.woken
    }

    /// Whether the socket at `index` of the list has something to receive (also
    /// after an error, which receiving then takes away).
    #[must_use]
    pub fn readable(self, index: usize) -> bool {
        index < MAX_SOCKETS && self.readable & (1 << index) != 0
    }

    /// Whether the socket at `index` of the list has room to send.
    #[must_use]
    pub fn writable(self, index: usize) -> bool {
        index < MAX_SOCKETS && self.writable & (1 << index) != 0
    }

    /// Whether nothing happened before the deadline.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self == Self::default()
    }

    fn note(&mut self, index: usize, found: PollFlags) {
        // An error on the socket ends every wait: let both directions look at it.
        let failed = found.intersects(PollFlags::ERR | PollFlags::HUP);
        self.readable |= u8::from(failed || found.contains(PollFlags::IN)) << index;
        self.writable |= u8::from(failed || found.contains(PollFlags::OUT)) << index;
    }
}

/// The eventfd and whether it was already written since the last wait.
#[derive(Debug)]
struct Wakeup {
    event: OwnedFd,
    pending: AtomicBool,
}

/// Ends the wait of a [`Waiter`], now or the next time it waits. Cheap to clone
/// and to use: many calls before the waiter has looked cost one system call.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Wakeup>);

impl Waker {
    /// Wakes the waiter.
    ///
    /// Whatever the caller did before is visible to the waiter after
    /// [`Readiness::woken`].
    pub fn wake(&self) {
        if self.0.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let written = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
        // Full (EAGAIN) would mean 2^64 - 2 unread wakes: the waiter wakes anyway.
        debug_assert!(matches!(written, Ok(8) | Err(Errno::AGAIN)), "{written:?}");
    }
}

/// Sleeps until a socket is ready, a deadline has come or a [`Waker`] was used.
#[derive(Debug)]
pub struct Waiter(Arc<Wakeup>);

impl Waiter {
    /// # Errors
    ///
    /// If the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(Arc::new(Wakeup {
            event,
            pending: AtomicBool::new(false),
        })))
    }

    /// A handle with which other threads end this waiter's sleep.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.0))
    }

    /// Sleeps until one of `sockets` is ready for what is wanted of it, until a
    /// waker was used, or until `until`; without `until` there is no deadline.
    ///
    /// A wake that came since the last wait ends this one at once, and all wakes
    /// so far are then used up. At most [`MAX_SOCKETS`] sockets.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for too many sockets; else only if the kernel is out of
    /// memory.
    pub fn wait(
        &self,
        sockets: &[(&Socket, Interest)],
        until: Option<Instant>,
    ) -> io::Result<Readiness> {
        if sockets.len() > MAX_SOCKETS {
            let message = format!("{} sockets, at most {MAX_SOCKETS}", sockets.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut fds: [PollFd<'_>; MAX_SOCKETS + 1] =
            std::array::from_fn(|slot| match sockets.get(slot) {
                Some((socket, interest)) => {
                    PollFd::from_borrowed_fd(socket.as_fd(), interest.flags())
                }
                None => PollFd::new(&self.0.event, PollFlags::IN),
            });
        // The last one is the waker's; unused slots between are not passed.
        let fds = &mut fds[..=sockets.len()];
        sleep(fds, until)?;
        let mut readiness = Readiness::default();
        for (index, fd) in fds[..sockets.len()].iter().enumerate() {
            readiness.note(index, fd.revents());
        }
        if fds[sockets.len()].revents().contains(PollFlags::IN) {
            self.drain()?;
            readiness.woken = true;
        }
        Ok(readiness)
    }

    /// Takes back all wakes so far.
    ///
    /// First the eventfd, then the mark: the other way round a wake in between
    /// would leave the mark set over an empty eventfd, and no wake would ever
    /// reach it again. A wake between the two is used up here, and its sender's
    /// writes are visible by the swap.
    fn drain(&self) -> io::Result<()> {
        let mut count = [0; 8];
        match rustix::io::read(&self.0.event, &mut count) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        self.0.pending.swap(false, Ordering::AcqRel);
        Ok(())
    }
}

/// `ppoll` until `until`, whatever signals come.
fn sleep(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<()> {
    loop {
        let timeout = until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            // A deadline in 300 billion years is none.
            Timespec::try_from(left).unwrap_or(Timespec {
                tv_sec: i64::MAX,
                tv_nsec: 0,
            })
        });
        match poll(fds, timeout.as_ref()) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
#[path = "poll_tests.rs"]
mod tests;
