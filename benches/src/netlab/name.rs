//! Names of network namespaces: `mimeo-PID-START-ROOM-` and the part's own name.
//!
//! START is the owner's start time as the kernel counts it, because a process
//! number alone is handed out again and would protect what a dead owner left.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Where `ip netns` keeps its namespaces.
pub(super) const DIRECTORY: &str = "/run/netns";

const MARK: &str = "mimeo-";

/// A prefix that no other room or directory has; it tells whose it is, so that `clean` finds what
/// a dead process has left.
///
/// # Errors
///
/// The system does not tell when this process was started.
pub fn fresh() -> Result<String> {
    static ROOM: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let start = start_time(pid).context("cannot read the own start time from /proc")?;
    let room = ROOM.fetch_add(1, Ordering::Relaxed);
    Ok(format!("{MARK}{pid}-{start}-{room}-"))
}

/// The file that stands for the namespace.
pub(super) fn path(namespace: &str) -> PathBuf {
    Path::new(DIRECTORY).join(namespace)
}

/// True for a name made of [`fresh`] whose process does not run any more.
pub(super) fn is_orphaned(namespace: &str) -> bool {
    owner(namespace).is_some_and(|(pid, start)| start_time(pid) != Some(start))
}

fn owner(namespace: &str) -> Option<(u32, u64)> {
    let mut parts = namespace.strip_prefix(MARK)?.split('-');
    let owner = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let _room: u32 = parts.next()?.parse().ok()?;
    parts.next().map(|_part| owner)
}

/// Field 22 of `/proc/PID/stat`, proc_pid_stat(5): ticks from boot to the start.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_rooms_are_never_orphaned() {
        let (first, second) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(first, second);
        assert!(!is_orphaned(&format!("{first}h0")));
    }

    #[test]
    fn a_reused_process_number_does_not_protect() {
        let pid = std::process::id();
        assert!(is_orphaned(&format!("mimeo-{pid}-1-0-h0")));
        assert!(is_orphaned("mimeo-4294967295-77-0-switch"));
    }

    #[test]
    fn names_of_others_are_left_alone() {
        for name in [
            "vpn",
            "mimeo-",
            "mimeo-lab",
            "mimeo-1-2-3",
            "mimeo-x-1-0-h0",
            "mimeo-1-2-x-",
        ] {
            assert!(!is_orphaned(name), "{name}");
        }
    }
}
