//! Signals that end the program, which it takes as a wish to end in order.

use std::fs;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Which they are: that the terminal went away is none for who ignores it.
pub(crate) fn ending() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    signals
}

/// Whether who started us has a signal ignored, as nohup has: the terminal may go away then.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
