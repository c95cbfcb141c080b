//! Real programs on the hosts of a virtual network: loss, deaths, slow ports, IPv6.
//!
//! Needs root and the network tools; without them the tests say so and do nothing, unless
//! MIMEO_REQUIRE_ALL=1.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use mimeo_benches::netlab::{Direction, Host, Loss, Room, RoomConfig, Snooping, usable};
use mimeo_benches::session::{Outcome, Session};
use mimeo_tests::host::{
    Place, allowed_overhead, assert_code, assert_same, assert_says, assert_success, finish, until,
};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

fn room(receivers: u16, snooping: Snooping) -> Room {
    Room::build(&RoomConfig {
        receivers,
        snooping,
    })
    .unwrap()
}

/// A room whose sender's kernel segments, and whose ports lose datagrams.
fn lossy(receivers: u16, loss: Loss) -> Room {
    let room = room(receivers, Snooping::Off);
    room.segmented(true).unwrap();
    for host in room.receivers() {
        room.loss(host, Direction::ToHost, loss).unwrap();
    }
    room
}

fn target(place: &Place, host: Host) -> PathBuf {
    place.path(&format!("target{}", host.number()))
}

/// A session with all receivers of the room.
fn start(place: &Place, room: &Room, mebibytes: u64, options: &[&str]) -> Session {
    let image = place.random("image", (mebibytes << 20) + 77);
    let count = room.receivers().count().to_string();
    let options = [&["--min-receivers", count.as_str()], options].concat();
    let receivers = room
        .receivers()
        .map(|host| place.receiver_in(room, host, target(place, host), &[]));
    place.start(place.sender_in(room, image, &options), receivers)
}

/// Sends an image to everybody and compares everything.
fn deliver(room: &Room, mebibytes: u64) -> Outcome {
    let place = place();
    let outcome = finish(start(&place, room, mebibytes, &[]));
    assert_success(&outcome, &place.path("image"));
    for host in room.receivers() {
        assert_same(&place.path("image"), &target(&place, host));
    }
    outcome
}

fn overhead(outcome: Outcome) -> f64 {
    let counters = outcome.sender.report.unwrap().counters;
    counters.sent_per_needed().unwrap() - 1.0
}

#[test]
fn one_receiver_gets_the_image() {
    if usable("one receiver") {
        deliver(&room(1, Snooping::Off), 32);
    }
}

#[test]
fn four_receivers_get_the_image_through_a_switch_that_snoops() {
    if usable("four receivers") {
        deliver(&room(4, Snooping::On), 32);
    }
}

#[test]
fn a_sender_whose_packets_are_too_small_ends_before_a_target_is_touched() {
    if !usable("a small MTU") {
        return;
    }
    let (place, room) = (place(), room(1, Snooping::Off));
    let mtu = |bytes: &str| {
        let arguments = ["link", "set", "dev", "eth0", "mtu", bytes];
        let done = room.command(Host::SENDER, "ip").args(arguments).status();
        assert!(done.unwrap().success());
    };
    let image = place.random("image", 1 << 20);
    let run = |options: &[&str]| {
        let host = room.receivers().next().unwrap();
        let target = place.file("target", vec![7; 100]);
        let receiver = place.receiver_in(&room, host, target, &["--start-timeout", "3s"]);
        let sender = place.sender_in(&room, image.clone(), options);
        finish(place.start(sender, [receiver]))
    };
    mtu("1475");
    let outcome = run(&[]);
    assert_code(&outcome.sender, 1);
    assert_says(&outcome.sender, "in packets of 1476; raise the MTU");
    assert_code(&outcome.receivers[0], 4);
    assert_eq!(std::fs::read(place.path("target")).unwrap(), [7; 100]);
    mtu("1476");
    assert_success(&run(&[]), &image);
}

#[test]
fn repairs_stay_near_the_possible() {
    if !usable("overhead") {
        return;
    }
    for permille in [10, 50] {
        let room = lossy(8, Loss::Random { permille });
        let overhead = overhead(deliver(&room, 32));
        let allowed = allowed_overhead(8, f64::from(permille) / 1000.0);
        assert!(
            overhead <= allowed,
            "{permille} permille: {overhead:.4} > {allowed:.4}"
        );
    }
}

#[test]
fn heavy_loss() {
    if usable("heavy loss") {
        deliver(&lossy(2, Loss::Random { permille: 200 }), 16);
    }
}

#[test]
fn bursts_of_loss() {
    if usable("bursts of loss") {
        deliver(
            &lossy(
                4,
                Loss::Bursts {
                    length: 200,
                    every: 20_000,
                },
            ),
            32,
        );
    }
}

#[test]
fn loss_of_what_receivers_say() {
    if !usable("loss of reports") {
        return;
    }
    let room = room(3, Snooping::Off);
    for host in room.receivers() {
        room.loss(host, Direction::FromHost, Loss::Random { permille: 300 })
            .unwrap();
    }
    deliver(&room, 16);
}

#[test]
fn a_dead_receiver_is_named_and_the_others_go_on() {
    if !usable("a dead receiver") {
        return;
    }
    let (place, room) = (place(), room(4, Snooping::Off));
    let mut session = start(&place, &room, 32, &["--rate", "100M"]);
    let victim = Host::new(3);
    until("something is written", || {
        target(&place, victim)
            .metadata()
            .is_ok_and(|about| about.blocks() > 0)
    });
    session.receivers[2].running.kill().unwrap();
    let outcome = finish(session);
    assert_code(&outcome.sender, 5);
    let report = outcome.sender.report.as_ref().unwrap();
    for host in room.receivers() {
        let address = host.address().to_string();
        let line = report
            .receivers
            .iter()
            .find(|line| line.address.starts_with(&address));
        let state = line.map(|line| line.state.as_str());
        if host == victim {
            assert_eq!(state, Some("lost"), "{report:?}");
            assert_says(&outcome.sender, &address);
        } else {
            assert_eq!(state, Some("confirmed"), "{report:?}");
            assert_code(&outcome.receivers[usize::from(host.number()) - 1], 0);
            assert_same(&place.path("image"), &target(&place, host));
        }
    }
}

#[test]
fn hosts_without_ipv4() {
    if !usable("IPv6") {
        return;
    }
    let (place, room) = (place(), room(2, Snooping::Off));
    for host in room.hosts() {
        let mut ip = room.command(host, "ip");
        ip.args(["-4", "address", "flush", "dev", "eth0"]);
        assert!(ip.status().unwrap().success());
    }
    let outcome = finish(start(&place, &room, 16, &[]));
    assert_success(&outcome, &place.path("image"));
    let report = outcome.sender.report.unwrap();
    assert!(
        report
            .receivers
            .iter()
            .all(|one| one.address.starts_with("[fe80:")),
        "{report:?}"
    );
    for host in room.receivers() {
        assert_same(&place.path("image"), &target(&place, host));
    }
}

#[test]
fn a_slow_port_slows_but_loses_nothing() {
    if !usable("a slow port") {
        return;
    }
    let room = room(2, Snooping::Off);
    room.segmented(true).unwrap();
    room.port_rate(Host::new(2), Some(100_000_000)).unwrap();
    deliver(&room, 16);
}

#[test]
fn a_slow_port_is_served_after_the_others() {
    if !usable("a slow port") {
        return;
    }
    let room = room(4, Snooping::Off);
    room.segmented(true).unwrap();
    room.port_rate(Host::new(4), Some(30_000_000)).unwrap();
    // At 200 Mbit/s the others take 3 s: time enough to be sure.
    let place = place();
    let outcome = finish(start(&place, &room, 64, &["--rate", "200M"]));
    assert_success(&outcome, &place.path("image"));
    assert_says(&outcome.sender, "is slow (network: ");
    let report = outcome.sender.report.unwrap();
    let slow: Vec<_> = report
        .receivers
        .iter()
        .filter(|one| one.slow.is_some())
        .collect();
    assert_eq!(slow.len(), 1, "{report:?}");
    assert_eq!(slow[0].slow.as_deref(), Some("network"));
    let others = report.receivers.iter().filter(|one| one.slow.is_none());
    assert!(
        others
            .clone()
            .all(|one| one.finished_seconds < slow[0].finished_seconds),
        "{report:?}"
    );
}

#[test]
fn a_cable_that_is_out_for_a_moment() {
    use mimeo_benches::netlab::Link;
    if !usable("a cable") {
        return;
    }
    let (place, room) = (place(), room(2, Snooping::Off));
    let session = start(&place, &room, 16, &["--rate", "60M"]);
    let host = Host::new(2);
    until("something is written", || {
        target(&place, host)
            .metadata()
            .is_ok_and(|about| about.blocks() > 0)
    });
    room.link(host, Link::Down).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    room.link(host, Link::Up).unwrap();
    let outcome = finish(session);
    assert_success(&outcome, &place.path("image"));
    for host in room.receivers() {
        assert_same(&place.path("image"), &target(&place, host));
    }
}

#[test]
fn an_interface_without_multicast_is_refused() {
    if !usable("an interface without multicast") {
        return;
    }
    let (place, room) = (place(), room(1, Snooping::Off));
    for host in room.hosts() {
        let mut ip = room.command(host, "ip");
        ip.args(["link", "set", "eth0", "multicast", "off"]);
        assert!(ip.status().unwrap().success());
    }
    let outcome = finish(start(&place, &room, 1, &[]));
    let says = "cannot do multicast (turn it on: ip link set dev eth0 multicast on)";
    assert_code(&outcome.sender, 1);
    assert_says(&outcome.sender, says);
    assert_code(&outcome.receivers[0], 1);
    assert_says(&outcome.receivers[0], says);
}
