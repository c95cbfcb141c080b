//! Real programs on `lo`: a sender's key that is pinned, and one that is not the sender's.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mimeo_benches::session::Process;
use mimeo_protocol::keys::SigningKey;
use mimeo_tests::host::{PATIENCE, Place, assert_code, assert_same, assert_says, assert_success};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

/// The file of a key, and its public key.
fn key(place: &Place, byte: u8, mode: u32) -> (String, String) {
    let path = place.file(&format!("key-{byte}"), [byte; 32]);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let public = SigningKey::from_seed(&[byte; 32]).verifying_key();
    (path.to_str().unwrap().to_owned(), public.to_string())
}

#[test]
fn who_pins_the_senders_key_gets_the_image_and_the_sender_shows_that_key() {
    let place = place();
    let image = place.random("image", 3 << 20);
    let (file, public) = key(&place, 7, 0o600);
    let targets = [place.path("pinned"), place.path("unpinned")];
    let sender = ["--sign-key", file.as_str(), "--min-receivers", "2"];
    let outcome = place.run(
        place.sender(&image, &sender),
        [
            place.receiver(&targets[0], &["--sender-key", &public]),
            place.receiver(&targets[1], &[]),
        ],
    );
    assert_success(&outcome, &image);
    assert_says(&outcome.sender, &format!("--sender-key {public}"));
    for target in &targets {
        assert_same(&image, target);
    }
}

#[test]
fn who_pins_another_key_takes_nothing() {
    let place = place();
    let image = place.random("image", 1 << 20);
    let ((file, _), (_, other)) = (key(&place, 7, 0o600), key(&place, 8, 0o600));
    for signing in [&["--sign-key", file.as_str()][..], &[]] {
        let target = place.path("target");
        let options = [signing, &["--start-timeout", "20s"]].concat();
        let outcome = place.run(
            place.sender(&image, &options),
            [place.receiver(&target, &["--sender-key", &other])],
        );
        assert_code(&outcome.receivers[0], 7);
        assert_says(&outcome.receivers[0], "not the pinned one");
        assert_code(&outcome.sender, 4);
        assert!(!target.exists(), "nothing is touched");
    }
}

#[test]
fn a_signing_key_that_others_hold_is_refused() {
    let place = place();
    let image = place.random("image", 1000);
    let (exposed, _) = key(&place, 7, 0o644);
    let (shared, _) = key(&place, 8, 0o600);
    let missing = place.path("missing").to_str().unwrap().to_owned();
    let refusals: [(&[&str], &str); 3] = [
        (&["--sign-key", &exposed], "chmod 600"),
        (&["--sign-key", &missing], "mimeo-image keygen"),
        (
            &["--key-file", &shared, "--sign-key", &shared],
            "every receiver holds",
        ),
    ];
    for (options, text) in refusals {
        let command = place.sender(&image, options);
        let mut process = Process::start(command, place.directory(), "sender").unwrap();
        assert!(process.running.wait(PATIENCE).unwrap().is_some());
        let end = process.finish_sender().unwrap();
        assert_code(&end, 2);
        assert_says(&end, text);
    }
}
