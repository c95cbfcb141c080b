//! A receiver, among members of its session that hold the group's key and may send anything under
//! it, and strangers.
//!
//! Whatever comes: the receiver neither panics nor spins, hands out only whole blocks of which it
//! has the entry, takes nothing for a block that was spoiled but what the sender sent, confirms only
//! what was flushed, takes nothing back that it has granted, and numbers of its datagrams never
//! repeat. Once the others are quiet it gets the image, unless they have told of another one.

mod image;
mod mending;
mod peace;
mod room;

use std::time::Duration;

use arbitrary::Arbitrary;
use mimeo_protocol::ids::{Cycle, Seq, Slot};
use mimeo_protocol::manifest::Identity;
use mimeo_protocol::receiver::Session;
use mimeo_protocol::units::{BlockNumber, Esi, PageNumber};
use mimeo_protocol::wire::{
    Announce, Auth, Effort, EndRecord, GroupControl, Position, SymbolHeader, SymbolKind, ToReceiver,
};

use crate::page::Made;
use crate::report::{fail_code, standing};
use crate::setup;
use crate::value::Near;
use image::Image;
use room::Room;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    config: u16,
    knows_length: bool,
    begun: Near,
    cycle: Near,
    image: u8,
    #[arbitrary(with = crate::value::at_most::<24, _>)]
    actions: Vec<Action<'a>>,
}

/// What happens to the receiver.
#[derive(Debug, Arbitrary)]
enum Action<'a> {
    /// Any bytes.
    Datagram(u8, &'a [u8]),
    /// Symbols of a block as the sender sends them: from which on, and how many.
    Block(u8, u8, u8),
    /// A page as the sender sends it.
    Page(u8),
    /// Where the stream is.
    Position(Positioned),
    /// The end of the image.
    End,
    /// A symbol with any header, under the group's key.
    Symbol(Headed),
    /// A page that the sender never made, under the group's key; whether its signature is right all
    /// the same, as of a sender that contradicts itself.
    ForgedPage(Made, bool),
    /// A position that is none.
    ForgedControl(Positioned, Option<Ended>),
    /// A message of the sender.
    Message(Said),
    /// Any bytes, sealed as a message of the sender.
    Sealed(&'a [u8]),
    /// Any bytes, sealed as a group control datagram.
    SealedToGroup(&'a [u8]),
    /// What came last again, with a bit flipped or not.
    Again(Option<u16>),
    /// Symbols that stand in the place of a block's, which the sender never sent.
    Spoil(u8, u8, u8),
    /// Digests of the symbols of a block, be they the sender's or not.
    Digests(u8, u8, Signed),
    /// Symbols of a block under the own key: from which on, and how many, and whether they say
    /// rightly how many the block has.
    Own(u8, u8, u8, bool),
    /// What the last report has asked for, for blocks that were spoiled.
    Mend,
    /// So much of what the caller was asked for is done, and how that went.
    Done(u8, Outcome),
    Fail(u8),
    Drops(u32),
    Effort(u32),
    /// Another session of the name is announced.
    Announce(u8, u8),
    /// The session that was asked to admits the receiver.
    Welcome(bool),
    Pass(u16),
    Steps(u8),
}

#[derive(Debug, Arbitrary)]
struct Positioned {
    seq: Near,
    cycle: Near,
    slot: Near,
    horizon: Near,
    pages: Near,
    receivers: u16,
}

#[derive(Debug, Arbitrary)]
struct Headed {
    page: bool,
    seq: Near,
    slot: Near,
    horizon: Near,
    number: Near,
    esi: u8,
    k: u8,
}

#[derive(Debug, Arbitrary)]
struct Ended {
    right: bool,
    signed: bool,
    image_len: Near,
    blocks: Near,
    pages: Near,
}

#[derive(Debug, Arbitrary)]
enum Said {
    ConfirmSeen,
    FailSeen,
    Abort(u8),
    Ask,
    Standing {
        turn: Near,
        how: u8,
        cycle: Near,
        from: Near,
    },
    /// Where the stream is, be that true or not.
    Position(Near, Positioned),
}

/// Who signed digests.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Signed {
    /// The sender.
    Truly,
    /// The sender, for another block or part.
    ForOthers,
    /// Somebody else.
    ByOthers,
    /// The sender, in another session.
    Elsewhere,
}

/// How something went that the caller was asked for.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Outcome {
    Well,
    /// A block has another digest, the target holds something else, reads back differently.
    Badly,
    /// The target holds nothing, or a part is done.
    Partly,
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    let image = Image::any(input.image);
    let mut body = setup::welcome_body(
        setup::session_id(0),
        input.knows_length.then_some(image.len()),
    );
    body.begun = BlockNumber(input.begun.to_u32(0));
    body.cycle = Cycle(input.cycle.to_u32(1));
    let mut room = Room::new(input.config, image, body);
    room.drain();
    for action in &input.actions {
        act(&mut room, action);
        room.drain();
    }
    // It takes longer than most of the rest.
    if input.config >> 9 & 15 == 0 {
        room.end_in_peace();
    }
}

fn act(room: &mut Room, action: &Action<'_>) {
    match action {
        Action::Datagram(from, bytes) => room.hear(*from, bytes),
        Action::Block(block, first, count) => room.hear_block(*block, *first, *count),
        Action::Page(page) => room.hear_page(*page),
        Action::Position(position) => {
            let mut position = position.position(room);
            position.pages = position.pages.min(PageNumber(room.image.pages()));
            room.hear_control(&GroupControl {
                position,
                end: None,
            });
        }
        Action::End => room.hear_end(),
        Action::Symbol(header) => {
            let header = header.header(room.endpoint.session(), room.seq);
            room.hear_forged_symbol(&header);
        }
        Action::ForgedPage(made, signed) => {
            if let Ok(page) = made.page((0, 0, 0)) {
                room.hear_forged_page(page, *signed);
            }
        }
        Action::ForgedControl(position, end) => {
            let end = end.as_ref().map(|end| end.record(room));
            let control = GroupControl {
                position: position.position(room),
                end: end.map(|(end, _)| end),
            };
            room.other_image |= end.is_some_and(|(_, other)| other);
            room.hear_forged_control(position.seq, &control);
        }
        Action::Message(said) => {
            let message = said.message(room);
            room.hear_message(&message);
        }
        Action::Sealed(plain) => room.hear_sealed_bytes(plain),
        Action::SealedToGroup(plain) => {
            room.forged = true;
            room.hear_sealed_to_group(room.seq, plain);
        }
        Action::Again(flip) => room.hear_again(*flip),
        Action::Done(count, outcome) => room.done(*count, *outcome),
        Action::Announce(session, from) => {
            let mut bytes = Vec::new();
            Announce {
                session_id: setup::session_id(*session),
                auth: Auth::Open,
                joinable: true,
                session_name: setup::NAME.to_owned(),
            }
            .encode(&mut bytes);
            room.hear(*from, &bytes);
        }
        Action::Welcome(knows_length) => room.hear_welcome(*knows_length),
        Action::Pass(ms) => room.pass(Duration::from_millis((*ms).into())),
        Action::Steps(steps) => room.step(steps % 32),
        Action::Fail(_) | Action::Drops(_) | Action::Effort(_) => tell(room, action),
        _ => mend(room, action),
    }
}

/// What comes for blocks that were spoiled.
fn mend(room: &mut Room, action: &Action<'_>) {
    match action {
        Action::Spoil(block, first, count) => room.spoil(*block, *first, *count),
        Action::Digests(block, part, signed) => room.hear_digests(*block, *part, *signed),
        Action::Own(block, first, count, right) => {
            room.hear_own(room.image.block(*block).0, (*first, *count), *right);
        }
        _ => room.mend(),
    }
}

/// What the caller tells by itself.
fn tell(room: &mut Room, action: &Action<'_>) {
    let now = room.now;
    let session = room.endpoint.session_mut();
    match action {
        Action::Fail(code) => room.fail(fail_code(*code)),
        Action::Drops(drops) => session.handle_socket_drops(now, *drops),
        Action::Effort(total) => {
            let effort = Effort {
                decode_ms: *total,
                session_ms: *total,
                disk_bytes: (*total).into(),
                disk_ms: *total,
            };
            session.handle_effort(effort, Duration::from_millis((*total).into()));
        }
        _ => {}
    }
}

impl Positioned {
    fn position(&self, room: &Room) -> Position {
        let image = room.image;
        let progress = room.endpoint.session().progress();
        Position {
            cycle: Cycle(self.cycle.to_u32(progress.cycle.0)),
            slot: Slot(self.slot.to_u32(image.blocks())),
            horizon: BlockNumber(self.horizon.to_u32(image.blocks())),
            pages: PageNumber(self.pages.to_u32(image.pages())),
            receivers: self.receivers,
        }
    }
}

impl Headed {
    fn header(&self, session: &Session, seq: u64) -> SymbolHeader {
        let done = session.progress().blocks_done;
        SymbolHeader {
            kind: if self.page {
                SymbolKind::Page
            } else {
                SymbolKind::Block
            },
            session_tag: 0,
            seq: Seq(self.seq.to_u48(seq)),
            slot: Slot(self.slot.to_u32(done)),
            horizon: BlockNumber(self.horizon.to_u32(done)),
            number: self.number.to_u32(done),
            esi: Esi(self.esi % 255),
            k: 1 + if self.k < 128 {
                self.k % 4
            } else {
                self.k % 187
            },
        }
    }
}

impl Ended {
    /// The record, and whether it is believed and another image's.
    fn record(&self, room: &Room) -> (EndRecord, bool) {
        let (image, session) = (room.image, room.session());
        let right = image.end(session);
        if self.right {
            return (right, false);
        }
        let mut end = EndRecord {
            image_len: self.image_len.to_u64(image.len()),
            blocks: BlockNumber(self.blocks.to_u32(image.blocks())),
            pages: PageNumber(self.pages.to_u32(image.pages())),
            identity: Identity([2; 32]),
            ..right
        };
        if self.signed {
            end.sign(&setup::signer(session));
        }
        (end, self.signed)
    }
}

impl Said {
    fn message(&self, room: &Room) -> ToReceiver {
        match self {
            Self::Position(seq, position) => ToReceiver::Position {
                seq: Seq(seq.to_u48(room.seq)),
                position: position.position(room),
            },
            Self::ConfirmSeen => ToReceiver::ConfirmSeen,
            Self::FailSeen => ToReceiver::FailSeen,
            Self::Abort(code) => ToReceiver::Abort {
                code: fail_code(*code),
                text: "enough".to_owned(),
            },
            Self::Ask => ToReceiver::Ask,
            Self::Standing {
                turn,
                how,
                cycle,
                from,
            } => ToReceiver::Standing {
                turn: turn.to_u32(1) as u16,
                standing: standing(*how, cycle.to_u32(1), from.to_u32(0)),
            },
        }
    }
}
