//! Rooms whose network carries hardly anything.

mod common;

use std::time::Duration;

use mimeo_protocol::pacing::{Circuit, Rate};
use mimeo_protocol::sender::Event;
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_tests::sim::{Filling, MachineProfile, Room, RoomConfig};

use common::{LIMIT, config, image, truth};

fn room(losses: &[f64]) -> Room {
    let image = image(Filling::Random, 64 * BLOCK_SIZE);
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        ..config(image, losses.len())
    });
    for _ in losses {
        room.join(MachineProfile::default());
    }
    // It becomes so when everybody is in.
    let begun = |room: &Room| room.operator.endpoint.session().counters().pass_symbols > 0;
    assert!(room.run_until(LIMIT, begun));
    for (machine, &loss) in room.machines.iter_mut().zip(losses) {
        machine.down.profile.loss = loss;
    }
    room
}

fn circuits(room: &Room) -> Vec<Circuit> {
    let told = room.operator.told.iter();
    told.filter_map(|event| match event {
        Event::Circuit(circuit) => Some(*circuit),
        _ => None,
    })
    .collect()
}

#[test]
fn a_network_that_carries_nothing_is_spared_until_it_does() {
    let mut room = room(&[0.93, 0.95]);
    let open = |room: &Room| circuits(room) == [Circuit::Floor, Circuit::Open];
    assert!(room.run_until(LIMIT, open));
    assert!(
        room.elapsed() < Duration::from_secs(30),
        "{:?}",
        room.elapsed()
    );
    let sent = |room: &Room| {
        let counters = room.operator.endpoint.session().counters();
        counters.pass_symbols + counters.repair_symbols + counters.page_symbols
    };
    let (at, before) = (room.elapsed(), sent(&room));
    let later = move |room: &Room| room.elapsed() > at + Duration::from_secs(29);
    assert!(room.run_until(LIMIT, later));
    assert_eq!(sent(&room), before, "it pauses");
    for machine in &mut room.machines {
        machine.down.profile.loss = 0.0;
    }
    truth(&mut room);
    assert_eq!(circuits(&room)[2..], [Circuit::Floor, Circuit::Closed]);
    assert_eq!(room.verdict().confirmed, 2);
}

#[test]
fn one_broken_machine_does_not_stop_the_room() {
    let mut room = room(&[0.0, 0.97, 0.0]);
    let done = |room: &Room| room.machines[0].life().is_none() && room.machines[2].life().is_none();
    assert!(room.run_until(Duration::from_secs(10), done));
    assert_eq!(circuits(&room), []);
}
