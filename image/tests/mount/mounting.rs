//! Image files that are captured, and mounted.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use age::secrecy::ExposeSecret as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Alone, can_loop, skip};
use crate::fixture::Image;

/// Whether a test can mount, which it then does alone.
pub fn can_mount(test: &str, tools: &[&str]) -> Option<Alone> {
    let alone = can_loop(test, tools)?;
    if File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .is_err()
    {
        skip(test, "it needs /dev/fuse");
        return None;
    }
    Some(alone)
}

pub fn mimeo(args: &[&OsStr]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimeo-image"));
    command.args(args).stdin(Stdio::null());
    command
}

#[track_caller]
pub fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An image file in a directory of its own.
pub struct Captured {
    pub path: PathBuf,
    /// The BLAKE3 hash of the disk that it holds.
    pub hash: String,
    /// What opens it.
    pub unlock: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Captured {
    pub fn plain(disk: &Path, more: &[&str]) -> Self {
        Self::new(disk, more, Vec::new(), tempfile::tempdir().unwrap())
    }

    pub fn encrypted(disk: &Path, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = age::x25519::Identity::generate();
        let path = dir.path().join("identity");
        fs::write(&path, identity.to_string().expose_secret()).unwrap();
        let recipient = identity.to_public().to_string();
        let more = [more, &["--encrypt-to", &recipient]].concat();
        let unlock = vec!["--identity".to_owned(), path.display().to_string()];
        Self::new(disk, &more, unlock, dir)
    }

    fn new(disk: &Path, more: &[&str], unlock: Vec<String>, dir: tempfile::TempDir) -> Self {
        let path = dir.path().join("disk.mimeo");
        let mut command = mimeo(&["capture".as_ref()]);
        let output = command.args(more).arg(disk).arg(&path).output().unwrap();
        Self {
            path,
            hash: succeeded(&output),
            unlock,
            _dir: dir,
        }
    }

    pub fn mount(&self) -> Mounting {
        self.mount_by(&[])
    }

    /// By a program that starts it.
    pub fn mount_by(&self, starter: &[&str]) -> Mounting {
        let unlock: Vec<_> = self.unlock.iter().map(String::as_str).collect();
        Mounting::start(starter, &self.path, &unlock)
    }
}

/// A disk that is mounted, until it is dropped.
pub struct Mounting {
    pub point: PathBuf,
    pub program: Child,
    _dir: tempfile::TempDir,
}

impl Mounting {
    pub fn new(disk: &Path, options: &[&str]) -> Self {
        Self::start(&[], disk, options)
    }

    /// Waits until it says that it is ready.
    fn start(starter: &[&str], disk: &Path, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().join("mounted");
        fs::create_dir(&point).unwrap();
        let all = [starter, &[env!("CARGO_BIN_EXE_mimeo-image"), "mount"]].concat();
        let mut command = Command::new(all[0]);
        command.args(&all[1..]).args(options).arg(disk).arg(&point);
        let mut program = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(program.stdout.as_mut().unwrap());
        output.read_line(&mut line).unwrap();
        let expected = format!("{}\n", point.join("disk.img").display());
        if line != expected {
            let mut errors = String::new();
            let pipe = program.stderr.as_mut().unwrap();
            pipe.read_to_string(&mut errors).unwrap();
            panic!("{line:?}: {errors}");
        }
        Self {
            point,
            program,
            _dir: dir,
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.point.join(name)
    }

    /// A mounted file, for tools that take a disk.
    pub fn image(&self, name: &str) -> Image {
        let mut image = Image::new(0);
        image.path = self.file(name);
        image
    }

    /// Names of the files, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.point).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.unwrap().file_name().into_string().unwrap()
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.program);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end. Returns the exit code, and what it has said since it was ready.
    pub fn end(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let errors = self.program.stderr.as_mut().unwrap();
        errors.read_to_string(&mut said).unwrap();
        (self.program.wait().unwrap().code(), said)
    }

    /// Ends it as an operator does, and returns what it has said.
    #[track_caller]
    pub fn stop(&mut self) -> String {
        self.signal(Signal::INT);
        let (code, said) = self.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("unmounted"), "{said}");
        said
    }
}

impl Drop for Mounting {
    fn drop(&mut self) {
        if let Ok(None) = self.program.try_wait() {
            self.signal(Signal::TERM);
            self.signal(Signal::TERM);
            let _ = self.program.wait();
        }
    }
}
