//! Rooms in which something once went wrong that no other test is about.

mod common;

use std::time::Duration;

use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_tests::sim::{Filling, LinkProfile, MachineProfile, Room};

use common::{config, image, ms, truth};

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
