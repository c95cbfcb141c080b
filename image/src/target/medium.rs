//! How fast the disk behind a target is, whether or not anybody waits for it.
//!
//! Writing ends in the page cache, so the time that writing takes says nothing about the disk
//! until the cache is full. A thread of its own waits for every piece of writeback that was
//! started: the time in which any was under way is the time in which the disk was busy.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the disk behind a target has taken, and how long it was busy with it. A clone tells of the
/// same disk, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Medium(Arc<Mutex<Account>>);

/// What a [`Medium`] tells; totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes whose writeback is over.
    pub bytes: u64,
    /// Time in which writeback was under way.
    pub busy: Duration,
}

#[derive(Debug, Default)]
struct Account {
    taken: Taken,
    /// Bytes of the pieces under way, oldest first.
    under_way: VecDeque<u64>,
    since: Option<Instant>,
}

impl Medium {
    /// What it has taken by now. Nothing of targets without a disk.
    #[must_use]
    pub fn taken(&self) -> Taken {
        let account = self.account();
        let busy = account.since.map_or(Duration::ZERO, |at| at.elapsed());
        Taken {
            bytes: account.taken.bytes,
            busy: account.taken.busy + busy,
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        // Every change of it is whole, whatever became of who made it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_started(&self, now: Instant, bytes: u64) {
        let mut account = self.account();
        account.under_way.push_back(bytes);
        account.since.get_or_insert(now);
    }

    fn on_done(&self, now: Instant) {
        let mut account = self.account();
        let bytes = account.under_way.pop_front().unwrap_or(0);
        account.taken.bytes += bytes;
        if let Some(since) = account.since.take() {
            account.taken.busy += now.saturating_duration_since(since);
        }
        if !account.under_way.is_empty() {
            account.since = Some(now);
        }
    }
}

/// The thread that waits for writeback, in the order in which it was started.
#[derive(Debug)]
pub(super) struct Watch {
    pieces: Option<mpsc::Sender<Range<u64>>>,
    done: mpsc::Receiver<io::Result<()>>,
    medium: Medium,
    /// Where the pieces begin whose end was not asked for, oldest first.
    open: VecDeque<u64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts the thread; `wait` waits until a range of the file is on the disk.
    pub(super) fn start(
        file: &File,
        medium: Medium,
        wait: fn(&File, Range<u64>) -> io::Result<()>,
    ) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (pieces, to_do) = mpsc::channel::<Range<u64>>();
        let (told, done) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, account) = (Arc::clone(&stop), medium.clone());
        let run = move || {
            for piece in to_do {
                let result = match stopped.load(Ordering::Relaxed) {
                    true => Ok(()),
                    false => wait(&file, piece),
                };
                account.on_done(Instant::now());
                if told.send(result).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("disk".into()).spawn(run)?;
        Ok(Self {
            pieces: Some(pieces),
            done,
            medium,
            open: VecDeque::new(),
            stop,
            thread: Some(thread),
        })
    }

    /// Writeback of a piece was started.
    pub(super) fn on_started(&mut self, piece: Range<u64>) {
        self.medium
            .on_started(Instant::now(), piece.end - piece.start);
        self.open.push_back(piece.start);
        if let Some(pieces) = &self.pieces {
            // The thread ends only with this channel.
            let _ = pieces.send(piece);
        }
    }

    /// Where the oldest piece begins that was not waited for.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.open.front().copied()
    }

    /// Waits for the oldest piece that was not waited for.
    pub(super) fn wait_oldest(&mut self) -> io::Result<()> {
        if self.open.pop_front().is_none() {
            return Ok(());
        }
        self.done
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that waits for the disk died")))
    }
}

impl Drop for Watch {
    /// The file is closed when the thread has ended: whoever claims the disk next finds it free.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            // It has told its error, if it had one.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_busy_while_anything_is_under_way() {
        let medium = Medium::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        // Two that overlap, a pause, and a third.
        medium.on_started(at(0), 10);
        medium.on_started(at(40), 20);
        medium.on_done(at(50));
        medium.on_done(at(70));
        medium.on_started(at(500), 5);
        medium.on_done(at(530));
        let (bytes, busy) = (35, Duration::from_millis(100));
        assert_eq!(medium.taken(), Taken { bytes, busy });
    }

    #[test]
    fn an_error_of_writeback_is_told_to_who_waits_for_it() {
        let file = tempfile::tempfile().unwrap();
        let wait = |_: &File, piece: Range<u64>| match piece.start {
            1 => Err(io::Error::other("bad sector")),
            _ => Ok(()),
        };
        let mut watch = Watch::start(&file, Medium::default(), wait).unwrap();
        for piece in [0..1, 1..2, 2..3] {
            watch.on_started(piece);
        }
        assert!(watch.wait_oldest().is_ok());
        assert_eq!(watch.oldest(), Some(1));
        assert_eq!(watch.wait_oldest().unwrap_err().to_string(), "bad sector");
        assert!(watch.wait_oldest().is_ok(), "the third was written");
        assert_eq!(watch.oldest(), None);
        assert_eq!(watch.medium.taken().bytes, 3);
    }
}
