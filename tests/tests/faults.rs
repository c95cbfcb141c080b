//! Rooms in which something once went wrong that no other test is about.

mod common;

use std::time::Duration;

use mimeo_protocol::sender::MemberState;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_tests::sim::{DiskProfile, Filling, LinkProfile, MachineProfile, Room};

use common::{LIMIT, config, image, ms, run_until_begun, truth};

/// A room of one machine, so far away that a sender which waits has said that it is alive before
/// an answer is back.
fn far_away(window: u32) -> Room {
    let link = LinkProfile {
        delay: ms(60),
        ..LinkProfile::default()
    };
    let mut room = Room::new(config(image(Filling::Text, 10 * BLOCK_SIZE), 1));
    room.join(MachineProfile {
        down: link,
        up: link,
        window,
        ..MachineProfile::default()
    });
    room
}

#[test]
fn a_socket_smaller_than_a_burst_far_away_gets_one_burst_after_the_other() {
    for window in [0, 1, 16, 43] {
        let mut room = far_away(window);
        truth(&mut room);
        assert_eq!(room.verdict().confirmed, 1, "{window}");
        assert!(room.elapsed() < Duration::from_secs(20), "{window}");
    }
}

/// Blocks of a stream that the sender may hold, read ahead or kept for repair. ARCHITECTURE.md
/// promises no more.
const HELD: u32 = 384;

#[test]
fn a_stream_is_not_read_on_while_somebody_stands_still() {
    let discards = MachineProfile {
        disk: DiskProfile {
            discards: true,
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    };
    let mut room = Room::new(config(image(Filling::Text, 600 * BLOCK_SIZE), 2).stream());
    let stands = room.join(discards.clone());
    room.join(discards);
    run_until_begun(&mut room, 30);
    room.pause(stands);
    let (mut most, since) = (0, room.elapsed());
    // It is waited for, but not for ever.
    while room.member_on(stands) == Some(&MemberState::Active) {
        let (now, known) = (room.elapsed(), |room: &Room| {
            room.operator.endpoint.session().manifest().known_blocks().0
        });
        room.run_until(LIMIT, |room| room.elapsed() > now + ms(20));
        let life = room.machines[stands].last();
        let done = life.endpoint.as_ref().map(|one| one.session().progress());
        most = most.max(known(&room) - done.map_or(0, |progress| progress.blocks_done));
    }
    assert!((300..=HELD).contains(&most), "{most} blocks");
    assert!(room.elapsed() - since < Duration::from_secs(30));
    room.resume(stands);
    truth(&mut room);
    // Whether the one that comes back is still in time is a matter of luck.
    assert!(room.verdict().confirmed >= 1);
}
