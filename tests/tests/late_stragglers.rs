//! Slow machines that join while others are served already, and fast ones with them: nobody knows
//! yet what any of them carries.

mod common;

use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::receiver::Resume;
use mimeo_protocol::sender::Event;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_tests::sim::{DiskProfile, Filling, Image, MachineProfile, Room, RoomConfig};

use common::slow::{self, disk, fast};
use common::{config, finished_at, image, ms, truth};

/// What the operator allows: 300 blocks take 10.6 s.
const CAP: Rate = Rate(60_000_000);
const BLOCKS: usize = 300;

/// When the late ones come, counted from the start of the room.
const LATE: u64 = 3000;

/// What a late slow one may cost the others: it is watched for half a second, in which they go at
/// a quarter of their pace at worst.
const COST: Duration = Duration::from_millis(800);

/// One behind a port of so many bits per second.
fn port(rate: u64) -> MachineProfile {
    slow::port(rate, 256 * 1024)
}

/// One that keeps what it wrote before: a quarter of the image.
fn resuming(profile: MachineProfile, image: &Image) -> MachineProfile {
    MachineProfile {
        holds: Some(Image::from(&image.0[..image.len() / 4])),
        resume: Resume::Always,
        disk: DiskProfile {
            discards: false,
            ..profile.disk
        },
        ..profile
    }
}

fn room(present: usize, late: &[(u64, MachineProfile)]) -> Room {
    let image = image(Filling::Random, BLOCKS * BLOCK_SIZE);
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(CAP),
        ..config(image, present)
    });
    for _ in 0..present {
        room.join(fast());
    }
    for (at, profile) in late.iter().cloned() {
        room.at(ms(at), move |room| {
            room.join(profile);
        });
    }
    truth(&mut room);
    room
}

/// Machines that come late, how many of them are slow, and when each comes after the first.
fn assert_cheap(name: &str, late: &[(u64, MachineProfile)], slow: usize) {
    let without = finished_at(&room(2, &[]), 0);
    let late: Vec<_> = late
        .iter()
        .map(|(after, profile)| (LATE + after, profile.clone()))
        .collect();
    let room = room(2, &late);
    let with = finished_at(&room, 0).max(finished_at(&room, 1));
    let mut others: Vec<_> = (2..room.machines.len())
        .map(|machine| finished_at(&room, machine))
        .collect();
    others.sort_unstable();
    let told = &room.operator.told;
    let found = told.iter().filter(|event| matches!(event, Event::Slow(_)));
    println!(
        "{name}: without {without:?}, with {with:?}, late ones {others:?}, found {}",
        found.count()
    );
    assert!(with <= without + COST, "{name}: {with:?}");
    // What the fast ones lack comes in a second cycle, before the slow ones are served in it.
    let behind = ms(LATE + 2500) + COST;
    for late in &others[..others.len() - slow] {
        assert!(*late <= without + behind, "{name}: {late:?}");
    }
    assert_eq!(room.verdict().confirmed, 2 + late.len(), "{name}");
}

const SLOW_PORT: u64 = 15_000_000;
const SLOW_DISK: u64 = 1_500_000;

#[test]
fn a_slow_port_and_a_fast_machine_that_come_together() {
    for after in [0, 300, 1000, 2000] {
        let name = format!("the port {after} ms later");
        assert_cheap(&name, &[(0, fast()), (after, port(SLOW_PORT))], 1);
        let name = format!("the fast one {after} ms later");
        assert_cheap(&name, &[(0, port(SLOW_PORT)), (after, fast())], 1);
    }
}

#[test]
fn two_slow_ports_that_come_together() {
    for after in [0, 700, 2000] {
        let late = [
            (0, port(SLOW_PORT)),
            (0, fast()),
            (after, port(SLOW_PORT / 5 * 4)),
        ];
        assert_cheap(&format!("two ports, {after} ms"), &late, 2);
    }
}

#[test]
fn a_slow_disk_and_a_fast_machine_that_come_together() {
    for after in [0, 1500] {
        let late = [(0, fast()), (after, disk(SLOW_DISK))];
        assert_cheap(&format!("the disk {after} ms later"), &late, 1);
        let late = [(0, disk(SLOW_DISK)), (after, fast())];
        assert_cheap(&format!("the fast one {after} ms later"), &late, 1);
    }
}

/// What holds the room up last is left with a single fast one, and most of those that finished
/// were fast.
#[test]
fn a_slow_port_and_a_slow_disk_that_come_together() {
    for after in [0, 1500] {
        let late = [
            (0, port(SLOW_PORT)),
            (0, fast()),
            (after, disk(SLOW_DISK / 5 * 4)),
        ];
        assert_cheap(&format!("port and disk, {after} ms"), &late, 2);
    }
}

#[test]
fn late_machines_that_resume() {
    let image = image(Filling::Random, BLOCKS * BLOCK_SIZE);
    for (name, late) in [
        ("the slow one", [resuming(port(SLOW_PORT), &image), fast()]),
        ("the fast one", [port(SLOW_PORT), resuming(fast(), &image)]),
        (
            "both",
            [resuming(port(SLOW_PORT), &image), resuming(fast(), &image)],
        ),
    ] {
        let name = format!("{name} resumes");
        let [slow, fast] = late;
        assert_cheap(&name, &[(0, slow), (100, fast)], 1);
    }
}
