//! The program `mimeo-image keygen`: what it leaves, prints and exits with.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn keygen(args: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimeo-image"));
    command.arg("keygen").args(args).arg(file);
    command.output().expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it speaks UTF-8")
}

#[test]
fn a_key_is_made_once_and_its_public_key_is_what_sender_key_takes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lab.key");
    let made = keygen(&[], &file);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let public = text(&made.stdout).trim_end();
    assert!(public.len() == 64 && public.chars().all(|c| c.is_ascii_hexdigit()));
    assert!(text(&made.stderr).contains("--sign-key"));
    let about = fs::metadata(&file).unwrap();
    assert_eq!(
        (about.permissions().mode() & 0o777, about.len()),
        (0o600, 32)
    );

    let seed = fs::read(&file).unwrap();
    let again = keygen(&[], &file);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).starts_with("mimeo-image: error: "));
    assert_eq!(fs::read(&file).unwrap(), seed, "it is not overwritten");

    let shown = keygen(&["--public"], &file);
    assert_eq!(shown.status.code(), Some(0));
    assert_eq!(text(&shown.stdout).trim_end(), public);
    assert!(shown.stderr.is_empty());
}

#[test]
fn the_key_of_a_room_has_nothing_to_pin() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("room.key");
    let made = keygen(&["--room"], &file);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert!(made.stdout.is_empty() && text(&made.stderr).contains("--key-file"));
    assert_eq!(fs::read(&file).unwrap().len(), 32);
}

#[test]
fn what_cannot_be_made_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let made = keygen(&[], &dir.path().join("nowhere/lab.key"));
    assert_eq!(made.status.code(), Some(1), "{made:?}");
}
