//! Real programs on `lo`: what cannot be done is refused before anything is touched, with the
//! exit code of the contract and a text that says why.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use mimeo_benches::netlab::skip;
use mimeo_benches::report::{ReceiverReport, SenderReport};
use mimeo_benches::session::{End, Process};
use mimeo_tests::host::{
    LoopDevice, PATIENCE, Place, assert_code, assert_same, assert_says, assert_success, finish,
    root, until,
};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

/// Runs a program alone.
fn start(place: &Place, command: Command, name: &str) -> Process {
    let mut process = Process::start(command, place.directory(), name).unwrap();
    assert!(
        process.running.wait(PATIENCE).unwrap().is_some(),
        "{}",
        process.log().unwrap()
    );
    process
}

fn sender(place: &Place, command: Command) -> End<SenderReport> {
    start(place, command, "sender").finish_sender().unwrap()
}

fn receiver(place: &Place, command: Command) -> End<ReceiverReport> {
    start(place, command, "receiver").finish_receiver().unwrap()
}

fn key(place: &Place, name: &str, byte: u8, mode: u32) -> String {
    let path = place.file(name, [byte; 32]);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_right_key_opens() {
    let place = place();
    let image = place.random("image", 1 << 20);
    let (key, target) = (key(&place, "key", 7, 0o600), place.path("target"));
    let options = ["--key-file", key.as_str()];
    let outcome = place.run(
        place.sender(&image, &options),
        [place.receiver(&target, &options)],
    );
    assert_success(&outcome, &image);
    assert_same(&image, &target);
}

#[test]
fn a_wrong_key_is_not_admitted() {
    let place = place();
    let image = place.random("image", 1 << 20);
    let (right, wrong) = (
        key(&place, "right", 7, 0o600),
        key(&place, "wrong", 8, 0o600),
    );
    let target = place.path("target");
    let sender = place.sender(&image, &["--key-file", &right, "--start-timeout", "20s"]);
    let receiver = place.receiver(&target, &["--key-file", &wrong]);
    let outcome = place.run(sender, [receiver]);
    assert_code(&outcome.receivers[0], 7);
    assert_says(&outcome.receivers[0], "key");
    assert_code(&outcome.sender, 4);
    assert!(
        !target.exists(),
        "nothing was admitted, so nothing is touched"
    );
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = place();
    let image = place.random("image", 1000);
    let key = key(&place, "key", 7, 0o644);
    let end = sender(&place, place.sender(&image, &["--key-file", &key]));
    assert_code(&end, 2);
    assert_says(&end, "chmod 600");
    let end = receiver(&place, place.receiver("null:", &["--key-file", &key]));
    assert_code(&end, 2);
    assert_says(&end, "chmod 600");
}

#[test]
fn an_image_that_cannot_be_sent_is_refused() {
    let place = place();
    let empty = place.file("empty", "");
    for image in [&place.path("missing"), &empty, place.directory()] {
        let end = sender(&place, place.sender(image, &[]));
        assert_code(&end, 3);
        assert_says(&end, image.to_str().unwrap());
    }
}

#[test]
fn an_image_that_may_not_be_read_is_refused() {
    let place = place();
    let image = place.random("image", 1000);
    fs::set_permissions(&image, fs::Permissions::from_mode(0o000)).unwrap();
    let end = if rustix::process::geteuid().is_root() {
        // Nothing is forbidden to root: be somebody else, who can reach a copy of the program.
        let program = place.path("program");
        fs::copy(env!("CARGO_BIN_EXE_mimeo-host"), &program).unwrap();
        for path in [place.directory(), &program] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let mut command = Command::new(&program);
        let as_root = place.sender(&image, &[]);
        command.args(as_root.get_args()).uid(65_534).gid(65_534);
        sender(&place, command)
    } else {
        sender(&place, place.sender(&image, &[]))
    };
    assert_code(&end, 3);
    assert_says(&end, "permission");
}

#[test]
fn a_target_that_cannot_be_written_is_refused() {
    let place = place();
    let (missing, dev) = (place.path("missing/target"), Path::new("/dev/no-such-disk"));
    for target in [place.directory(), &missing, dev] {
        let end = receiver(&place, place.receiver(target, &[]));
        assert_code(&end, 3);
        assert_says(&end, target.to_str().unwrap());
    }
    assert!(!dev.exists(), "no file is made among the devices");
}

#[test]
fn a_disk_that_is_too_small_is_refused_untouched_and_the_sender_says_so() {
    let test = "a disk that is too small";
    if !root(test) {
        return;
    }
    let place = place();
    let image = place.random("image", 2 << 20);
    let (backing, other) = (place.path("backing"), place.path("other"));
    let Some(disk) = LoopDevice::new(test, &backing, 1 << 20) else {
        return;
    };
    let receivers = [
        place.receiver(disk.path(), &[]),
        place.receiver(&other, &[]),
    ];
    // Two must have come before it starts; that it starts with one is the point of --max-wait.
    let options = ["--min-receivers", "2", "--max-wait", "5s"];
    let outcome = place.run(place.sender(&image, &options), receivers);
    assert_code(&outcome.receivers[0], 3);
    assert_says(&outcome.receivers[0], "too small");
    assert_code(&outcome.receivers[1], 0);
    assert_same(&image, &other);
    assert_code(&outcome.sender, 5);
    assert_says(&outcome.sender, "too small");
    drop(disk);
    assert_eq!(fs::read(&backing).unwrap(), vec![0; 1 << 20]);
}

#[test]
fn a_disk_takes_the_image_and_keeps_what_is_behind_it() {
    let test = "a disk as the target";
    if !root(test) {
        return;
    }
    let place = place();
    // The last sector is not of the image alone.
    let image = place.random("image", (2 << 20) + 100);
    let backing = place.path("backing");
    let Some(disk) = LoopDevice::new(test, &backing, 4 << 20) else {
        return;
    };
    fs::write(disk.path(), vec![0xaa; 4 << 20]).unwrap();
    let outcome = place.run(
        place.sender(&image, &[]),
        [place.receiver(disk.path(), &[])],
    );
    assert_success(&outcome, &image);
    drop(disk);
    let (image, disk) = (fs::read(image).unwrap(), fs::read(backing).unwrap());
    assert!(
        disk[..image.len()] == image,
        "the disk begins with the image"
    );
    assert!(
        disk[image.len()..].iter().all(|&byte| byte == 0xaa),
        "the rest is as it was"
    );
}

#[test]
fn a_disk_with_something_on_it_needs_a_yes_and_a_mounted_one_is_refused_all_the_same() {
    let test = "a mounted disk";
    if !root(test) {
        return;
    }
    let place = place();
    let (backing, mounted) = (place.path("backing"), place.path("mounted"));
    let Some(disk) = LoopDevice::new(test, &backing, 16 << 20) else {
        return;
    };
    let made = Command::new("mkfs.ext4")
        .arg("-q")
        .arg(disk.path())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skip(test, &"mkfs.ext4 is not installed");
    }
    let end = receiver(&place, place.receiver(disk.path(), &[]));
    assert_code(&end, 3);
    assert_says(&end, "--yes");

    fs::create_dir(&mounted).unwrap();
    assert!(
        Command::new("mount")
            .arg(disk.path())
            .arg(&mounted)
            .status()
            .unwrap()
            .success()
    );
    let end = receiver(&place, place.receiver(disk.path(), &["--yes"]));
    assert!(
        Command::new("umount")
            .arg(&mounted)
            .status()
            .unwrap()
            .success()
    );
    assert_code(&end, 3);
    assert_says(&end, "in use");
    assert_says(&end, mounted.to_str().unwrap());

    let image = place.random("image", 16 << 20);
    let receiver = place.receiver(disk.path(), &["--yes"]);
    assert_success(&place.run(place.sender(&image, &[]), [receiver]), &image);
    drop(disk);
    assert_same(&image, &backing);
}

#[test]
fn an_unknown_interface_is_named_with_those_that_exist() {
    let place = place();
    let image = place.random("image", 1000);
    let options = ["--interface", "no-such-card"];
    let end = sender(&place, place.sender(&image, &options));
    assert!(matches!(end.code(), Some(1 | 2)), "{end:?}");
    assert_says(&end, "no-such-card");
    assert_says(&end, "lo");
    let end = receiver(&place, place.receiver("null:", &options));
    assert!(matches!(end.code(), Some(1 | 2)), "{end:?}");
    assert_says(&end, "no-such-card");
    assert_says(&end, "lo");
}

#[test]
fn a_port_in_use_is_named() {
    let place = place();
    let image = place.random("image", 1000);
    let _other = UdpSocket::bind((Ipv4Addr::LOCALHOST, place.port())).unwrap();
    let end = sender(&place, place.sender(&image, &[]));
    assert_code(&end, 1);
    assert_says(&end, &place.port().to_string());
    assert_says(&end, "in use");
}

#[test]
fn nobody_in_time() {
    let place = place();
    let image = place.random("image", 1000);
    let end = sender(&place, place.sender(&image, &["--start-timeout", "1s"]));
    assert_code(&end, 4);
    assert_says(&end, "--start-timeout");
    let target = place.path("target");
    let end = receiver(&place, place.receiver(&target, &["--start-timeout", "1s"]));
    assert_code(&end, 4);
    assert_says(&end, "--start-timeout");
    assert!(!target.exists());
}

#[test]
fn too_few_in_time() {
    let place = place();
    let image = place.random("image", 1000);
    let target = place.path("target");
    let options = ["--min-receivers", "2", "--start-timeout", "5s"];
    let outcome = place.run(
        place.sender(&image, &options),
        [place.receiver(&target, &[])],
    );
    assert_code(&outcome.sender, 4);
    assert_says(&outcome.sender, "only 1 of at least 2");
    assert_code(&outcome.receivers[0], 4);
    assert_says(&outcome.receivers[0], "too few receivers");
    assert!(
        !target.metadata().is_ok_and(|about| about.blocks() > 0),
        "nothing was written"
    );
}

#[test]
fn another_session_is_not_joined() {
    let place = place();
    let image = place.random("image", 1000);
    let sender = place.sender(&image, &["--session", "this", "--start-timeout", "6s"]);
    let receiver = place.receiver("null:", &["--session", "that", "--start-timeout", "3s"]);
    let outcome = place.run(sender, [receiver]);
    assert_code(&outcome.receivers[0], 4);
    assert_code(&outcome.sender, 4);
}

#[test]
fn an_image_is_not_overwritten_by_its_own_receiver() {
    let place = place();
    let image = place.random("image", 1 << 20);
    let copy = place.path("copy");
    fs::copy(&image, &copy).unwrap();
    let link = place.path("link");
    fs::hard_link(&image, &link).unwrap();
    let session = place.start(
        place.sender(&image, &["--min-receivers", "2", "--start-timeout", "5s"]),
        [place.receiver("null:", &[])],
    );
    // The receiver is in, so the sender has the image open.
    until("the receiver is admitted", || {
        session.receivers[0]
            .log()
            .is_ok_and(|log| log.contains("joined"))
    });
    for target in [&image, &link] {
        let end = receiver(&place, place.receiver(target, &[]));
        assert_code(&end, 3);
        assert_says(&end, "another program is sending it or writing to it");
    }
    assert_code(&finish(session).sender, 4);
    assert_same(&copy, &image);
}

#[test]
fn a_pipe_without_a_reader_is_refused_at_once() {
    let place = place();
    let pipe = place.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let end = receiver(&place, place.receiver(&pipe, &[]));
    assert_code(&end, 3);
    assert_says(&end, "start its reader first");
}
