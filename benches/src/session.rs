//! A sender and receivers as processes, with everything they leave behind.
//!
//! Reports and output go to files in a directory of the caller's, so nobody has to
//! read pipes while the session runs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::measure::{Running, Usage, spawn, wait_all};
use crate::report::{ReceiverReport, SenderReport};

/// A program of mimeo that runs.
#[derive(Debug)]
pub struct Process {
    /// The process.
    pub running: Running,
    /// What the names of its files begin with.
    files: PathBuf,
}

/// How a program of mimeo ended.
#[derive(Debug)]
pub struct End<R> {
    /// Status and account.
    pub usage: Usage,
    /// What it wrote to its standard error.
    pub log: String,
    /// What it wrote with `--report`.
    pub report: Option<R>,
}

/// One sender and its receivers.
#[derive(Debug)]
pub struct Session {
    /// The sender.
    pub sender: Process,
    /// The receivers; the first one has the number 1 in the names of files.
    pub receivers: Vec<Process>,
}

/// How a session ended.
#[derive(Debug)]
pub struct Outcome {
    /// The sender.
    pub sender: End<SenderReport>,
    /// The receivers.
    pub receivers: Vec<End<ReceiverReport>>,
}

impl Process {
    /// Starts `command` with a report and its standard error in files of `directory`
    /// whose names begin with `name`. Its input and output are what the command says.
    ///
    /// # Errors
    ///
    /// It cannot be started, or its files cannot be made.
    pub fn start(mut command: Command, directory: &Path, name: &str) -> Result<Self> {
        let files = directory.join(name);
        let log = File::create(log(&files)).with_context(|| format!("cannot use {files:?}"))?;
        command.arg("--report").arg(report(&files)).stderr(log);
        let running = spawn(command).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { running, files })
    }

    /// What it wrote to its standard error so far.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn log(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(log(&self.files))?).into_owned())
    }

    /// Ends it at once if it still runs, and reads what it left; `read` reads reports.
    fn finish<R>(mut self, read: impl FnOnce(&Path) -> Result<R>) -> Result<End<R>> {
        Ok(End {
            usage: self.running.kill()?,
            log: self.log()?,
            report: read(&report(&self.files)).ok(),
        })
    }

    /// Ends a sender at once if it still runs, and reads what it left.
    ///
    /// # Errors
    ///
    /// The process or its files are not what they were.
    pub fn finish_sender(self) -> Result<End<SenderReport>> {
        self.finish(SenderReport::read)
    }

    /// Ends a receiver at once if it still runs, and reads what it left.
    ///
    /// # Errors
    ///
    /// As for [`Process::finish_sender`].
    pub fn finish_receiver(self) -> Result<End<ReceiverReport>> {
        self.finish(ReceiverReport::read)
    }
}

impl<R> End<R> {
    /// The exit code; [`None`] after a signal.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.usage.status.code()
    }
}

impl Session {
    /// Starts the receivers, then the sender.
    ///
    /// # Errors
    ///
    /// As for [`Process::start`].
    pub fn start(
        sender: Command,
        receivers: impl IntoIterator<Item = Command>,
        directory: &Path,
    ) -> Result<Self> {
        let mut started = Vec::new();
        for (mut command, number) in receivers.into_iter().zip(1..) {
            command.stdin(Stdio::null());
            started.push(Process::start(
                command,
                directory,
                &format!("receiver{number}"),
            )?);
        }
        let sender = Process::start(sender, directory, "sender")?;
        Ok(Self {
            sender,
            receivers: started,
        })
    }

    /// Waits for the end of all, at most for `timeout`. True when none runs any more.
    ///
    /// # Errors
    ///
    /// As for [`wait_all`].
    pub fn wait(&mut self, timeout: Duration) -> io::Result<bool> {
        let receivers = self.receivers.iter_mut();
        wait_all(
            receivers
                .chain([&mut self.sender])
                .map(|process| &mut process.running),
            timeout,
        )
    }

    /// Ends at once who still runs, and reads what all left.
    ///
    /// # Errors
    ///
    /// As for [`Process::finish_sender`].
    pub fn finish(self) -> Result<Outcome> {
        let sender = self.sender.finish_sender()?;
        let receivers = self.receivers.into_iter().map(Process::finish_receiver);
        Ok(Outcome {
            sender,
            receivers: receivers.collect::<Result<_>>()?,
        })
    }
}

fn log(files: &Path) -> PathBuf {
    files.with_added_extension("log")
}

fn report(files: &Path) -> PathBuf {
    files.with_added_extension("json")
}
