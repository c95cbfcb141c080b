//! Where a test works: a directory and a port of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mimeo_benches::fixture::random_file;
use mimeo_benches::netlab::{Host, Room};
use mimeo_benches::programs::{Programs, free_port};
use mimeo_benches::session::{Outcome, Session};
use tempfile::TempDir;

/// A directory that is removed with it, and a port that no other test has.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
    port: u16,
    programs: Programs,
}

impl Place {
    /// `host` is the program that plays the roles, `env!("CARGO_BIN_EXE_mimeo-host")`.
    ///
    /// # Panics
    ///
    /// When the system has no directory or no port left.
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
            port: free_port().expect("a port is free"),
            programs: Programs::at(Path::new(host)),
        }
    }

    /// The port of the test's sessions.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file in the directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a file of random bytes.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn random(&self, name: &str, length: u64) -> PathBuf {
        let path = self.path(name);
        random_file(&path, length, length).expect("the image can be written");
        path
    }

    /// Makes a file.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).expect("the file can be written");
        path
    }

    /// A sender on `lo`, open to everybody unless `options` say otherwise.
    #[must_use]
    pub fn sender(&self, image: impl AsRef<OsStr>, options: &[&str]) -> Command {
        let mut command = self.programs.sender();
        self.arguments(&mut command, "lo", options);
        hurry(&mut command, options);
        command.arg(image);
        command
    }

    /// A sender on `lo` that is told nothing of who may join.
    #[must_use]
    pub fn sender_with_a_code(&self, image: impl AsRef<OsStr>, options: &[&str]) -> Command {
        let mut command = self.programs.sender();
        self.more_arguments(&mut command, "lo", options);
        command.arg(image);
        command
    }

    /// A receiver on `lo`.
    #[must_use]
    pub fn receiver(&self, target: impl AsRef<OsStr>, options: &[&str]) -> Command {
        let mut command = self.programs.receiver();
        self.arguments(&mut command, "lo", options);
        command.arg(target);
        command
    }

    /// A sender on a virtual network.
    #[must_use]
    pub fn sender_in(&self, room: &Room, image: impl AsRef<OsStr>, options: &[&str]) -> Command {
        self.sender_on(room, Host::SENDER, image, options)
    }

    /// A sender on another host of a virtual network.
    #[must_use]
    pub fn sender_on(
        &self,
        room: &Room,
        host: Host,
        image: impl AsRef<OsStr>,
        options: &[&str],
    ) -> Command {
        let mut command = self.programs.sender_on(room, host);
        self.arguments(&mut command, "eth0", options);
        hurry(&mut command, options);
        command.arg(image);
        command
    }

    /// A receiver on a virtual network.
    #[must_use]
    pub fn receiver_in(
        &self,
        room: &Room,
        host: Host,
        target: impl AsRef<OsStr>,
        options: &[&str],
    ) -> Command {
        let mut command = self.programs.receiver_in(room, host);
        self.arguments(&mut command, "eth0", options);
        command.arg(target);
        command
    }

    /// Starts the receivers, then the sender.
    ///
    /// # Panics
    ///
    /// When one of them cannot be started.
    #[must_use]
    pub fn start(&self, sender: Command, receivers: impl IntoIterator<Item = Command>) -> Session {
        Session::start(sender, receivers, self.directory()).expect("the programs can be started")
    }

    /// Starts everybody and waits for the end of everybody.
    ///
    /// # Panics
    ///
    /// As [`Place::start`] and [`super::finish`] do.
    #[must_use]
    pub fn run(&self, sender: Command, receivers: impl IntoIterator<Item = Command>) -> Outcome {
        super::finish(self.start(sender, receivers))
    }

    /// `options`, and defaults for what they do not say; open to everybody.
    fn arguments(&self, command: &mut Command, interface: &str, options: &[&str]) {
        let admission = ["--code", "--key-file"];
        if !admission.iter().any(|option| options.contains(option)) {
            command.arg("--open");
        }
        self.more_arguments(command, interface, options);
    }

    fn more_arguments(&self, command: &mut Command, interface: &str, options: &[&str]) {
        let says = |option| options.contains(&option);
        if !says("--interface") {
            command.args(["--interface", interface]);
        }
        if !says("--start-timeout") {
            command.args(["--start-timeout", "60s"]);
        }
        if !says("--progress") {
            command.args(["--progress", "plain"]);
        }
        command
            .args(["--port", &self.port.to_string()])
            .args(options);
        command.stdin(Stdio::null()).stdout(Stdio::null());
    }
}

/// Tests that lose a receiver do not wait a minute for it.
fn hurry(sender: &mut Command, options: &[&str]) {
    if !options.contains(&"--lost-timeout") {
        sender.args(["--lost-timeout", "0s"]);
    }
}
