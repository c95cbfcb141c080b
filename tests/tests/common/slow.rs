//! Machines that are slow, and what is fast beside them.

use mimeo_tests::sim::{DiskProfile, LinkProfile, MachineProfile};

/// One whose disk keeps nothing and takes so many bytes per second.
pub fn disk(speed: u64) -> MachineProfile {
    MachineProfile {
        disk: DiskProfile {
            speed,
            discards: true,
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    }
}

/// One that takes whatever comes.
pub fn fast() -> MachineProfile {
    disk(500_000_000)
}

/// One behind a port of so many bits per second, with a queue of so many bytes before it.
pub fn port(rate: u64, queue: usize) -> MachineProfile {
    MachineProfile {
        down: LinkProfile {
            rate: Some(rate),
            queue,
            ..LinkProfile::default()
        },
        ..fast()
    }
}
