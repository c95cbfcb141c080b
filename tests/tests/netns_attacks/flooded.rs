//! Noise on every port.

use std::time::Duration;

use mimeo_benches::flood::{Flood, ports};
use mimeo_benches::netlab::Host;
use mimeo_tests::attack::Known;
use mimeo_tests::attack::Mirror;
use mimeo_tests::host::finish;

use super::{CODE, Scene};

/// What a process may take, in bytes.
const MEMORY: u64 = 256 << 20;

/// bit/s.
const FLOOD: u64 = 200_000_000;

/// The session of 2 s on a quiet network goes on under the flood, in bounded memory. How long it
/// takes is measured by `netlab trouble flood`.
#[test]
fn a_flood_on_every_port_harms_nobody() {
    let Some(scene) = Scene::new("a flood", 2) else {
        return;
    };
    let _ = scene.place.random("image", 64 << 20);
    let mut known = Known::default();
    let session = {
        let mirror = Mirror::of(&scene.room, Host::SENDER);
        let session = scene.start("image", &["--rate", "500M"], &CODE);
        scene.until_known(&mirror, &mut known);
        session
    };
    let hosts = [0, 1, 2].map(Host::new);
    let to = ports(&scene.room, hosts).unwrap();
    let addressed = |address| to.contains(&address);
    assert!(addressed(scene.control()) && addressed(scene.sender_address()));
    assert!(addressed(known.data.unwrap()));
    assert!(
        known.receivers.iter().all(|one| addressed(one.address)),
        "{to:?}"
    );
    let flood = Flood {
        to,
        rate: FLOOD,
        most: Duration::from_secs(60),
    };
    let flooding = flood.begin(&scene.room, scene.attacker()).unwrap();
    let outcome = finish(session);
    let sent = flooding.end();
    scene.assert_all_have(&outcome, "image");
    assert!(sent > 5000, "{sent}");
    let mut peaks = vec![outcome.sender.usage.max_rss];
    peaks.extend(outcome.receivers.iter().map(|end| end.usage.max_rss));
    assert!(peaks.iter().all(|&peak| peak <= MEMORY), "{peaks:?}");
    for end in &outcome.receivers {
        let strays = end.report.as_ref().unwrap().strays;
        assert!(strays > 100, "it did not come: {strays}");
    }
}
