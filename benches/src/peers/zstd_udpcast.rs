//! udpcast between two zstd processes, as Clonezilla and FOG use it.

use std::path::Path;

use anyhow::{Result, ensure};

use super::udpcast::{COMMON, NO_SYNC, RECEIVER, SENDER, SENDING};
use super::{Job, PeerRun, transfer};
use crate::netlab::{Host, is_installed};

/// Behind the image come the options of `udp-sender`.
const SEND: &str = r#"set -o pipefail; image=$1; shift
zstd -q -1 -T1 -c -- "$image" | udp-sender "$@""#;

/// Behind the target come the options of `udp-receiver`.
const RECEIVE: &str = r#"set -o pipefail; target=$1; shift
udp-receiver "$@" | zstd -q -d -c >"$target""#;

/// Sends the image with `zstd -1 | udp-sender`, and `udp-receiver | zstd -d` writes it.
/// Both zstd processes have one thread, which is Clonezilla's default.
///
/// # Errors
///
/// zstd, udpcast or bash is not installed, or the room or the files cannot be used.
pub fn zstd_udpcast(job: &Job<'_>) -> Result<PeerRun> {
    for (program, package) in [
        (SENDER, "udpcast"),
        (RECEIVER, "udpcast"),
        ("zstd", "zstd"),
        ("bash", "bash"),
    ] {
        ensure!(
            is_installed(program),
            "{program} is not installed (package {package})"
        );
    }
    let mut receivers = Vec::new();
    for host in job.room.receivers() {
        let mut command = job.room.command(host, "bash");
        let target = job.targets.file(host);
        let target = target.as_deref().unwrap_or(Path::new("/dev/null"));
        command.args(["-c", RECEIVE, "bash"]).arg(target);
        command.args(COMMON).arg(NO_SYNC);
        receivers.push(command);
    }
    let mut sender = job.room.command(Host::SENDER, "bash");
    sender.args(["-c", SEND, "bash"]).arg(job.image);
    sender.args(COMMON).args(SENDING);
    sender.arg(receivers.len().to_string());
    let cast = transfer::Cast {
        tool: "zstd-udpcast",
        sender,
        receivers,
        // What udp-receiver has, zstd still has to write.
        done: transfer::Done::Ends,
        nature: transfer::Nature::Pipelines,
    };
    transfer::run(job, cast)
}
