//! The demo, as a newcomer runs it: without root, on `lo`.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mimeo_benches::fixture::random_file;
use mimeo_benches::measure::spawn;
use rustix::process::Signal;

/// Only ever waited for in full by a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

fn demo(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimeo-demo"));
    command.arg("--directory").arg(directory);
    command
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn makes_a_disk_and_sends_it() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(directory.path())
        .args(["--size", "64MiB", "--receivers", "2"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("receiver 2: identical to the image"),
        "{said}"
    );
    assert!(said.contains("all is well"), "{said}");
    assert!(is_empty(directory.path()));
}

#[test]
fn needs_no_root_and_takes_an_image() {
    let (work, given) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let image = given.path().join("image");
    random_file(&image, 3_000_000, 1).unwrap();
    let program = given.path().join("demo");
    // Where somebody else can reach it.
    fs::copy(env!("CARGO_BIN_EXE_mimeo-demo"), &program).unwrap();
    for path in [work.path(), given.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = Command::new(&program);
    command.arg("--directory").arg(work.path()).arg(&image);
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let digest = mimeo_benches::files::digest(&image).unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(&digest),
        "{output:?}"
    );
    assert!(is_empty(work.path()));
}

#[test]
fn refuses_what_does_not_fit() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(directory.path())
        .args(["--size", "1000000GiB"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--directory"), "{said}");
    assert!(is_empty(directory.path()));
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = demo(directory.path());
    command
        .args(["--size", "512MiB"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut demo = spawn(command).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let begun = || {
        let work = fs::read_dir(directory.path()).unwrap().next();
        work.is_some_and(|work| work.unwrap().path().join("target1").exists())
    };
    while !begun() {
        assert!(Instant::now() < deadline, "the demo does not begin");
        assert!(
            demo.wait(Duration::from_millis(5)).unwrap().is_none(),
            "it has ended"
        );
    }
    demo.signal(Signal::INT).unwrap();
    let usage = demo.wait(PATIENCE).unwrap().expect("it ends");
    assert_eq!(usage.status.code(), Some(130));
    assert!(is_empty(directory.path()));
}
