//! The program, on files and devices.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{can_loop, noise};
use crate::fixture::{MIB, can, disk, ordinary, table};
use crate::liar::Liar;

const BLOCK: u64 = 256 << 10;

fn mimeo(args: &[&dyn AsRef<OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimeo-image"));
    args.iter().for_each(|arg| {
        command.arg(arg);
    });
    command.output().unwrap()
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn verified(image: &Path, target: &Path, more: &[&'static str]) -> Output {
    let mut args: Vec<&dyn AsRef<OsStr>> = vec![&"restore", &"--verify", &"--yes"];
    args.extend(more.iter().map(|it| it as &dyn AsRef<OsStr>));
    args.extend([&image as &dyn AsRef<OsStr>, &target]);
    mimeo(&args)
}

/// An image file of these bytes.
fn captured(dir: &Path, raw: &[u8]) -> std::path::PathBuf {
    let (disk, image) = (dir.join("disk.raw"), dir.join("disk.mimeo"));
    fs::write(&disk, raw).unwrap();
    said(&mimeo(&[&"capture", &disk, &image]), 0);
    image
}

#[test]
fn a_disk_that_keeps_something_else_is_found_out() {
    let test = "a_disk_that_keeps_something_else_is_found_out";
    let Some(_alone) = can_loop(test, &[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let raw = noise(5 * BLOCK as usize + 9, 4);
    let image = captured(dir.path(), &raw);
    let whole = dir.path().join("whole");
    let text = said(&verified(&image, &whole, &[]), 0);
    assert!(text.contains("\nread back in "), "{text}");
    assert!(fs::read(whole).unwrap() == raw);
    let Some(liar) = Liar::new(test, &dir.path().join("liar"), 3 * BLOCK + 7) else {
        return;
    };
    // Without it nobody knows.
    said(&mimeo(&[&"restore", &image, &liar.path]), 0);
    let text = said(&verified(&image, &liar.path, &[]), 6);
    let place = "between bytes 786432 and 1048576";
    assert!(text.contains(place) && text.contains("dmesg"), "{text}");
}

#[test]
fn what_cannot_be_read_back_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let image = captured(dir.path(), &noise(1000, 5));
    for target in ["-", "null:"] {
        let output = verified(&image, Path::new(target), &[]);
        assert!(output.stdout.is_empty());
        let text = said(&output, 2);
        assert!(text.contains("cannot be read back"), "{text}");
    }
}

/// With the table that is fitted, and a block that a shorter disk ends in.
#[test]
fn disks_of_all_lengths_are_proved() {
    let Some(_alone) = can("disks that are restored and proved") else {
        return;
    };
    let image = ordinary(32 * MIB);
    let dir = tempfile::tempdir().unwrap();
    let file = captured(dir.path(), &image.bytes());
    for len in [32 * MIB, 40 * MIB, 20 * MIB + 512] {
        for unused in ["keep", "zero"] {
            let device = disk(len, "512");
            let text = said(
                &verified(
                    &file,
                    &device.path,
                    if unused == "zero" {
                        &["--unused", "zero"]
                    } else {
                        &[]
                    },
                ),
                0,
            );
            assert!(text.contains("past the page cache"), "{text}");
            assert_eq!(text.contains("backup was moved"), len != 32 * MIB, "{text}");
            assert_eq!(table(&device.path), table(&image.path));
        }
    }
}
