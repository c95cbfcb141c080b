//! Disks put together from partitions.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::fixture::{Image, MIB};

/// Types of partitions.
pub const ESP: &str = "U";
pub const LINUX: &str = "L";
pub const WINDOWS: &str = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7";

/// A disk with a GPT and these partitions, numbered from 1.
pub fn disk(parts: &[(&str, &Image)]) -> Image {
    let mut script = "label: gpt\n".to_owned();
    let mut at = MIB;
    let mut places = Vec::new();
    for (kind, part) in parts {
        let len = fs::metadata(&part.path).unwrap().len();
        script += &format!("start={}, size={}, type={kind}\n", at / 512, len / 512);
        places.push(at);
        at += len.next_multiple_of(MIB);
    }
    let image = Image::new(at + MIB);
    let mut sfdisk = Command::new("sfdisk")
        .args([OsStr::new("--quiet"), image.path.as_ref()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = sfdisk.stdin.take().unwrap();
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    assert!(sfdisk.wait().unwrap().success());
    for ((_, part), at) in parts.iter().zip(places) {
        image.write(at, &fs::read(&part.path).unwrap());
    }
    image
}
