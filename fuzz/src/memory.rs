//! How much memory is taken at most: an allocator that counts.

#![allow(unsafe_code, reason = "an allocator is unsafe to be one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn take(len: usize) {
    let taken = TAKEN.fetch_add(len, Ordering::Relaxed) + len;
    if taken > MOST.load(Ordering::Relaxed) {
        MOST.fetch_max(taken, Ordering::Relaxed);
    }
}

fn give(len: usize) {
    TAKEN.fetch_sub(len, Ordering::Relaxed);
}

// SAFETY: everything is left to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller says.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: as the caller says.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        // Both may be there at once.
        take(len);
        // SAFETY: as the caller says.
        let moved = unsafe { System.realloc(at, layout, len) };
        give(layout.size());
        moved
    }
}

/// Bytes that may be taken from here on.
#[derive(Debug)]
pub struct Limit {
    before: usize,
    bytes: usize,
}

impl Limit {
    /// Counts from now on.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let before = TAKEN.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        Self { before, bytes }
    }

    /// Whether no more was taken at any time.
    ///
    /// # Panics
    ///
    /// If more was taken.
    pub fn check(&self) {
        let most = MOST.load(Ordering::Relaxed).saturating_sub(self.before);
        assert!(most <= self.bytes, "{most} bytes of memory were taken");
    }
}
