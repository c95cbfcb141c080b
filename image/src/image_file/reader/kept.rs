//! What was read last, for several threads that want the same.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What was made last, a few of them. What several threads want at the same time is made once.
pub(super) struct Kept<K, V> {
    state: Mutex<State<K, V>>,
    /// Something is no longer being made.
    made: Condvar,
    most: usize,
}

struct State<K, V> {
    /// The last used one is the last.
    kept: Vec<(K, V)>,
    being_made: Vec<K>,
}

impl<K: Copy + PartialEq, V: Clone> Kept<K, V> {
    /// Keeps as many as `most`, at least one.
    pub(super) fn new(most: usize) -> Self {
        Self {
            state: Mutex::new(State {
                kept: Vec::with_capacity(most),
                being_made: Vec::new(),
            }),
            made: Condvar::new(),
            most,
        }
    }

    /// The value of a key: what is kept, else what `make` makes. Waits for another thread that makes
    /// it; an error is told to the one that met it, and others try for themselves.
    pub(super) fn find_or<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let mut state = self.state();
        loop {
            if let Some(value) = state.find(key) {
                return Ok(value);
            }
            if !state.being_made.contains(&key) {
                break;
            }
            state = self
                .made
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.being_made.push(key);
        drop(state);
        let making = Making { of: self, key };
        let value = make()?;
        making.of.state().keep(key, value.clone(), self.most);
        Ok(value)
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        // Every change of it is whole, whatever became of who made it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + PartialEq, V: Clone> State<K, V> {
    fn find(&mut self, key: K) -> Option<V> {
        let at = self.kept.iter().position(|(of, _)| *of == key)?;
        self.kept[at..].rotate_left(1);
        self.kept.last().map(|(_, value)| value.clone())
    }

    fn keep(&mut self, key: K, value: V, most: usize) {
        if self.kept.len() == most {
            self.kept.remove(0);
        }
        self.kept.push((key, value));
    }
}

/// A key whose value is being made; not any more when this is dropped, also by a panic.
struct Making<'a, K: Copy + PartialEq, V: Clone> {
    of: &'a Kept<K, V>,
    key: K,
}

impl<K: Copy + PartialEq, V: Clone> Drop for Making<'_, K, V> {
    fn drop(&mut self) {
        self.of.state().being_made.retain(|key| *key != self.key);
        self.of.made.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn the_latest_used_stay() {
        let kept = Kept::new(2);
        let find = |key| kept.find_or(key, || Err::<u32, _>(key));
        for key in [1, 2] {
            assert_eq!(kept.find_or(key, || Ok::<_, u32>(10 * key)), Ok(10 * key));
        }
        assert_eq!(find(1), Ok(10));
        assert_eq!(kept.find_or(3, || Ok::<_, u32>(30)), Ok(30));
        assert_eq!((find(1), find(2), find(3)), (Ok(10), Err(2), Ok(30)));
    }

    #[test]
    fn what_all_want_at_once_is_made_once() {
        let (kept, begin, made) = (Kept::new(4), Barrier::new(8), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    begin.wait();
                    let value = kept.find_or(7, || {
                        thread::sleep(std::time::Duration::from_millis(20));
                        Ok::<_, ()>(made.fetch_add(1, Ordering::Relaxed))
                    });
                    assert_eq!(value, Ok(0));
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn nobody_waits_for_what_failed() {
        let (kept, begin) = (Kept::new(4), Barrier::new(4));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    begin.wait();
                    assert_eq!(kept.find_or(7, || Err::<u32, _>("damaged")), Err("damaged"));
                });
            }
        });
        let panicked = thread::scope(|scope| {
            let maker = scope.spawn(|| kept.find_or(7, || -> Result<u32, ()> { panic!("a bug") }));
            maker.join().is_err()
        });
        assert!(panicked);
        assert_eq!(kept.find_or(7, || Ok::<_, ()>(1)), Ok(1));
    }
}
