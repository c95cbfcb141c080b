//! The bare limit, measured like the tools.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Job, PeerRun, transfer};
use crate::limit::Report;
use crate::netlab::Host;
use crate::programs::Limit;

/// Sends the image without any protocol ([`crate::limit`]). Its time is the sender's, as
/// it is for mimeo. `reports` is an existing directory for the report.
///
/// It mends nothing: with loss in the room the run fails.
///
/// # Errors
///
/// The room or the files cannot be used.
pub fn limit(job: &Job<'_>, program: &Limit, reports: &Path) -> Result<PeerRun> {
    let report = reports.join("limit.json");
    transfer::remove(&report)?;
    let mut receivers = Vec::new();
    for host in job.room.receivers() {
        let mut command = program.command_in(job.room, host);
        let target = job.targets.file(host);
        let target = target.as_deref().unwrap_or(Path::new("null:"));
        command.args(["receive", "--interface", "eth0"]).arg(target);
        receivers.push(command);
    }
    let mut sender = program.command_in(job.room, Host::SENDER);
    sender.args(["send", "--interface", "eth0", "--receivers"]);
    sender.arg(receivers.len().to_string());
    sender.args([OsStr::new("--report"), report.as_ref(), job.image.as_ref()]);
    let cast = transfer::Cast {
        tool: "limit",
        sender,
        receivers,
        done: transfer::Done::Ends,
        nature: transfer::Nature::Programs,
    };
    let mut run = transfer::run(job, cast)?;
    if run.ok {
        let json = fs::read(&report).with_context(|| format!("there is no {report:?}"))?;
        let report: Report = serde_json::from_slice(&json)?;
        run.seconds = Some(report.seconds);
        // Nothing is sent twice.
        run.sent_per_needed = Some(1.0);
    }
    Ok(run)
}
