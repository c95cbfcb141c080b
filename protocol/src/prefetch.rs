//! Asks for bytes before they are needed.

/// The line size of the caches of all processors that matter.
const LINE: usize = 64;

/// Begins to load `bytes` into the first-level cache, where the processor can be told to.
///
/// The symbols of a burst lie 256 KiB apart, each too short for a processor to notice that it is
/// read from its start to its end.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(LINE) {
        prefetch_line(line);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(
    unsafe_code,
    reason = "the standard library offers prefetching as an intrinsic only"
)]
fn prefetch_line(line: &[u8]) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: SSE belongs to every x86-64 processor, and a prefetch does not fault or change
    // anything whatever the address; this one is that of a slice besides.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_line(_line: &[u8]) {}
