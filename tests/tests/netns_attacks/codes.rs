//! Those who do not hold the code.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use mimeo_benches::netlab::{Host, is_installed, skip};
use mimeo_benches::session::Session;
use mimeo_protocol::ids::SessionId;
use mimeo_protocol::wire::Auth;
use mimeo_tests::attack::{Known, Mirror, guess};
use mimeo_tests::host::{assert_code, assert_same, assert_says, finish, terminal, until};

use super::{CODE, Scene, ends};

#[test]
fn without_the_code_nobody_is_admitted_and_nothing_is_written() {
    let Some(scene) = Scene::new("no code, a wrong code", 4) else {
        return;
    };
    let image = scene.place.random("image", 1 << 20);
    let key = scene.place.file("key", [7; 32]);
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let soon = ["--start-timeout", "4s"];
    let wrong: [&[&str]; 3] = [
        // Open, unless something else is said.
        &[],
        &["--code", "8-zoo-zoo"],
        &["--key-file", key.to_str().unwrap()],
    ];
    let wrong = (1..).zip(wrong);
    let receivers = wrong.map(|(number, say)| scene.receiver(number, &[say, &soon].concat()));
    let mut session = scene.place.start(scene.sender("image", &CODE), receivers);
    session.receivers.iter_mut().for_each(ends);
    let right = scene.run(scene.receiver(4, &CODE), "right");
    session.receivers.push(right);
    let outcome = finish(session);
    for (number, end) in (1..=3).zip(&outcome.receivers) {
        scene.assert_not_admitted(end, number);
    }
    assert_code(&outcome.receivers[3], 0);
    assert_code(&outcome.sender, 0);
    assert_same(&image, &scene.target(4));
}

/// The room goes on, and the operator is told and makes another code.
#[test]
fn a_thousand_guesses_stop_new_joins_and_nothing_else() {
    let Some(scene) = Scene::new("guesses", 3) else {
        return;
    };
    if !is_installed("setsid") {
        return skip("guesses", &"setsid is not installed (package util-linux)");
    }
    // 2 MiB take 17 s at the lowest rate there is: longer than a guess takes to lapse.
    let image = scene.place.random("image", 5 << 19);
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let (mut person, program) = terminal();
    let slowest = scene.sender("image", &[&CODE[..], &["--rate", "1M"]].concat());
    let sender = at_terminal(&slowest, program);
    let mut session = scene.place.start(sender, [scene.receiver(1, &CODE)]);
    let mut known = Known::default();
    until("a session under way", || {
        known.learn(&mirror.take());
        known.data.is_some()
    });
    guess_a_thousand(&scene, known.session.unwrap(), Auth::Code);
    until("the operator is told", || {
        said_after(&session, EXHAUSTED).is_some()
    });
    let mut refused = scene.run(scene.receiver(2, &CODE), "refused");
    ends(&mut refused);
    let refused = refused.finish_receiver().unwrap();
    scene.assert_not_admitted(&refused, 2);
    assert_says(&refused, "admits nobody after 1000 joins");
    person.write_all(b"c\n").unwrap();
    let mut code = None;
    until("there is another code", || {
        let rest = said_after(&session, EXHAUSTED).unwrap_or_default();
        let told = rest
            .split_once("--code ")
            .and_then(|(_, code)| code.split_once(' '));
        code = told.map(|(code, _)| code.to_owned());
        code.is_some()
    });
    // It holds the image already, so that nothing has to be sent for it at that rate.
    fs::copy(&image, scene.target(3)).unwrap();
    let late = scene.receiver(3, &["--code", &code.unwrap(), "--resume"]);
    session.receivers.push(scene.run(late, "late"));
    let outcome = finish(session);
    assert_code(&outcome.sender, 0);
    for (end, number) in outcome.receivers.iter().zip([1, 3]) {
        assert_code(end, 0);
        assert_same(&image, &scene.target(number));
    }
    drop(person);
}

/// Nobody finds a key by trying, so nothing is gained by stopping those who do not have it.
#[test]
fn a_thousand_joins_with_a_wrong_key_lock_nobody_out() {
    let Some(scene) = Scene::new("wrong keys", 1) else {
        return;
    };
    let image = scene.place.random("image", 1 << 20);
    let key = scene.place.file("key", [7; 32]);
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let key = ["--key-file", key.to_str().unwrap()];
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let mut session = scene.place.start(scene.sender("image", &key), []);
    let mut known = Known::default();
    until("a session is announced", || {
        known.learn(&mirror.take());
        known.session.is_some()
    });
    guess_a_thousand(&scene, known.session.unwrap(), Auth::KeyFile);
    // Ten lines of machines, and the rest in one.
    until("all of them have lapsed", || {
        said_after(&session, "more asked to join and did not go on").is_some()
    });
    let log = session.sender.log().unwrap();
    let lines = log.matches("asked to join and did not go on").count();
    assert!((11..20).contains(&lines), "{lines}");
    session
        .receivers
        .push(scene.run(scene.receiver(1, &key), "right"));
    let outcome = finish(session);
    assert_code(&outcome.receivers[0], 0);
    assert_code(&outcome.sender, 0);
    assert_same(&image, &scene.target(1));
}

/// What the operator is told.
const EXHAUSTED: &str = "1000 joins with a wrong code";

/// The same command, whose controlling terminal is this one.
fn at_terminal(plain: &Command, terminal: OwnedFd) -> Command {
    let mut command = Command::new("setsid");
    command
        .arg("--ctty")
        .arg(plain.get_program())
        .args(plain.get_args());
    command.stdin(Stdio::from(terminal)).stdout(Stdio::null());
    command
}

/// The attacker has a hundred addresses, tries ten codes from each, and lets each try lapse.
fn guess_a_thousand(scene: &Scene, session: SessionId, auth: Auth) {
    let attacker = scene.attacker();
    let mut more = scene.room.command(attacker, "ip");
    more.args(["route", "add", "local", "10.77.7.0/25", "dev", "lo"]);
    assert!(more.status().unwrap().success());
    let sender = scene.sender_address();
    let welcomed = scene.room.inside(attacker, || {
        let addresses = (1..=100).map(|last| [10, 77, 7, last].into());
        guess(addresses, sender, session, auth)
    });
    assert_eq!(welcomed.unwrap(), 1000);
}

fn said_after(session: &Session, words: &str) -> Option<String> {
    let log = session.sender.log().unwrap();
    log.split_once(words).map(|(_, rest)| rest.to_owned())
}
