//! udpcast (Debian package `udpcast`).

use std::path::Path;

use anyhow::{Result, ensure};

use super::{Job, PeerRun, transfer};
use crate::netlab::{Host, is_installed};

/// Options that both programs take; the ports are those Clonezilla and FOG leave at
/// their default.
const COMMON: [&str; 4] = ["--nokbd", "--no-progress", "--interface", "eth0"];

/// Sends the image with `udp-sender` in full-duplex mode, its fastest without loss,
/// as multicast also for a single receiver.
///
/// # Errors
///
/// udpcast is not installed, or the room or the files cannot be used.
pub fn udpcast(job: &Job<'_>) -> Result<PeerRun> {
    for program in ["udp-sender", "udp-receiver"] {
        ensure!(
            is_installed(program),
            "{program} is not installed (package udpcast)"
        );
    }
    let receivers = job.room.receivers().map(|host| {
        let mut command = job.room.command(host, "udp-receiver");
        let target = job.targets.file(host);
        let target = target.as_deref().unwrap_or(Path::new("/dev/null"));
        command
            .args(COMMON)
            .args(["--nosync", "--file"])
            .arg(target);
        command
    });
    let receivers: Vec<_> = receivers.collect();
    let mut sender = job.room.command(Host::SENDER, "udp-sender");
    sender
        .args(COMMON)
        .args(["--full-duplex", "--nopointopoint", "--min-receivers"]);
    sender
        .arg(receivers.len().to_string())
        .arg("--file")
        .arg(job.image);
    let cast = transfer::Cast {
        tool: "udpcast",
        sender,
        receivers,
        done: "Transfer complete",
        daemons: false,
    };
    transfer::run(job, cast)
}
