//! What a member of the room does who was given the code as everybody was.

use std::ops::Range;
use std::thread::sleep;
use std::time::Duration;

use mimeo_benches::netlab::Host;
use mimeo_benches::report::{ReceiverLine, ReceiverReport};
use mimeo_protocol::keys::Secret;
use mimeo_protocol::wire::{Auth, FailCode};
use mimeo_tests::attack::{Known, Member, Mirror, Spoofer};
use mimeo_tests::host::{assert_code, assert_same, finish};

use super::{CODE, SLOWLY, Scene, goes_on};

/// Blocks that no image of a test has.
const UNREAL: Range<u32> = 1_000_000..1_000_016;

/// Joins the session of the scene's image.
fn member(scene: &Scene) -> Member {
    let secret = Secret::of_code(&CODE[1]);
    let port = scene.place.port();
    Member::join(
        &scene.room,
        scene.attacker(),
        port,
        "image",
        Auth::Code,
        secret,
    )
}

/// Blocks of the images of these tests.
const REAL: Range<u32> = 0..32;

/// It takes part, and lies under the room's key in the sender's name: pages and ends that it signs
/// itself, positions and numbers far ahead, blocks that do not exist, and orders to the others.
#[test]
fn a_member_that_lies_costs_time_and_nothing_else() {
    if let Some(scene) = Scene::new("a member that lies", 2) {
        for report in lie(&scene, &UNREAL) {
            assert!(report.forged > 10, "it did not come: {report:?}");
        }
    }
}

/// It also forges symbols of each block, before those of the sender come.
#[test]
fn a_member_that_forges_symbols_spoils_blocks_that_are_mended() {
    if let Some(scene) = Scene::new("a member that forges symbols", 2) {
        for report in lie(&scene, &REAL) {
            assert!(report.forged > 10, "it did not come: {report:?}");
            assert!(report.forged_symbols > 0, "{report:?}");
            assert!((1..=REAL.end).contains(&report.bad_blocks), "{report:?}");
        }
    }
}

/// Plays a session of which a member lies about everything, also about these blocks. Everybody has
/// the image; returns what the others report.
fn lie(scene: &Scene, blocks: &Range<u32>) -> Vec<ReceiverReport> {
    let _ = scene.place.random("image", 8 << 20);
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let sender = [&SLOWLY[..], &CODE, &["--min-receivers", "3"]].concat();
    let receivers = (1..=2).map(|number| scene.receiver(number, &CODE));
    let mut session = scene.place.start(scene.sender("image", &sender), receivers);
    let member = member(scene);
    let forger = member.forger();
    let taking_part = member.take_part();
    let mut known = Known::default();
    let spoofer = Spoofer::on(&scene.room, scene.attacker());
    let mut rounds = 0;
    while rounds < 500 && goes_on(&mut session) {
        known.learn(&mirror.take());
        // Its own lies are no news: the true number is below them.
        let next = known.seq.min(1 << 20) + 1;
        if let Some(data) = known.data {
            for seq in [next, next + 1000, 1 << 40] {
                for datagram in forger.group_lies(seq, blocks.clone()) {
                    spoofer.send(scene.sender_address(), data, &datagram);
                }
            }
            for one in known.receivers.clone() {
                for datagram in forger.to_receiver(one.number, rounds + 1) {
                    spoofer.send(scene.sender_address(), one.address, &datagram);
                }
            }
            rounds += 1;
        }
        sleep(Duration::from_millis(50));
    }
    assert!(rounds > 10, "{rounds}");
    let outcome = finish(session);
    drop(taking_part);
    assert_code(&outcome.sender, 0);
    let image = scene.place.path("image");
    for (end, number) in outcome.receivers.iter().zip(1..) {
        assert_code(end, 0);
        assert_same(&image, &scene.target(number));
    }
    let reports = outcome.receivers.into_iter();
    reports.map(|end| end.report.unwrap()).collect()
}

/// It says for ever that it lacks everything, until the sender has enough of it. The others have the
/// image by then.
#[test]
fn a_member_that_asks_for_ever_is_sent_away() {
    let Some(scene) = Scene::new("a member that asks for ever", 2) else {
        return;
    };
    let _ = scene.place.random("image", 4 << 20);
    let sender = scene.sender("image", &[&CODE[..], &["--min-receivers", "3"]].concat());
    let receivers = (1..=2).map(|number| scene.receiver(number, &CODE));
    let session = scene.place.start(sender, receivers);
    let member = member(&scene);
    let number = member.number();
    assert_eq!(member.ask_for_ever(), FailCode::TooMuch);
    let outcome = finish(session);
    let image = scene.place.path("image");
    for (end, number) in outcome.receivers.iter().zip(1..) {
        assert_code(end, 0);
        assert_same(&image, &scene.target(number));
    }
    assert_code(&outcome.sender, 5);
    let lines = outcome.sender.report.unwrap().receivers;
    let states: Vec<_> = lines
        .iter()
        .map(|line: &ReceiverLine| (line.number, &*line.state))
        .collect();
    for (of, state) in states {
        let expected = if of == number.0 {
            "failed"
        } else {
            "confirmed"
        };
        assert_eq!(state, expected, "{lines:?}");
    }
}
