//! Real programs on `lo`: what is sent arrives, whatever it is.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use mimeo_benches::session::{Process, Session};
use mimeo_tests::host::{Place, assert_code, assert_same, assert_success, finish};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

/// Sends `image` to `count` receivers and compares everything.
fn deliver(place: &Place, image: &Path, count: usize) {
    let targets: Vec<_> = (0..count)
        .map(|n| place.path(&format!("target{n}")))
        .collect();
    let receivers = targets.iter().map(|target| place.receiver(target, &[]));
    let min_receivers = count.to_string();
    let sender = place.sender(image, &["--min-receivers", &min_receivers]);
    let outcome = place.run(sender, receivers);
    assert_success(&outcome, image);
    for target in targets {
        assert_same(image, &target);
        fs::remove_file(target).unwrap();
    }
}

#[test]
fn one_receiver_gets_the_image() {
    let place = place();
    deliver(&place, &place.random("image", (5 << 20) + 77), 1);
}

#[test]
fn three_receivers_get_the_image() {
    let place = place();
    deliver(&place, &place.random("image", (5 << 20) + 77), 3);
}

#[test]
fn images_around_the_size_of_a_block() {
    let place = place();
    for size in [1, 262_143, 262_144, 262_145] {
        deliver(&place, &place.random("image", size), 2);
    }
}

#[test]
fn text_that_compresses() {
    let place = place();
    let text: String = (0..200_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    deliver(&place, &place.file("image", text), 2);
}

#[test]
fn zeros() {
    let place = place();
    deliver(&place, &place.file("image", vec![0; 1 << 20]), 2);
}

#[test]
fn holes_stay_holes() {
    let place = place();
    let (image, target) = (place.path("image"), place.path("target"));
    File::create(&image).unwrap().set_len(300 << 20).unwrap();
    let outcome = place.run(place.sender(&image, &[]), [place.receiver(&target, &[])]);
    assert_success(&outcome, &image);
    assert_same(&image, &target);
    // In units of 512 bytes, stat(2).
    assert!(target.metadata().unwrap().blocks() * 512 < 1 << 20);
    let counters = outcome.sender.report.unwrap().counters;
    assert_eq!(counters.pass_symbols, 0, "no hole is sent: {counters:?}");
}

#[test]
fn a_longer_file_is_cut_to_the_image() {
    let place = place();
    let image = place.random("image", 300_000);
    let target = place.random("target", 2_000_000);
    let outcome = place.run(place.sender(&image, &[]), [place.receiver(&target, &[])]);
    assert_success(&outcome, &image);
    assert_same(&image, &target);
}

#[test]
fn null_discards_but_verifies() {
    let place = place();
    let image = place.random("image", 3 << 20);
    let outcome = place.run(place.sender(&image, &[]), [place.receiver("null:", &[])]);
    assert_success(&outcome, &image);
}

#[test]
fn a_stream_comes_out_as_it_went_in() {
    for size in [1, (9 << 20) + 5] {
        let place = place();
        let image = place.random("image", size);
        let mut sender = place.sender("-", &["--min-receivers", "2"]);
        sender.stdin(File::open(&image).unwrap());
        let target = place.path("target");
        let mut stream = place.receiver("-", &[]);
        stream.stdout(File::create(&target).unwrap());
        let file = place.path("file");
        let outcome = place.run(sender, [stream, place.receiver(&file, &[])]);
        assert_success(&outcome, &image);
        assert_same(&image, &target);
        assert_same(&image, &file);
    }
}

#[test]
fn an_archive_is_packed_sent_and_unpacked() {
    let place = place();
    let (original, copy) = (place.path("original"), place.path("copy"));
    fs::create_dir_all(original.join("inner")).unwrap();
    fs::create_dir(&copy).unwrap();
    fs::write(original.join("inner/text"), "some text").unwrap();
    fs::rename(place.random("big", 3 << 20), original.join("big")).unwrap();

    let mut pack = Command::new("tar");
    pack.arg("-C")
        .arg(&original)
        .args(["-cf", "-", "."])
        .stdout(Stdio::piped());
    let mut pack = pack.spawn().unwrap();
    let mut sender = place.sender("-", &[]);
    sender.stdin(pack.stdout.take().unwrap());
    let mut receiver = place.receiver("-", &[]);
    receiver.stdout(Stdio::piped());
    let mut session = place.start(sender, [receiver]);
    let mut unpack = Command::new("tar");
    unpack.arg("-C").arg(&copy).args(["-xf", "-"]);
    unpack.stdin(session.receivers[0].running.stdout.take().unwrap());
    let mut unpack = unpack.spawn().unwrap();

    let outcome = finish(session);
    assert!(pack.wait().unwrap().success() && unpack.wait().unwrap().success());
    assert_code(&outcome.sender, 0);
    assert_code(&outcome.receivers[0], 0);
    assert_eq!(
        fs::read_to_string(copy.join("inner/text")).unwrap(),
        "some text"
    );
    assert_same(&original.join("big"), &copy.join("big"));
}

/// Starts one more receiver in a room that is already running.
fn join_late(place: &Place, session: &mut Session, command: Command) {
    let process = Process::start(command, place.directory(), "late").unwrap();
    session.receivers.push(process);
}

#[test]
fn a_late_receiver_gets_what_it_missed() {
    let place = place();
    let image = place.random("image", 16 << 20);
    let (first, late) = (place.path("first"), place.path("late"));
    let sender = place.sender(&image, &["--rate", "60M"]);
    let mut session = place.start(sender, [place.receiver(&first, &[])]);
    mimeo_tests::host::until("the first one gets data", || {
        first.metadata().is_ok_and(|about| about.blocks() > 0)
    });
    let command = place.receiver(&late, &[]);
    join_late(&place, &mut session, command);
    let outcome = finish(session);
    assert_success(&outcome, &image);
    assert_same(&image, &first);
    assert_same(&image, &late);
}

/// A target in order cannot take what passes now, so it must neither ask for it nor hold up those
/// who do.
#[test]
fn a_late_pipe_starts_from_the_beginning_and_holds_nobody_up() {
    let place = place();
    // Three times what the smallest memory keeps.
    let image = place.random("image", 48 << 20);
    let (first, late) = (place.path("first"), place.path("late"));
    let sender = place.sender(&image, &["--rate", "200M"]);
    let mut session = place.start(sender, [place.receiver(&first, &[])]);
    let until = mimeo_tests::host::until;
    until("the first one has half of it", || {
        let written = first.metadata().map_or(0, |about| about.blocks() * 512);
        written > 24 << 20
    });
    let mut command = place.receiver("-", &["--memory", "16MiB"]);
    command.stdout(File::create(&late).unwrap());
    join_late(&place, &mut session, command);
    let outcome = finish(session);
    assert_success(&outcome, &image);
    assert_same(&image, &first);
    assert_same(&image, &late);
    let counters = &outcome.sender.report.as_ref().unwrap().counters;
    assert!(
        counters.repair_symbols < counters.symbols_needed / 10,
        "{counters:?}: what cannot be taken is not asked for"
    );
}
