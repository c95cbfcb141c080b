//! What a receiver that is too slow keeps of a stream that does not wait for it.

mod common;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::Counters;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::{ALL_SYMBOLS, Deficit};
use mimeo_tests::sim::{Filling, MachineProfile, Room, RoomConfig};

use common::slow::{self, disk, fast};
use common::{LIMIT, config, image, truth};

/// One behind a port of so many bits per second.
fn port(rate: u64) -> MachineProfile {
    slow::port(rate, 128 * 1024)
}

/// Symbols of a block.
const K: u32 = 187;

const BLOCKS: usize = 250;

/// What the slow one of three had when the second cycle began, in symbols, and what that sent.
#[derive(Debug)]
struct Kept {
    /// Symbols of blocks that were written, and others that came.
    written: u32,
    received: u32,
    /// Symbols and blocks that it lacked, and blocks of which it lacked all.
    lacked: u32,
    wholly: u32,
    sent: u32,
}

fn kept(slow: MachineProfile) -> Kept {
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(60_000_000)),
        ..config(image(Filling::Random, BLOCKS * BLOCK_SIZE), 3)
    });
    for profile in [fast(), fast(), slow] {
        room.join(profile);
    }
    // Its first report in the second cycle has been heard when a block of it has been sent.
    let second = |room: &Room| {
        let position = room.operator.endpoint.session().position();
        position.cycle.0 == 2 && position.slot.0 > BLOCKS as u32
    };
    assert!(room.run_until(LIMIT, second));
    let roster = room.operator.endpoint.session().roster();
    let slow = roster
        .members()
        .find(|(_, member)| member.about.host_name == "pc2");
    let report = slow.and_then(|(_, member)| member.report.clone());
    let report = report.expect("it reports");
    let lacked = |run: &Deficit| run.count * u32::from(run.symbols.min(K as u8));
    let wholly = report
        .deficits
        .iter()
        .filter(|run| run.symbols == ALL_SYMBOLS);
    let mut kept = Kept {
        written: report.blocks_done * K,
        received: u32::try_from(report.received).expect("a small image"),
        lacked: report.deficits.iter().map(lacked).sum(),
        wholly: wholly.map(|run| run.count).sum(),
        sent: 0,
    };
    let before = room.operator.endpoint.session().counters();
    truth(&mut room);
    let after = room.operator.endpoint.session().counters();
    let sent = |counters: Counters| counters.pass_symbols + counters.repair_symbols;
    kept.sent = u32::try_from(sent(after) - sent(before)).expect("a small image");
    println!("{kept:?}");
    kept
}

#[test]
fn a_port_that_passes_two_fifths_is_sent_three_fifths_again() {
    let kept = kept(port(25_000_000));
    let all = BLOCKS as u32 * K;
    assert!(kept.received > all * 2 / 5, "{kept:?}");
    // Nearly all that came is a part of a block that its memory holds; pages came too.
    assert!(kept.lacked < all - kept.received * 9 / 10, "{kept:?}");
    assert!(kept.wholly < 10, "{kept:?}");
    // The rate of the second cycle is tried out, which costs repairs.
    assert!(kept.sent < all * 4 / 5, "{kept:?}");
}

#[test]
fn little_memory_keeps_what_it_holds() {
    let slow = MachineProfile {
        buffers: 64,
        ..port(25_000_000)
    };
    let kept = kept(slow);
    let all = BLOCKS as u32 * K;
    // 64 blocks, each of which lacks little more than half; those that lack most gave way.
    assert!(all - kept.lacked > 64 * K * 2 / 5, "{kept:?}");
}

#[test]
fn a_disk_keeps_all_that_it_writes_and_what_waits_for_it() {
    let slow = MachineProfile {
        buffers: 64,
        ..disk(1_500_000)
    };
    let kept = kept(slow);
    let all = BLOCKS as u32 * K;
    // 9 s of 1.5 MB/s are 51 blocks, and its memory holds 64.
    assert!(kept.written > 40 * K, "{kept:?}");
    assert!(all - kept.lacked > 90 * K, "{kept:?}");
    assert!(kept.sent <= kept.lacked, "{kept:?}");
}
