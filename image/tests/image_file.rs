//! `mimeo-image capture`, `restore`, `export`, `verify`, `sign`, and the tools that everybody has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod common;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{can_loop, skip};
use rustix::process::{Pid, Signal};

const BLOCK: usize = 256 << 10;

/// Bytes that no compressor makes shorter.
fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new_keyed(&[seed; 32])
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// A folder with a raw disk: text, noise, a hole, zeros, and a short block at its end.
struct Disk {
    dir: tempfile::TempDir,
    raw: Vec<u8>,
}

impl Disk {
    fn new() -> Self {
        let mut raw = b"mimeo images a whole room of machines\n".repeat(20_000);
        raw.resize(3 * BLOCK, 7);
        raw.extend(noise(2 * BLOCK, 3));
        let hole = raw.len();
        raw.resize(hole + 12 * BLOCK, 0);
        raw.extend(noise(1234, 4));
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("disk.raw")).unwrap();
        file.write_all_at(&raw[..hole], 0).unwrap();
        let zeros = hole + 10 * BLOCK;
        file.write_all_at(&raw[zeros..], zeros as u64).unwrap();
        Self { dir, raw }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Captures it, with more arguments.
    fn capture(&self, name: &str, more: &[&str]) -> Output {
        let args = [&["capture"][..], more, &["disk.raw", name]].concat();
        self.mimeo(&args)
    }

    fn mimeo(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mimeo-image"))
            .args(args)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    fn tool(&self, name: &str, args: &[&str]) -> Output {
        let output = Command::new(name)
            .args(args)
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{name} {args:?}: {output:?}");
        output
    }
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn failed(output: &Output, code: i32, text: &str) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(text), "{error}");
}

/// Whether these programs are there; fails if they have to be.
fn has(test: &str, tools: &[&str]) -> bool {
    let missing = tools
        .iter()
        .find(|tool| Command::new(tool).arg("--version").output().is_err());
    if let Some(tool) = missing {
        skip(test, &format!("it needs {tool}"));
    }
    missing.is_none()
}

#[test]
fn a_disk_comes_back_from_its_image_at_every_level() {
    let disk = Disk::new();
    let mut lens = Vec::new();
    for level in ["none", "fast", "default", "max"] {
        let hash = succeeded(&disk.capture(level, &["--level", level]));
        assert_eq!(hash.trim(), blake3::hash(&disk.raw).to_string());
        let raw = format!("{level}.raw");
        succeeded(&disk.mimeo(&["export", level, &raw]));
        assert!(fs::read(disk.path(&raw)).unwrap() == disk.raw, "{level}");
        succeeded(&disk.mimeo(&["restore", level, "restored"]));
        assert!(
            fs::read(disk.path("restored")).unwrap() == disk.raw,
            "{level}"
        );
        let piped = disk.mimeo(&["export", level]);
        assert!(piped.status.success() && piped.stdout == disk.raw);
        lens.push(fs::metadata(disk.path(level)).unwrap().len());
    }
    // 10 blocks of zeros are not in the file.
    let sparse = fs::metadata(disk.path("fast.raw")).unwrap();
    assert!(sparse.blocks() * 512 < sparse.len() / 2, "{sparse:?}");
    assert!(lens[0] > lens[1] && lens[1] >= lens[3], "{lens:?}");
}

#[test]
fn tools_that_know_nothing_of_us_agree() {
    if !has("tools_that_know_nothing_of_us_agree", &["zstd", "b3sum"]) {
        return;
    }
    let disk = Disk::new();
    let hash = succeeded(&disk.capture("disk.zst", &[]));
    disk.tool("zstd", &["-q", "-t", "disk.zst"]);
    disk.tool("zstd", &["-q", "-d", "disk.zst", "-o", "by-zstd"]);
    assert!(fs::read(disk.path("by-zstd")).unwrap() == disk.raw);
    let listed = disk.tool("zstd", &["-l", "-v", "disk.zst"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    // Three of text, two of noise, a run, a short block; six parts and the seek table.
    assert!(listed.contains("# Zstandard Frames: 7"), "{listed}");
    assert!(listed.contains("# Skippable Frames: 7"), "{listed}");
    assert!(
        listed.contains(&format!("({} B)", disk.raw.len())),
        "{listed}"
    );
    let summed = disk.tool("b3sum", &["by-zstd"]);
    assert!(summed.stdout.starts_with(hash.trim().as_bytes()));
}

#[test]
fn age_opens_what_is_encrypted() {
    let tools = ["zstd", "age", "age-keygen"];
    if !has("age_opens_what_is_encrypted", &tools) {
        return;
    }
    let disk = Disk::new();
    disk.tool("age-keygen", &["-o", "identity"]);
    let recipient = disk.tool("age-keygen", &["-y", "identity"]);
    let recipient = String::from_utf8_lossy(&recipient.stdout).trim().to_owned();
    succeeded(&disk.capture("disk.age", &["--encrypt-to", &recipient]));
    disk.tool(
        "age",
        &["-d", "-i", "identity", "-o", "disk.zst", "disk.age"],
    );
    disk.tool("zstd", &["-q", "-d", "disk.zst", "-o", "by-zstd"]);
    assert!(fs::read(disk.path("by-zstd")).unwrap() == disk.raw);
    failed(&disk.mimeo(&["export", "disk.age"]), 3, "--identity");
    let identity = ["--identity", "identity"];
    let with = |command| [&[command][..], &identity[..], &["disk.age"]].concat();
    assert!(disk.mimeo(&with("export")).stdout == disk.raw);
    succeeded(&disk.mimeo(&with("verify")));
    let info = succeeded(&disk.mimeo(&with("info")));
    assert!(info.contains("encrypted"), "{info}");

    // And what age has encrypted is opened.
    succeeded(&disk.capture("plain.zst", &[]));
    disk.tool("age", &["-r", &recipient, "-o", "by-age", "plain.zst"]);
    let export = [&["export"][..], &identity[..], &["by-age"]].concat();
    assert!(disk.mimeo(&export).stdout == disk.raw);
}

#[test]
fn a_passphrase_opens_what_it_has_encrypted() {
    let disk = Disk::new();
    fs::write(disk.path("right"), "correct horse\n").unwrap();
    fs::write(disk.path("wrong"), "battery staple\n").unwrap();
    fs::write(disk.path("empty"), "\n").unwrap();
    let empty = disk.capture("disk.age", &["--passphrase-file", "empty"]);
    failed(&empty, 2, "first line");
    succeeded(&disk.capture("disk.age", &["--passphrase-file", "right"]));
    let export = |file| disk.mimeo(&["export", "--passphrase-file", file, "disk.age"]);
    assert!(export("right").stdout == disk.raw);
    failed(&export("wrong"), 3, "not for this passphrase");
    succeeded(&disk.capture("disk.zst", &[]));
    let plain = ["verify", "--passphrase-file", "right", "disk.zst"];
    failed(&disk.mimeo(&plain), 2, "it is not encrypted");
}

#[test]
fn damage_is_found_and_nothing_wrong_is_called_restored() {
    let disk = Disk::new();
    succeeded(&disk.capture("disk.zst", &[]));
    succeeded(&disk.mimeo(&["verify", "disk.zst"]));
    let mut bytes = fs::read(disk.path("disk.zst")).unwrap();
    // In the first block of noise, hence block 3 of the disk.
    let needle = &disk.raw[3 * BLOCK..3 * BLOCK + 16];
    let at = bytes.windows(16).position(|found| found == needle).unwrap();
    bytes[at + 5000] ^= 4;
    fs::write(disk.path("disk.zst"), &bytes).unwrap();
    let place = "block 3 of the disk (bytes 786432 to 1048576)";
    failed(&disk.mimeo(&["verify", "disk.zst"]), 6, place);
    let restored = disk.mimeo(&["restore", "disk.zst", "restored"]);
    failed(&restored, 6, place);
    failed(&restored, 6, "does not hold the image");
    bytes.truncate(bytes.len() - 1);
    fs::write(disk.path("disk.zst"), &bytes).unwrap();
    for command in ["verify", "export"] {
        failed(&disk.mimeo(&[command, "disk.zst"]), 3, "its end is missing");
    }
}

#[test]
fn an_image_can_be_signed_and_labelled() {
    let disk = Disk::new();
    let key = succeeded(&disk.mimeo(&["keygen", "lab.key"]));
    let labels = ["--label", "room=12", "--label", "os=Debian 13"];
    succeeded(&disk.capture("disk.zst", &labels));
    let twice = ["--label", "room=12", "--label", "room=13"];
    failed(&disk.capture("other.zst", &twice), 2, "room=");
    let info = succeeded(&disk.mimeo(&["info", "disk.zst"]));
    for text in ["room=12", "os=Debian 13", "signed: no", "level default"] {
        assert!(info.contains(text), "{text} in {info}");
    }
    let verify = ["verify", "--sender-key", key.trim(), "disk.zst"];
    failed(&disk.mimeo(&verify), 6, "not signed");
    let verify_by_zz = ["verify", "--sender-key", "zz", "disk.zst"];
    failed(&disk.mimeo(&verify_by_zz), 2, "64 hexadecimal digits");
    succeeded(&disk.mimeo(&["sign", "--sign-key", "lab.key", "disk.zst"]));
    succeeded(&disk.mimeo(&verify));
    let json = succeeded(&disk.mimeo(&["info", "--json", "disk.zst"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["signed_by"], key.trim());
    assert_eq!(json["labels"]["room"], "12");
    assert_eq!(json["blocks"]["data"], 6);
    assert_eq!(json["length"], disk.raw.len());
    assert_eq!(json["layout"]["table"]["kind"], "none");
    // At once.
    let force = ["--overwrite", "--sign-key", "lab.key"];
    succeeded(&disk.capture("disk.zst", &force));
    succeeded(&disk.mimeo(&verify));
}

#[test]
fn what_is_there_stays_and_what_is_no_image_is_refused() {
    let disk = Disk::new();
    fs::write(disk.path("disk.zst"), "precious").unwrap();
    failed(&disk.capture("disk.zst", &[]), 2, "--overwrite");
    assert_eq!(fs::read(disk.path("disk.zst")).unwrap(), b"precious");
    for command in ["verify", "export"] {
        failed(&disk.mimeo(&[command, "disk.zst"]), 3, "no image file");
    }
    succeeded(&disk.capture("disk.zst", &["--overwrite"]));
    failed(
        &disk.mimeo(&["export", "disk.zst", "disk.raw"]),
        2,
        "--overwrite",
    );
    failed(
        &disk.capture("disk.raw", &["--overwrite"]),
        2,
        "what is captured",
    );
    failed(&disk.capture("no/disk.zst", &[]), 1, "no/disk.zst");
    failed(&disk.mimeo(&["capture", "nowhere", "x"]), 3, "nowhere");
    let left = fs::read_dir(disk.dir.path()).unwrap().count();
    assert_eq!(left, 2, "a temporary file was left");
}

#[test]
fn a_disk_is_restored_onto_a_device() {
    let Some(_alone) = can_loop("a_disk_is_restored_onto_a_device", &["losetup"]) else {
        return;
    };
    let disk = Disk::new();
    succeeded(&disk.capture("disk.zst", &[]));
    let device = common::Loop::new(disk.raw.len().next_multiple_of(4096), &[]);
    let restore = |path: &Path| disk.mimeo(&["restore", "disk.zst", path.to_str().unwrap()]);
    succeeded(&restore(&device.path));
    assert!(device.read()[..disk.raw.len()] == disk.raw);
    // The other subcommand that writes a disk's bytes says which one is meant.
    let path = device.path.to_str().unwrap();
    let export = disk.mimeo(&["export", "--overwrite", "disk.zst", path]);
    failed(&export, 2, "mimeo-image restore");
    let small = common::Loop::new(BLOCK, &[]);
    failed(&restore(&small.path), 3, "too small");
}

#[test]
fn an_image_file_is_checked_as_its_disk_is() {
    if !has("an_image_file_is_checked_as_its_disk_is", &["age-keygen"]) {
        return;
    }
    if Command::new("mkfs.ext4").arg("-V").output().is_err() {
        return skip(
            "an_image_file_is_checked_as_its_disk_is",
            "it needs mkfs.ext4",
        );
    }
    let disk = Disk::new();
    fs::create_dir_all(disk.path("root/etc")).unwrap();
    fs::write(
        disk.path("root/etc/machine-id"),
        "0123456789abcdef0123456789abcdef\n",
    )
    .unwrap();
    disk.tool("mkfs.ext4", &["-q", "-F", "-d", "root", "ext.raw", "8M"]);
    disk.tool("age-keygen", &["-o", "identity"]);
    let recipient = disk.tool("age-keygen", &["-y", "identity"]);
    let recipient = String::from_utf8_lossy(&recipient.stdout).trim().to_owned();
    succeeded(&disk.mimeo(&["capture", "ext.raw", "plain.mimeo"]));
    let encrypt = [
        "capture",
        "--encrypt-to",
        &recipient,
        "ext.raw",
        "locked.mimeo",
    ];
    succeeded(&disk.mimeo(&encrypt));
    let found = |args: &[&str]| {
        let output = disk.mimeo(&[&["check", "--json"], args].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let raw = found(&["ext.raw"]);
    assert_eq!(raw["findings"][0]["kind"], "machine-id");
    assert_eq!(found(&["plain.mimeo"]), raw);
    let unlock = ["--identity", "identity", "locked.mimeo"];
    assert_eq!(found(&unlock), raw);
    for file in ["ext.raw", "plain.mimeo"] {
        let in_vain = ["check", "--identity", "identity", file];
        failed(&disk.mimeo(&in_vain), 2, "it is not encrypted");
    }
    failed(&disk.mimeo(&["check", "locked.mimeo"]), 3, "--identity");
    failed(&disk.mimeo(&["check", "-"]), 2, "a stream");
    // It tells what it looked at.
    let text = disk.mimeo(&["check", "plain.mimeo"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.starts_with("image file plain.mimeo, 8.3 MB\n"),
        "{text}"
    );
    // Nothing in it can be changed, and it is told what to do instead.
    succeeded(&disk.mimeo(&["keygen", "lab.key"]));
    let sign = ["sign", "--sign-key", "lab.key", "locked.mimeo"];
    failed(&disk.mimeo(&sign), 3, "age -d -o PLAIN FILE");
}

#[test]
fn a_capture_that_is_ended_leaves_nothing_behind() {
    let disk = Disk::new();
    fs::write(disk.path("long.raw"), noise(64 << 20, 5)).unwrap();
    let is_part = |name: &str| Path::new(name).extension() == Some("part".as_ref());
    let names = || -> Vec<String> {
        let entries = fs::read_dir(disk.dir.path()).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    };
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut capture = Command::new(env!("CARGO_BIN_EXE_mimeo-image"))
            .args(["capture", "--level", "max", "long.raw", "long.mimeo"])
            .current_dir(disk.dir.path())
            .spawn()
            .unwrap();
        while !names().iter().any(|name| is_part(name)) {
            assert!(capture.try_wait().unwrap().is_none());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        rustix::process::kill_process(Pid::from_child(&capture), signal).unwrap();
        assert_eq!(capture.wait().unwrap().code(), Some(130), "{signal:?}");
        let left = names();
        assert!(
            !left
                .iter()
                .any(|name| is_part(name) || name == "long.mimeo"),
            "{left:?}"
        );
    }
}

#[test]
fn what_a_disk_is_packed_in_is_captured_with_a_warning() {
    let disk = Disk::new();
    let packed = [&b"\x1f\x8b\x08"[..], &[7; 5000]].concat();
    fs::write(disk.path("disk.raw.gz"), &packed).unwrap();
    for args in [
        &["capture", "disk.raw.gz", "gz.mimeo"][..],
        &["info", "disk.raw.gz"],
        &["check", "disk.raw.gz"],
    ] {
        let output = disk.mimeo(args);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let words = "warning: disk.raw.gz: it is a gzip file, and is taken as it is";
        assert!(said.contains(words), "{said}");
    }
    assert!(disk.mimeo(&["export", "gz.mimeo"]).stdout == packed);
}
