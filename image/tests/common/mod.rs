//! Loop devices and mounts for tests, and reasons to skip them.

#![allow(unreachable_pub, reason = "each test file is a crate of its own")]
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mimeo_image::{Target, TargetError, TargetOptions, TargetWriter};

/// Bytes that look random and are the same every time; never zero.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8 | 1
    };
    (0..len).map(step).collect()
}

pub fn open(spec: impl AsRef<OsStr>, yes: bool) -> Result<Target, TargetError> {
    Target::open(spec.as_ref(), &TargetOptions { yes, serial: None })
}

/// Opens a target that must be acceptable and prepares it.
pub fn writer(spec: impl AsRef<OsStr>, len: Option<u64>) -> TargetWriter {
    open(spec, true).unwrap().prepare(len).unwrap()
}

/// Runs a command that must succeed; by a test that is [`alone`].
pub fn run(program: &str, arguments: &[&OsStr]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Held by a test that runs commands. A child holds copies of all descriptors
/// until it executes its program, so a command of one test would keep a device
/// of another test busy for a moment after that closed it.
pub type Alone = MutexGuard<'static, ()>;

/// Waits until no other test of this process runs commands.
pub fn alone() -> Alone {
    static COMMANDS: Mutex<()> = Mutex::new(());
    COMMANDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a test that needs root and loop devices can run, which it then does
/// alone. It fails instead of being skipped if `MIMEO_REQUIRE_ALL=1`.
pub fn can_loop(test: &str, tools: &[&str]) -> Option<Alone> {
    let has_tool = |tool: &&&str| {
        let found = |dir| Path::new(dir).join(tool).exists();
        !["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .into_iter()
            .any(found)
    };
    let reason = if !rustix::process::geteuid().is_root() {
        "it needs root".to_owned()
    } else if !Path::new("/dev/loop-control").exists() {
        "it needs loop devices".to_owned()
    } else if let Some(tool) = tools.iter().find(has_tool) {
        format!("it needs {tool}")
    } else {
        return Some(alone());
    };
    skip(test, &reason);
    None
}

pub fn skip(test: &str, reason: &str) {
    assert!(
        std::env::var_os("MIMEO_REQUIRE_ALL").is_none_or(|all| all != "1"),
        "{test}: {reason}"
    );
    eprintln!("SKIPPED {test}: {reason}");
}

/// A loop device over a file full of noise, detached when dropped.
pub struct Loop {
    pub path: PathBuf,
    pub file: PathBuf,
    dir: tempfile::TempDir,
}

impl Loop {
    pub fn new(len: usize, options: &[&str]) -> Self {
        Self::with_content(&noise(len, 1), options)
    }

    pub fn with_content(content: &[u8], options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("disk");
        std::fs::write(&file, content).unwrap();
        let mut arguments: Vec<&OsStr> = vec!["--find".as_ref(), "--show".as_ref()];
        arguments.extend(options.iter().map(OsStr::new));
        arguments.push(file.as_ref());
        let path = PathBuf::from(run("losetup", &arguments));
        Self { path, file, dir }
    }

    /// An empty directory that lives as long as the device.
    pub fn mount_point(&self) -> PathBuf {
        let point = self.dir.path().join("mounted");
        std::fs::create_dir(&point).unwrap();
        point
    }

    pub fn read(&self) -> Vec<u8> {
        let len = std::fs::metadata(&self.file).unwrap().len();
        let mut bytes = vec![0; len as usize];
        File::open(&self.path)
            .unwrap()
            .read_exact_at(&mut bytes, 0)
            .unwrap();
        bytes
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let status = Command::new("losetup")
            .arg("--detach")
            .arg(&self.path)
            .status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Something mounted, unmounted when dropped.
pub struct Mounted(pub PathBuf);

impl Mounted {
    pub fn new(options: &[&str], what: &Path, at: PathBuf) -> Self {
        let mut arguments: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
        arguments.extend([what.as_os_str(), at.as_os_str()]);
        run("mount", &arguments);
        Self(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
