//! A member of the room that sends in the sender's name.

use std::rc::Rc;

use mimeo_protocol::ids::{Seq, SessionId};
use mimeo_protocol::keys::{SealKey, Signer, SigningKey};
use mimeo_protocol::receiver::Progress;
use mimeo_protocol::units::Esi;
use mimeo_protocol::wire::{
    EndRecord, GroupControl, Position, SYMBOL_DATAGRAM, SYMBOL_HEADER, SymbolHeader, SymbolKind,
    group_header,
};
use mimeo_tests::sim::{Ending, Room};

use super::{LIMIT, truth};

/// A member that sends in the sender's name, with a key of its own where it has to sign.
#[derive(Clone)]
pub struct Forger {
    pub group: Rc<SealKey>,
    pub tag: u16,
    pub signer: Signer,
}

impl Forger {
    /// Of a room whose machines have joined.
    pub fn in_room(room: &mut Room) -> Self {
        room.watch(0);
        let is_group = |datagram: &Rc<[u8]>| datagram.get(1).is_some_and(|kind| *kind >= 16);
        let knows = |room: &Room| {
            let mut machines = room.machines.iter();
            room.watched().iter().any(is_group)
                && machines.all(|machine| machine.last().welcome.is_some())
        };
        assert!(room.run_until(LIMIT, knows));
        let heard = room
            .watched()
            .iter()
            .find(|d| is_group(d))
            .expect("it was waited for");
        let tag = u16::from_be_bytes([heard[2], heard[3]]);
        let welcome = room.machines[0]
            .last()
            .welcome
            .as_ref()
            .expect("who hears the group was welcomed");
        Self {
            group: Rc::new(SealKey::new(&welcome.group_key)),
            tag,
            signer: Signer {
                key: SigningKey::from_seed(&[0xbb; 32]),
                session: SessionId([0xbb; 16]),
            },
        }
    }

    pub fn symbol(&self, header: SymbolHeader, symbol: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0; SYMBOL_DATAGRAM];
        let (head, rest) = datagram
            .split_first_chunk_mut::<SYMBOL_HEADER>()
            .expect("a symbol has a header");
        header.encode(head);
        self.group.seal(header.seq.0, head, symbol, rest);
        datagram
    }

    pub fn control(&self, seq: Seq, position: Position, end: Option<EndRecord>) -> Vec<u8> {
        let (mut plain, mut datagram) = (Vec::new(), Vec::new());
        GroupControl { position, end }.encode(&mut plain);
        group_header(self.tag, seq, &mut datagram);
        self.group.seal_behind(seq.0, 0, &plain, &mut datagram);
        datagram
    }

    /// A header that follows what the sender has sent.
    pub fn header(
        &self,
        room: &Room,
        kind: SymbolKind,
        number: u32,
        (esi, k): (u8, u8),
    ) -> SymbolHeader {
        let session = room.operator.endpoint.session();
        let position = session.position();
        SymbolHeader {
            kind,
            session_tag: self.tag,
            seq: Seq(session.last_seq().0 + 1),
            slot: position.slot,
            horizon: position.horizon,
            number,
            esi: Esi(esi),
            k,
        }
    }
}

/// Everybody gets it.
pub fn throw_at_all(room: &mut Room, datagram: &[u8]) {
    for machine in 0..room.machines.len() {
        room.throw_at_machine(machine, datagram);
    }
}

/// Everybody ends with the image and the sender knows.
pub fn all_have_it(room: &mut Room) {
    truth(room);
    for (index, machine) in room.machines.iter().enumerate() {
        let ending = machine.last().ending.clone();
        assert_eq!(
            ending,
            Some(Ending::Finished { acknowledged: true }),
            "pc{index}"
        );
    }
}

pub fn progress(room: &Room, machine: usize) -> Progress {
    let endpoint = room.machines[machine].last().endpoint.as_ref();
    endpoint.expect("it has joined").session().progress()
}

pub fn position(room: &Room) -> Position {
    room.operator.endpoint.session().position()
}

pub fn next_seq(room: &Room) -> Seq {
    Seq(room.operator.endpoint.session().last_seq().0 + 1)
}
