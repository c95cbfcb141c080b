//! Sources that are refused, and what overrides that.

use std::path::Path;

use mimeo_benches::session::Outcome;
use mimeo_tests::host::{Place, assert_code, assert_same, assert_says};

use super::common::{Mounted, can_loop};
use super::disk::plain_ext4;
use super::fixture::{Image, MIB};
use super::place;

/// Exit code 3, before anybody can join.
fn refused(place: &Place, image: &Path, options: &[&str]) -> Outcome {
    let outcome = place.run(place.sender(image, options), []);
    assert_code(&outcome.sender, 3);
    assert_says(&outcome.sender, image.to_str().unwrap());
    outcome
}

fn sent(place: &Place, image: &Path, options: &[&str]) -> Outcome {
    let receiver = place.receiver(place.path("target"), &[]);
    let outcome = place.run(place.sender(image, options), [receiver]);
    assert_code(&outcome.sender, 0);
    assert_code(&outcome.receivers[0], 0);
    outcome
}

#[test]
fn a_sleeping_system_is_refused_with_the_remedy() {
    let Some(_alone) = can_loop("a sleeping system", &["mkswap"]) else {
        return;
    };
    let image = Image::new(16 * MIB);
    image.tool("mkswap", &[]);
    image.write(4096 - 10, b"S1SUSPEND\0");
    let place = place();
    let outcome = refused(&place, &image.path, &["--used", "auto"]);
    assert_says(&outcome.sender, "shut it down properly");
    assert_says(&outcome.sender, "--force");
    let outcome = sent(&place, &image.path, &["--used", "auto", "--force"]);
    assert_says(
        &outcome.sender,
        "copied whole, 16.7 MB: a hibernated system is in it",
    );
    assert_same(&image.path, &place.path("target"));
    // A file is sent exactly unless something else is said.
    sent(&place, &image.path, &[]);
}

#[test]
fn a_mounted_device_is_refused_and_its_mount_point_named() {
    let Some(_alone) = can_loop("a mounted device", &["mkfs.ext4", "mount"]) else {
        return;
    };
    let place = place();
    let device = plain_ext4(&place, 16 * MIB);
    let point = place.path("mounted");
    std::fs::create_dir(&point).unwrap();
    let mounted = Mounted::new(&[], device.path(), point.clone());
    for options in [&[][..], &["--force"], &["--used", "off"]] {
        let outcome = refused(&place, device.path(), options);
        assert_says(&outcome.sender, point.to_str().unwrap());
        assert_says(&outcome.sender, "--used off --force");
    }
    sent(&place, device.path(), &["--used", "off", "--force"]);
    drop(mounted);
    let outcome = sent(&place, device.path(), &[]);
    assert!(outcome.sender.report.as_ref().unwrap().bytes_unused > 0);
}

#[test]
fn of_a_stream_nothing_can_be_left_out() {
    let place = place();
    let mut sender = place.sender("-", &["--used", "auto"]);
    sender.stdin(std::fs::File::open(place.random("image", MIB)).unwrap());
    let outcome = place.run(sender, []);
    assert_code(&outcome.sender, 3);
    assert_says(&outcome.sender, "--used auto");
}
