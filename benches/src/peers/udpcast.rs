//! udpcast (Debian package `udpcast`).

use std::path::Path;

use anyhow::{Result, ensure};

use super::{Job, PeerRun, transfer};
use crate::netlab::{Host, is_installed};

/// The sending program.
pub(super) const SENDER: &str = "udp-sender";

/// The receiving program.
pub(super) const RECEIVER: &str = "udp-receiver";

/// Options that both programs take; the ports are those Clonezilla and FOG leave at
/// their default.
pub(super) const COMMON: [&str; 4] = ["--nokbd", "--no-progress", "--interface", "eth0"];

/// The sender's own options; the number of receivers follows.
pub(super) const SENDING: [&str; 3] = ["--full-duplex", "--nopointopoint", "--min-receivers"];

/// Lets a receiver leave it to the kernel when the disk writes.
pub(super) const NO_SYNC: &str = "--nosync";

/// Sends the image with `udp-sender` in full-duplex mode, its fastest without loss,
/// as multicast also for a single receiver.
///
/// # Errors
///
/// udpcast is not installed, or the room or the files cannot be used.
pub fn udpcast(job: &Job<'_>) -> Result<PeerRun> {
    for program in [SENDER, RECEIVER] {
        ensure!(
            is_installed(program),
            "{program} is not installed (package udpcast)"
        );
    }
    let receivers = job.room.receivers().map(|host| {
        let mut command = job.room.command(host, RECEIVER);
        let target = job.targets.file(host);
        let target = target.as_deref().unwrap_or(Path::new("/dev/null"));
        command.args(COMMON).args([NO_SYNC, "--file"]).arg(target);
        command
    });
    let receivers: Vec<_> = receivers.collect();
    let mut sender = job.room.command(Host::SENDER, SENDER);
    sender.args(COMMON).args(SENDING);
    sender
        .arg(receivers.len().to_string())
        .arg("--file")
        .arg(job.image);
    let cast = transfer::Cast {
        tool: "udpcast",
        sender,
        receivers,
        done: transfer::Done::Says("Transfer complete"),
        nature: transfer::Nature::Programs,
    };
    transfer::run(job, cast)
}
