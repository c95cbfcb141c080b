//! The processes of the demo.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mimeo_benches::measure::{Running, spawn, wait_all};
use mimeo_benches::programs::{Programs, free_port};
use mimeo_benches::report::SenderReport;
use rustix::process::Signal;

use crate::stop::Stop;

/// How often the demo looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(100);

/// How long receivers may go on without a sender, and everybody after an interrupt.
/// Longer than the 5 s for which a receiver repeats its confirmation.
const PATIENCE: Duration = Duration::from_secs(20);

/// One sender, some receivers.
pub(crate) struct Session {
    sender: Running,
    receivers: Vec<Running>,
    directory: PathBuf,
}

/// Where a receiver puts the image.
pub(crate) fn target(directory: &Path, number: u16) -> PathBuf {
    directory.join(format!("target{number}"))
}

fn log(directory: &Path, number: usize) -> PathBuf {
    directory.join(format!("receiver{number}.log"))
}

impl Session {
    /// Starts everybody; the sender shows its progress here.
    pub(crate) fn start(image: &Path, directory: &Path, receivers: u16) -> Result<Self> {
        let programs = Programs::own().context("cannot start further processes")?;
        let port = free_port()
            .context("the interface lo has no IPv4")?
            .to_string();
        let mut running = Vec::new();
        for number in 1..=receivers {
            let mut command = programs.receiver();
            common(&mut command, &port);
            command
                .args(["--progress", "plain"])
                .arg(target(directory, number));
            let log = File::create(log(directory, number.into()))?;
            command.stdout(Stdio::null()).stderr(log);
            running.push(spawn(command).context("cannot start a receiver")?);
        }
        let mut command = programs.sender();
        common(&mut command, &port);
        command.args(["--min-receivers", &receivers.to_string()]);
        command
            .arg("--report")
            .arg(directory.join("report.json"))
            .arg(image);
        let sender = spawn(command).context("cannot start the sender")?;
        Ok(Self {
            sender,
            receivers: running,
            directory: directory.to_owned(),
        })
    }

    /// Waits for the end of everybody. Returns the sender's report, if it wrote one, and
    /// whether all said that they succeeded.
    pub(crate) fn finish(mut self, stop: &Stop) -> Result<(Option<SenderReport>, bool)> {
        let mut give_up = None;
        while !wait_all(self.receivers.iter_mut().chain([&mut self.sender]), GLANCE)? {
            if stop.is_requested() {
                self.interrupt()?;
                return stop.check().map(|()| (None, false));
            }
            if self.sender.usage().is_some() {
                let deadline = give_up.get_or_insert_with(|| Instant::now() + PATIENCE);
                if Instant::now() >= *deadline {
                    eprintln!("some receivers have not ended with the sender");
                    self.interrupt()?;
                }
            }
        }
        let mut ok = self
            .sender
            .usage()
            .is_some_and(|usage| usage.status.success());
        for (receiver, number) in self.receivers.iter().zip(1..) {
            let usage = receiver.usage().context("a receiver has no end")?;
            if !usage.status.success() {
                ok = false;
                let log = fs::read_to_string(log(&self.directory, number)).unwrap_or_default();
                eprintln!("receiver {number} ended with {}:\n{log}", usage.status);
            }
        }
        Ok((
            SenderReport::read(&self.directory.join("report.json")).ok(),
            ok,
        ))
    }

    /// Ends everybody: as Ctrl-C would, and by force who does not heed it.
    fn interrupt(&mut self) -> Result<()> {
        for process in self.receivers.iter().chain([&self.sender]) {
            process.signal(Signal::INT)?;
        }
        wait_all(
            self.receivers.iter_mut().chain([&mut self.sender]),
            PATIENCE,
        )?;
        for process in self.receivers.iter_mut().chain([&mut self.sender]) {
            process.kill()?;
        }
        Ok(())
    }
}

/// What sender and receivers have in common. A process group of its own keeps Ctrl-C
/// from those who get it from here.
fn common(command: &mut Command, port: &str) {
    command.args([
        "--open",
        "--interface",
        "lo",
        "--port",
        port,
        "--start-timeout",
        "30s",
    ]);
    command.stdin(Stdio::null()).process_group(0);
}
