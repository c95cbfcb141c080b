//! A member of the room holds the group key and says what it likes in the sender's name: that costs
//! the others time and nothing else.

mod common;

use std::rc::Rc;
use std::time::Duration;

use mimeo_protocol::ids::{Cycle, Seq, Slot};
use mimeo_protocol::keys::SigningKey;
use mimeo_protocol::manifest::{Identity, IdentityHasher};
use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::MemberState;
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, PageNumber, SYMBOL_SIZE};
use mimeo_protocol::wire::{EndRecord, FailCode, Kind, Position, SymbolHeader, SymbolKind};
use mimeo_tests::attack::forged::{page_of_lies, symbol_of_page};
use mimeo_tests::sim::{Ending, Filling, LinkProfile, MachineProfile, Room, RoomConfig, Sight};

use common::insider::{Forger, all_have_it, next_seq, position, progress, throw_at_all};
use common::{LIMIT, config, image, long_room, ms, run_until_begun, truth};

fn forged(room: &Room, machine: usize) -> u64 {
    progress(room, machine).forged
}

#[test]
fn pages_of_a_member_are_dropped_and_nothing_of_them_is_written() {
    let mut room = long_room(3);
    let forger = Forger::in_room(&mut room);
    for moment in 0..100 {
        let forger = forger.clone();
        let elapsed = room.elapsed() + ms(15 * moment);
        room.at(elapsed, move |room| {
            let number = (moment % 3) as u32;
            let page = page_of_lies(&forger.signer, number, 8);
            let lie = symbol_of_page(&page);
            let noise = vec![0x5a; SYMBOL_SIZE];
            let all = [
                (0, 1, &lie),
                (0, 1, &noise),
                (77, 2, &noise),
                (1, 2, &noise),
            ];
            for (esi, k, symbol) in all {
                let header = forger.header(room, SymbolKind::Page, number, (esi, k));
                let datagram = forger.symbol(header, symbol);
                throw_at_all(room, &datagram);
            }
        });
    }
    all_have_it(&mut room);
    for machine in 0..3 {
        assert!(forged(&room, machine) > 50, "{}", forged(&room, machine));
        let target = &room.machines[machine].target;
        assert!(target.holds(&room.image));
    }
}

#[test]
fn an_end_record_of_a_member_ends_nothing() {
    let mut room = long_room(3);
    let forger = Forger::in_room(&mut room);
    let nothing = IdentityHasher::default().finish(0).unwrap();
    let mut end = EndRecord {
        image_len: 0,
        blocks: BlockNumber(0),
        pages: PageNumber(0),
        identity: nothing,
        image_digest: None,
        signature: [0; 64],
    };
    let unsigned = end;
    end.sign(&forger.signer);
    let other = EndRecord {
        image_len: 64 * BLOCK_SIZE as u64,
        blocks: BlockNumber(64),
        pages: PageNumber(1),
        identity: Identity([7; 32]),
        ..end
    };
    for moment in 0..50 {
        let forger = forger.clone();
        let elapsed = room.elapsed() + ms(30 * moment);
        room.at(elapsed, move |room| {
            for end in [unsigned, end, other] {
                let datagram = forger.control(next_seq(room), position(room), Some(end));
                throw_at_all(room, &datagram);
            }
        });
    }
    all_have_it(&mut room);
    for machine in 0..3 {
        assert!(forged(&room, machine) > 0);
        let endpoint = room.machines[machine].last().endpoint.as_ref().unwrap();
        let end = endpoint.session().end().copied();
        assert_eq!(end, room.operator.endpoint.session().end().copied());
    }
}

/// Lies about where the stream is, told in control datagrams and symbols, one per run.
fn lies(room: &Room) -> Vec<(&'static str, Seq, Position)> {
    let (seq, true_position) = (next_seq(room), position(room));
    let lie = |change: &dyn Fn(&mut Position)| {
        let mut position = true_position;
        change(&mut position);
        position
    };
    let far = Seq((1 << 48) - 1);
    vec![
        ("seq", far, true_position),
        ("seq a second ahead", Seq(seq.0 + 10_000), true_position),
        ("cycle", seq, lie(&|p| p.cycle = Cycle(u32::MAX))),
        ("slot", seq, lie(&|p| p.slot = Slot(u32::MAX))),
        ("horizon", seq, lie(&|p| p.horizon = BlockNumber(u32::MAX))),
        ("pages", seq, lie(&|p| p.pages = PageNumber(u32::MAX))),
        ("no receivers", seq, lie(&|p| p.receivers = 0)),
        ("receivers", seq, lie(&|p| p.receivers = u16::MAX)),
        (
            "nothing began",
            seq,
            lie(&|p| (p.horizon, p.slot) = (BlockNumber(0), Slot(0))),
        ),
        (
            "all",
            far,
            Position {
                cycle: Cycle(u32::MAX),
                slot: Slot(u32::MAX),
                horizon: BlockNumber(u32::MAX),
                pages: PageNumber(u32::MAX),
                receivers: u16::MAX,
            },
        ),
    ]
}

#[test]
fn lies_about_where_the_stream_is_are_put_right() {
    let mut honest = long_room(3);
    truth(&mut honest);
    for lie in 0..lies(&honest).len() {
        for begun in [0, 20, 60] {
            let mut room = long_room(3);
            let forger = Forger::in_room(&mut room);
            run_until_begun(&mut room, begun);
            let (name, seq, position) = lies(&room).swap_remove(lie);
            let datagram = forger.control(seq, position, None);
            throw_at_all(&mut room, &datagram);
            let header = SymbolHeader {
                seq: Seq(seq.0 - 1),
                slot: position.slot,
                horizon: position.horizon,
                ..forger.header(&room, SymbolKind::Block, 63, (0, 187))
            };
            throw_at_all(&mut room, &forger.symbol(header, &[0x5a; SYMBOL_SIZE]));
            all_have_it(&mut room);
            // The receivers are fooled about as long as it takes to tell them.
            let extra = room.elapsed().saturating_sub(honest.elapsed());
            assert!(extra < Duration::from_secs(2), "{name}, {begun}: {extra:?}");
        }
    }
}

#[test]
fn a_stream_does_not_leave_those_behind_who_are_deceived_all_the_time() {
    let lossy = LinkProfile {
        loss: 0.05,
        ..LinkProfile::default()
    };
    let slow = RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        ..config(image(Filling::Random, 300 * BLOCK_SIZE), 2)
    };
    let mut room = Room::new(slow.stream());
    for _ in 0..2 {
        room.join(MachineProfile {
            down: lossy,
            up: lossy,
            ..MachineProfile::default()
        });
    }
    let forger = Forger::in_room(&mut room);
    // As if the stream were elsewhere, and the room so large that a report in 8 s is enough.
    for moment in 0..6000 {
        let forger = forger.clone();
        let elapsed = room.elapsed() + ms(5 * moment);
        room.at(elapsed, move |room| {
            let far = Seq((1 << 48) - 1_000_000 + moment);
            let lie = Position {
                slot: Slot(u32::MAX),
                horizon: BlockNumber(0),
                pages: PageNumber(0),
                receivers: u16::MAX,
                ..position(room)
            };
            throw_at_all(room, &forger.control(far, lie, None));
        });
    }
    all_have_it(&mut room);
}

#[test]
fn who_was_deceived_is_told_under_its_own_key() {
    let mut room = long_room(2);
    let told = Rc::new(std::cell::Cell::new([0; 2]));
    let tally = Rc::clone(&told);
    room.lose(move |crossing| {
        let mut counts = tally.get();
        counts[crossing.machine] += u32::from(crossing.sight == Sight::Position);
        tally.set(counts);
        false
    });
    let forger = Forger::in_room(&mut room);
    run_until_begun(&mut room, 20);
    let datagram = forger.control(Seq(1 << 47), position(&room), None);
    room.throw_at_machine(1, &datagram);
    all_have_it(&mut room);
    let [honest, deceived] = told.get();
    assert_eq!(honest, 0);
    assert!((1..=3).contains(&deceived), "{deceived}");
}

#[test]
fn blocks_that_do_not_exist_do_not_keep_the_buffers() {
    for k in [1, 187] {
        let mut room = long_room(2);
        let forger = Forger::in_room(&mut room);
        run_until_begun(&mut room, 8);
        for number in 1_000_000..1_000_300 {
            let header = forger.header(&room, SymbolKind::Block, number, (0, k));
            throw_at_all(&mut room, &forger.symbol(header, &[0x5a; SYMBOL_SIZE]));
        }
        all_have_it(&mut room);
    }
}

#[test]
fn symbols_of_another_size_do_not_keep_a_block_back() {
    let mut room = long_room(2);
    let forger = Forger::in_room(&mut room);
    // Before the pages of these blocks come.
    for number in 0..64 {
        let header = forger.header(&room, SymbolKind::Block, number, (3, 9));
        throw_at_all(&mut room, &forger.symbol(header, &[0x5a; SYMBOL_SIZE]));
    }
    all_have_it(&mut room);
}

#[test]
fn blocks_with_forged_symbols_fail_their_digest_and_are_mended() {
    let mut room = long_room(2);
    let forger = Forger::in_room(&mut room);
    for number in 20..30 {
        let header = forger.header(&room, SymbolKind::Block, number, (5, 187));
        throw_at_all(&mut room, &forger.symbol(header, &[0x5a; SYMBOL_SIZE]));
    }
    all_have_it(&mut room);
    for machine in 0..2 {
        assert_eq!(progress(&room, machine).bad_blocks, 10);
    }
}

#[test]
fn what_was_recorded_does_not_keep_a_dead_session_alive() {
    let mut room = long_room(0);
    let machine = room.join(MachineProfile {
        idle_timeout: Duration::from_secs(5),
        ..MachineProfile::default()
    });
    room.watch(machine);
    run_until_begun(&mut room, 20);
    room.kill_sender();
    let recorded: Vec<_> = room.watched().to_vec();
    assert!(recorded.len() > 100);
    for second in 0..20 {
        let again = recorded[recorded.len() - 40..].to_vec();
        room.at(room.elapsed() + ms(500 * second), move |room| {
            for datagram in &again {
                // An announce is clear and says nothing of the session's life.
                if datagram[1] != Kind::Announce as u8 {
                    room.throw_at_machine(machine, datagram);
                }
            }
        });
    }
    let ended = |room: &Room| room.machines[machine].last().ending.is_some();
    assert!(room.run_until(room.elapsed() + Duration::from_secs(8), ended));
    let Some(Ending::Failed(failure)) = &room.machines[machine].last().ending else {
        panic!("{:?}", room.machines[machine].last().ending);
    };
    assert_eq!(failure.code, FailCode::Silence);
}

#[test]
fn only_the_sender_whose_key_is_pinned_is_joined() {
    let mut room = Room::new(config(image(Filling::Text, 3 * BLOCK_SIZE), 1));
    let key = SigningKey::from_seed(room.secret.bytes()).verifying_key();
    let other = SigningKey::from_seed(&[9; 32]).verifying_key();
    let pinned = |sender_key| MachineProfile {
        sender_key: Some(sender_key),
        ..MachineProfile::default()
    };
    let wrong = room.join(pinned(other));
    let ended = |room: &Room| room.machines[wrong].last().ending.is_some();
    assert!(room.run_until(LIMIT, ended), "it gives up by itself");
    let right = room.join(pinned(key));
    assert!(room.run_until(LIMIT, |room| room.operator.is_over()));
    assert_eq!(room.member_on(right), Some(&MemberState::Confirmed));
    let refused =
        |ending: &Ending| matches!(ending, Ending::Refused(why) if why.starts_with("OtherSender"));
    let ending = &room.machines[wrong].last().ending;
    assert!(ending.as_ref().is_some_and(refused), "{ending:?}");
    assert_eq!(room.verdict().confirmed, 1);
}
