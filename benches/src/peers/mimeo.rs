//! mimeo itself, measured like the others.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::{Job, PeerRun, transfer};
use crate::netlab::Host;
use crate::programs::Programs;
use crate::report::{ReceiverReport, SenderReport};

/// What mimeo is told beside the [`Job`].
#[derive(Clone, Copy, Debug)]
pub struct Mimeo<'a> {
    /// What the runs are called, to tell builds apart.
    pub name: &'static str,
    /// The programs.
    pub programs: &'a Programs,
    /// Further arguments of the sender.
    pub sender_args: &'a [OsString],
    /// An existing directory for the reports.
    pub reports: &'a Path,
}

/// Sends the image with mimeo. Its time and its overhead are those of the sender's
/// report: from the first data to the last receiver's confirmation, which comes after
/// the target was flushed.
///
/// # Errors
///
/// The room or the files cannot be used.
pub fn mimeo(job: &Job<'_>, mimeo: &Mimeo<'_>) -> Result<PeerRun> {
    let (mut sender, mut receivers) = commands(job, mimeo.programs, mimeo.sender_args)?;
    let reports = mimeo.reports;
    let sender_report = reports.join("sender.json");
    sender.arg("--report").arg(&sender_report);
    let mut receiver_reports = Vec::new();
    for (command, number) in receivers.iter_mut().zip(1..) {
        let report = reports.join(format!("receiver{number}.json"));
        command.arg("--report").arg(&report);
        receiver_reports.push(report);
    }
    for old in receiver_reports.iter().chain([&sender_report]) {
        transfer::remove(old)?;
    }
    let cast = transfer::Cast {
        tool: mimeo.name,
        sender,
        receivers,
        done: transfer::Done::Ends,
        nature: transfer::Nature::Programs,
    };
    let mut run = transfer::run(job, cast)?;
    if run.ok {
        let report = SenderReport::read(&sender_report)?;
        for path in &receiver_reports {
            let digest = ReceiverReport::read(path)?.digest;
            if digest.is_none() || digest != report.digest {
                run.fail(&format!("{path:?} has the digest {digest:?}"));
            }
        }
        run.seconds = Some(report.transfer_seconds);
        run.sent_per_needed = report.counters.sent_per_needed();
    }
    Ok(run)
}

/// The commands of a session in the job's room: the sender, and its receivers in the
/// order of their numbers. The directories of targets are made.
///
/// # Errors
///
/// A target's directory cannot be made.
fn commands(
    job: &Job<'_>,
    programs: &Programs,
    sender_args: &[OsString],
) -> Result<(Command, Vec<Command>)> {
    transfer::prepare(job)?;
    let receivers = job.room.receivers();
    let receivers: Vec<_> = receivers
        .map(|host| receiver(job, programs, host, &[]))
        .collect();
    let count = u16::try_from(receivers.len())?;
    Ok((sender(job, programs, count, sender_args), receivers))
}

/// The command of a sender that waits for so many receivers.
#[must_use]
pub fn sender(job: &Job<'_>, programs: &Programs, receivers: u16, args: &[OsString]) -> Command {
    let mut sender = programs.sender_in(job.room);
    common(&mut sender);
    sender.args(["--min-receivers", &receivers.to_string()]);
    sender.args(args).arg(job.image).stdin(Stdio::null());
    sender
}

/// The command of a receiver on one of the machines.
#[must_use]
pub fn receiver(job: &Job<'_>, programs: &Programs, host: Host, args: &[&str]) -> Command {
    let mut receiver = programs.receiver_in(job.room, host);
    common(&mut receiver);
    let target = job.targets.file(host);
    receiver
        .args(args)
        .arg(target.as_deref().unwrap_or(Path::new("null:")))
        .stdin(Stdio::null());
    receiver
}

fn common(command: &mut Command) {
    command.args(["--open", "--interface", "eth0", "--progress", "plain"]);
    command.args(["--start-timeout", "30s"]);
}
