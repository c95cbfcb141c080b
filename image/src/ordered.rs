//! Work for all processors whose results are wanted in order, in bounded memory.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// Items for each worker that are being worked on or wait for their turn.
const AHEAD: usize = 4;

/// Workers beyond this many wait for who reads and who writes.
const MAX_WORKERS: usize = 32;

/// Takes `items` one by one, has `work` done on each by several threads, and gives the results to
/// `take` in the order of the items, until all are done or `take` fails.
///
/// `state` makes what a worker keeps for itself. `take` runs on the calling thread, and so does
/// everything else where there is one processor.
pub(crate) fn for_each<I, S, O, E>(
    items: impl Iterator<Item = I> + Send,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, I) -> O + Sync,
    mut take: impl FnMut(O) -> Result<(), E>,
) -> Result<(), E>
where
    O: Send,
{
    let workers = workers();
    if workers == 1 {
        let mut state = state();
        for item in items {
            take(work(&mut state, item))?;
        }
        return Ok(());
    }
    let items = Mutex::new(items.enumerate());
    let permits = Permits::new(workers * AHEAD);
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..workers {
            let (sender, items, permits) = (sender.clone(), &items, &permits);
            let (state, work) = (&state, &work);
            scope.spawn(move || {
                // If it panics, the others must not wait for what it held.
                let _ended = Ended(permits);
                let mut state = state();
                while permits.take() {
                    let next = lock(items).next();
                    let Some((number, item)) = next else {
                        // Who waits for a permit may go.
                        permits.close();
                        return;
                    };
                    if sender.send((number, work(&mut state, item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut early, mut turn) = (BTreeMap::new(), 0);
        for (number, result) in results {
            early.insert(number, result);
            while let Some(result) = early.remove(&turn) {
                turn += 1;
                if let Err(error) = take(result) {
                    permits.close();
                    return Err(error);
                }
                permits.give();
            }
        }
        Ok(())
    })
}

/// As many as there are processors, of which the system tells only after a long look.
fn workers() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let count = || thread::available_parallelism().map_or(1, usize::from);
    (*PROCESSORS.get_or_init(count)).min(MAX_WORKERS)
}

/// How many items may be under way.
struct Permits {
    left: Mutex<Left>,
    changed: Condvar,
}

enum Left {
    Some(usize),
    /// Nothing is to be begun any more.
    Closed,
}

impl Permits {
    fn new(count: usize) -> Self {
        Self {
            left: Mutex::new(Left::Some(count)),
            changed: Condvar::new(),
        }
    }

    /// Waits for a permit; false if there will be none.
    fn take(&self) -> bool {
        let mut left = lock(&self.left);
        loop {
            match &mut *left {
                Left::Closed => return false,
                Left::Some(0) => {
                    left = self
                        .changed
                        .wait(left)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Left::Some(count) => {
                    *count -= 1;
                    return true;
                }
            }
        }
    }

    fn give(&self) {
        if let Left::Some(count) = &mut *lock(&self.left) {
            *count += 1;
        }
        self.changed.notify_one();
    }

    fn close(&self) {
        *lock(&self.left) = Left::Closed;
        self.changed.notify_all();
    }
}

/// Closes the permits when a worker panics.
struct Ended<'a>(&'a Permits);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.close();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_few_are_under_way() {
        let begun = AtomicUsize::new(0);
        let items = (0..10_000).inspect(|_| {
            begun.fetch_add(1, Ordering::Relaxed);
        });
        let (mut taken, mut most) = (Vec::new(), 0);
        let result = for_each(
            items,
            || 0_usize,
            |done, item| {
                *done += 1;
                (item * 2, *done)
            },
            |(result, _)| {
                taken.push(result);
                most = most.max(begun.load(Ordering::Relaxed) - taken.len());
                Ok::<_, ()>(())
            },
        );
        assert_eq!(result, Ok(()));
        assert_eq!(taken, (0..10_000).map(|item| item * 2).collect::<Vec<_>>());
        assert!(most <= MAX_WORKERS * AHEAD, "{most}");
    }

    #[test]
    fn a_failure_ends_it() {
        let endless = 0_u64..;
        let result = for_each(
            endless,
            || (),
            |(), item| item,
            |item| if item < 100 { Ok(()) } else { Err(item) },
        );
        assert_eq!(result, Err(100));
        assert_eq!(
            for_each(0..0, || (), |(), item: i32| item, |_| Err(())),
            Ok(())
        );
    }
}
