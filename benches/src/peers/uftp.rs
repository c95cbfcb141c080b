//! UFTP (Debian package `uftp`).

use anyhow::{Context, Result, ensure};

use super::{Job, PeerRun, transfer};
use crate::netlab::{Host, is_installed};

/// Sends the image with `uftp` at a fixed rate of `kilobits` per second. UFTP slows
/// down for nobody: too high a rate costs it repairs and whole passes.
///
/// # Errors
///
/// UFTP is not installed, the targets are not files (it cannot discard), or the room
/// or the files cannot be used.
pub fn uftp(job: &Job<'_>, kilobits: u64) -> Result<PeerRun> {
    for program in ["uftp", "uftpd"] {
        ensure!(
            is_installed(program),
            "{program} is not installed (package uftp)"
        );
    }
    let mut receivers = Vec::new();
    for host in job.room.receivers() {
        let file = job
            .targets
            .file(host)
            .context("UFTP cannot discard what it receives")?;
        let directory = file.parent().context("a target needs a directory")?;
        let mut command = job.room.command(host, "uftpd");
        // In the foreground (-d), and without asking for host names (-q).
        command
            .args(["-d", "-q", "-I", "eth0", "-D"])
            .arg(directory);
        receivers.push(command);
    }
    let mut sender = job.room.command(Host::SENDER, "uftp");
    sender.args([
        "-q",
        "-I",
        "eth0",
        "-R",
        &kilobits.to_string(),
        "-H",
        &clients(job),
    ]);
    // The name at the receivers.
    sender.args(["-D", "image"]).arg(job.image);
    let done = transfer::Done::Says("File transfer complete");
    transfer::run(
        job,
        transfer::Cast {
            tool: "uftp",
            sender,
            receivers,
            done,
            nature: transfer::Nature::Daemons,
        },
    )
}

/// The receivers by the names they give themselves: their addresses in hexadecimal.
/// Without the list, `uftp` would begin with whoever answered first.
fn clients(job: &Job<'_>) -> String {
    let names = job
        .room
        .receivers()
        .map(|host| format!("0x{:08X}", host.address().to_bits()));
    names.collect::<Vec<_>>().join(",")
}
