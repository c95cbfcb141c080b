//! What was recorded of another session.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::Duration;

use mimeo_benches::netlab::Host;
use mimeo_protocol::wire::Kind;
use mimeo_tests::attack::{Known, Mirror, Seen, Spoofer, replay};
use mimeo_tests::host::{Place, finish, until};

use super::{CODE, SLOWLY, Scene, goes_on};

#[test]
fn a_recorded_session_is_nothing_in_another_of_the_same_code() {
    if let Some(scene) = Scene::new("a recorded session", 2) {
        into_the_next_session(&scene, &CODE);
    }
}

#[test]
fn a_recorded_session_is_nothing_in_another_of_the_same_key_file() {
    if let Some(scene) = Scene::new("a recorded session", 2) {
        let key = key_file(&scene.place);
        // Several sessions may have one key file: without a name it would have to be said which.
        into_the_next_session(&scene, &["--key-file", &key, "--session", "lab"]);
    }
}

fn key_file(place: &Place) -> String {
    let key = place.file("key", [7; 32]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    key.to_str().unwrap().to_owned()
}

/// Records a session, and throws it at a receiver that looks for its sender, at one that joins and
/// at those of the next session, which is that of another image.
fn into_the_next_session(scene: &Scene, admission: &[&str]) {
    let _ = scene.place.random("image", 1 << 20);
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let outcome = finish(scene.start("image", &[], admission));
    scene.assert_all_have(&outcome, "image");
    let recorded = mirror.take();
    assert_is_whole(&recorded);
    for number in 1..=2 {
        fs::remove_file(scene.target(number)).unwrap();
    }

    let _ = scene.place.random("another", 8 << 20);
    let spoofer = Spoofer::on(&scene.room, scene.attacker());
    let alone = [admission, &["--start-timeout", "3s"]].concat();
    let command = scene.receiver(1, &alone);
    let mut receiver = scene.run(command, "alone");
    let mut known = Known::default();
    until("nobody is found", || {
        // It hears the recorded announces, and asks who is said to have sent them.
        known.learn(&mirror.take());
        replay(&spoofer, &recorded, &known, scene.control());
        receiver.running.wait(Duration::ZERO).unwrap().is_some()
    });
    let end = receiver.finish_receiver().unwrap();
    assert!([Some(4), Some(7)].contains(&end.code()), "{end:?}");
    assert!(!scene.target(1).exists());

    let mut session = scene.start("another", &SLOWLY, admission);
    let (mut known, mut rounds, mut into_data) = (Known::default(), 0, 0);
    // Another one, which has heard nothing of the attack so far.
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let old: HashSet<&Seen> = recorded.iter().collect();
    while rounds < 1000 && goes_on(&mut session) {
        // What the attacker itself has sent is no news.
        let seen = mirror.take().into_iter();
        let fresh: Vec<Seen> = seen.filter(|one| !old.contains(one)).collect();
        known.learn(&fresh);
        replay(&spoofer, &recorded, &known, scene.control());
        rounds += 1;
        into_data += usize::from(known.data.is_some());
        sleep(Duration::from_millis(10));
    }
    assert!(
        rounds > into_data && into_data > 1,
        "{into_data} of {rounds}"
    );
    let outcome = finish(session);
    scene.assert_all_have(&outcome, "another");
    for end in &outcome.receivers {
        let strays = end.report.as_ref().unwrap().strays;
        assert!(strays > 100, "it did not come: {strays}");
    }
}

/// There is something of every kind that an ordinary session has.
fn assert_is_whole(recorded: &[Seen]) {
    let kinds = [
        Kind::Probe,
        Kind::Announce,
        Kind::Join,
        Kind::Welcome,
        Kind::Cookie,
        Kind::Symbol,
        Kind::PageSymbol,
        Kind::GroupControl,
        Kind::ToSender,
        Kind::ToReceiver,
    ];
    for kind in kinds {
        let is_there = |one: &Seen| Kind::of(&one.payload).is_some_and(|(_, of)| of == kind);
        assert!(recorded.iter().any(is_there), "{kind:?}");
    }
}
