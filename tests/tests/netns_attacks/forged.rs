//! What an outsider makes up.

use std::thread::sleep;
use std::time::Duration;

use mimeo_benches::netlab::Host;
use mimeo_protocol::wire::{Announce, Auth, Cookie, Reject, RejectReason, VERSION};
use mimeo_tests::attack::forged::Forger;
use mimeo_tests::attack::{Known, Mirror, Spoofer};
use mimeo_tests::host::finish;

use super::{CODE, SLOWLY, Scene, goes_on};

#[test]
fn what_an_outsider_seals_is_dropped() {
    let Some(scene) = Scene::new("forged datagrams", 2) else {
        return;
    };
    let _ = scene.place.random("image", 8 << 20);
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let mut session = scene.start("image", &SLOWLY, &CODE);
    let mut known = Known::default();
    scene.until_known(&mirror, &mut known);
    let spoofer = Spoofer::on(&scene.room, scene.attacker());
    let mut rounds = 0;
    while rounds < 200 && goes_on(&mut session) {
        known.learn(&mirror.take());
        throw_all(&scene, &spoofer, &known);
        rounds += 1;
        sleep(Duration::from_millis(20));
    }
    assert!(rounds > 20, "{rounds}");
    let outcome = finish(session);
    scene.assert_all_have(&outcome, "image");
    let strays = outcome
        .receivers
        .iter()
        .map(|end| end.report.as_ref().unwrap().strays);
    let sender = outcome.sender.report.as_ref().unwrap().counters.strays;
    for strays in strays.chain([sender]) {
        assert!(strays > 100, "it did not come: {strays}");
    }
}

/// Everything that either side says, in its name.
fn throw_all(scene: &Scene, spoofer: &Spoofer, known: &Known) {
    let forger = Forger::outside(known.session.unwrap());
    let (sender, data) = (scene.sender_address(), known.data.unwrap());
    // The next number, and one that no sender comes to.
    for seq in [known.seq + 1, (1 << 48) - 1] {
        for datagram in forger.group_lies(seq, 0..32) {
            spoofer.send(sender, data, &datagram);
        }
    }
    for one in known.receivers.clone() {
        for seq in [1, 60, 1 << 40] {
            for datagram in forger.to_receiver(one.number, seq) {
                spoofer.send(sender, one.address, &datagram);
            }
            for datagram in forger.to_sender(one.number, one.sent + seq) {
                spoofer.send(one.address, sender, &datagram);
            }
        }
        for datagram in refusals(one.nonce) {
            spoofer.send(sender, one.address, &datagram);
        }
    }
    let mut closed = Vec::new();
    Announce {
        session_id: known.session.unwrap(),
        auth: Auth::Open,
        joinable: false,
        session_name: "image".into(),
    }
    .encode(&mut closed);
    spoofer.send(sender, scene.control(), &closed);
}

/// What is said in clear to one who joins.
fn refusals(nonce: mimeo_protocol::ids::Nonce) -> [Vec<u8>; 2] {
    let (mut reject, mut cookie) = (Vec::new(), Vec::new());
    Reject {
        version: VERSION,
        nonce,
        reason: RejectReason::Closed,
    }
    .encode(&mut reject);
    Cookie {
        nonce,
        cookie: [0xbb; 32],
    }
    .encode(&mut cookie);
    [reject, cookie]
}
