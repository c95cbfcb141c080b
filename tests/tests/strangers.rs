//! Those who hold the wrong key, speak another version, or make noise.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mimeo_protocol::keys::Secret;
use mimeo_protocol::sender::{Destination, MemberState};
use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::{Auth, Probe};
use mimeo_tests::sim::{Dice, Ending, Filling, MachineProfile, Room, RoomConfig};

use common::{LIMIT, config, image, long_room, ms, truth};

#[test]
fn a_wrong_key_is_told_and_changes_nothing() {
    let mut room = Room::new(RoomConfig {
        auth: Auth::KeyFile,
        ..config(image(Filling::Text, 3 * BLOCK_SIZE), 1)
    });
    let with_key = |secret: Secret| MachineProfile {
        auth: Auth::KeyFile,
        secret: Some(secret),
        ..MachineProfile::default()
    };
    let wrong = room.join(with_key(Secret::new([1; 32])));
    let none = room.join(MachineProfile::default());
    let ended = |room: &Room| room.machines[wrong].last().ending.is_some();
    assert!(room.run_until(LIMIT, ended), "it gives up by itself");
    let key = room.secret.clone();
    let right = room.join(with_key(key));
    assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
    assert_eq!(room.member_on(right), Some(&MemberState::Confirmed));
    let refused = |ending: &Option<Ending>| matches!(ending, Some(Ending::Refused(why)) if why.starts_with("WrongKey"));
    let machine = &room.machines[wrong];
    assert!(
        refused(&machine.last().ending),
        "{:?}",
        machine.last().ending
    );
    assert!(room.machines[none].last().told[0].starts_with("OtherAuth"));
    assert_eq!(room.verdict().confirmed, 1);
}

/// The datagrams that enter a link, with the version of another time.
fn of_version(version: u8, datagram: &[u8]) -> Vec<u8> {
    let mut other = datagram.to_vec();
    other[0] = version;
    other
}

#[test]
fn another_version_is_refused_by_name() {
    use mimeo_protocol::ids::{Mac, Nonce, SessionId};
    use mimeo_protocol::wire::{Announce, Join, Reject, RejectReason};
    let mut room = Room::new(config(image(Filling::Text, BLOCK_SIZE), 2));
    let machine = room.join(MachineProfile::default());
    let mut announce = Vec::new();
    Announce {
        session_id: SessionId([9; 16]),
        auth: Auth::Open,
        joinable: true,
        session_name: "future".into(),
    }
    .encode(&mut announce);
    room.throw_at_machine(machine, &of_version(2, &announce));
    let mut join = Vec::new();
    Join {
        session_id: SessionId([9; 16]),
        nonce: Nonce([5; 16]),
        auth: Auth::Open,
        mac: Mac::default(),
        target_id: 1,
        link_speed: 0,
        capacity: 0,
        resumes: false,
        piped: false,
        cookie: [0; 32],
        host_name: String::new(),
        exchange: Vec::new(),
    }
    .encode(&mut join);
    room.throw_at_sender(machine, &of_version(2, &join));
    room.watch(machine);
    assert!(!room.run_until(ms(300), Room::is_quiet));
    assert!(room.machines[machine].last().told[0].starts_with("OtherVersion"));
    let answers: Vec<_> = room
        .watched()
        .iter()
        .filter_map(|d| Reject::decode(d).ok())
        .collect();
    let reject = Reject {
        version: 1,
        nonce: Nonce([5; 16]),
        reason: RejectReason::Version,
    };
    assert_eq!(answers, [reject]);
}

#[test]
fn noise_changes_nothing() {
    let mut room = long_room(2);
    let mut dice = Dice::new(99);
    for moment in 0..1500 {
        let mut noise = vec![0; dice.between(0, 1500) as usize];
        dice.fill(&mut noise);
        // Mostly noise that begins like a datagram, of the length of a symbol.
        if dice.chance(0.8) {
            noise.resize(1448, 7);
            noise[0] = 1;
            noise[1] = dice.pick(&[1, 2, 3, 4, 5, 6, 16, 17, 18, 32, 33]);
        }
        let (machine, up) = (dice.below(2) as usize, dice.chance(0.5));
        room.at(ms(moment), move |room| {
            if up {
                room.throw_at_sender(machine, &noise);
            } else {
                room.throw_at_machine(machine, &noise);
            }
        });
    }
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    let strays = room.operator.endpoint.strays();
    assert!(strays.malformed > 100, "{strays:?}");
}

#[test]
fn nobody_is_answered_at_port_0() {
    let mut room = long_room(1);
    let mut probe = Vec::new();
    let session_name = String::new();
    Probe { session_name }.encode(&mut probe);
    // Rooms begin a day ahead of the clock.
    let now = Instant::now() + Duration::from_secs(2 * 86_400);
    let sender = &mut room.operator.endpoint;
    let (strays, mut out) = (sender.strays(), Vec::new());
    let mut answers = |port: u16| {
        let from = SocketAddr::from(([10, 77, 0, 9], port));
        sender.handle_datagram(now, from, &probe);
        let outgoing = std::iter::from_fn(|| sender.poll_transmit(now, &mut out));
        outgoing
            .filter(|it| it.to == Destination::Unicast(from))
            .count()
    };
    assert_eq!((answers(9), answers(0)), (1, 0));
    assert_eq!(sender.strays().malformed, strays.malformed + 1);
}
