//! In a large room reports are far apart. One that gets lost is asked for before the room waits for
//! it.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_tests::sim::{Crossing, Filling, MachineProfile, Room, RoomConfig, Sight};

use common::{config, image, truth};

/// Machines of the room: more than the 20 of a small one.
const MACHINES: usize = 24;

#[test]
fn who_is_not_heard_is_asked_before_the_sender_goes_on_without_it() {
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(200_000_000)),
        ..config(image(Filling::Random, 128 * BLOCK_SIZE), MACHINES)
    });
    for _ in 0..MACHINES {
        room.join(MachineProfile {
            buffers: 64,
            ..MachineProfile::default()
        });
    }
    // Once the stream flows, nothing that machine 0 reports gets through until it is asked.
    let (lost, asked) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (losing, asking) = (Rc::clone(&lost), Rc::clone(&asked));
    let mut reports = 0;
    room.lose(move |crossing: &Crossing| {
        let (first, report) = (
            crossing.machine == 0,
            matches!(crossing.sight, Sight::Report(_)),
        );
        asking.set(asking.get() + usize::from(first && crossing.sight == Sight::Ask));
        reports += usize::from(first && report);
        let hit = first && report && reports > 12 && asking.get() == 0;
        losing.set(losing.get() + usize::from(hit));
        hit
    });
    truth(&mut room);
    assert!(lost.get() > 0 && asked.get() > 0, "{lost:?} {asked:?}");
    assert_eq!(room.verdict().confirmed, MACHINES);
    let session = room.operator.endpoint.session();
    assert!(
        session
            .roster()
            .members()
            .all(|(_, member)| !member.was_away)
    );
}
