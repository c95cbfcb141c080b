//! Datagrams in the name of others.
//!
//! An outsider seals them under keys of its own making, a member those of the group under the true
//! one. What has to be signed is signed with a key of the forger's.

use std::ops::Range;

use mimeo_protocol::block::{BlockDigest, Coding, ImageDigest};
use mimeo_protocol::ids::{Cycle, ReceiverNumber, Seq, SessionId, Slot};
use mimeo_protocol::keys::{SealKey, Secret, Signer, SigningKey};
use mimeo_protocol::manifest::{Entry, Identity, Page, Run, StoredBlock};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Esi, PageNumber, Place, SYMBOL_SIZE};
use mimeo_protocol::wire::{
    EndRecord, FailCode, GroupControl, Kind, Position, ReadBack, SYMBOL_DATAGRAM, SYMBOL_HEADER,
    Standing, SymbolHeader, SymbolKind, ToReceiver, ToSender, group_header, unicast_header,
};

/// Source symbols of a full block that cannot be compressed.
const K: u8 = 187;

/// A page that says of so many of the image's first blocks that they are zeros, and of the others what
/// the forger likes.
///
/// # Panics
///
/// Unless `zeros` is from 1 to 31.
#[must_use]
pub fn page_of_lies(signer: &Signer, number: u32, zeros: u32) -> Page {
    let block = |place| {
        Entry::Block(StoredBlock {
            place: Place(place),
            stored_len: BLOCK_SIZE as u32,
            coding: Coding::Raw,
            digest: BlockDigest([place as u8; 32]),
        })
    };
    let run = Entry::Zero(Run {
        place: Place(0),
        count: zeros,
    });
    let entries = [run].into_iter().chain((zeros..32).map(block)).collect();
    let page = Page::new(PageNumber(number), BlockNumber(0), entries);
    let mut page = page.expect("its entries are in order");
    page.sign(signer);
    page
}

/// A page as it stands in a symbol.
#[must_use]
pub fn symbol_of_page(page: &Page) -> Vec<u8> {
    let mut symbol = Vec::new();
    page.encode(&mut symbol);
    symbol.resize(SYMBOL_SIZE, 0);
    symbol
}

/// Speaks in the name of the sender and of receivers.
#[derive(Debug)]
pub struct Forger {
    /// What group datagrams are sealed under.
    pub group: SealKey,
    /// What those to and from one receiver are sealed under.
    pub unicast: SealKey,
    /// The session.
    pub session: SessionId,
}

impl Forger {
    /// Holds no key of the session.
    #[must_use]
    pub fn outside(session: SessionId) -> Self {
        Self {
            group: SealKey::new(&Secret::new([0xbb; 32])),
            unicast: SealKey::new(&Secret::new([0xbc; 32])),
            session,
        }
    }

    /// A symbol of a block or page that the forger makes up.
    #[must_use]
    pub fn symbol(&self, kind: SymbolKind, seq: u64, number: u32, esi: u8, k: u8) -> Vec<u8> {
        self.symbol_of(kind, seq, number, (esi, k), &[0x5a; SYMBOL_SIZE])
    }

    fn symbol_of(
        &self,
        kind: SymbolKind,
        seq: u64,
        number: u32,
        (esi, k): (u8, u8),
        symbol: &[u8],
    ) -> Vec<u8> {
        let mut datagram = vec![0; SYMBOL_DATAGRAM];
        let (head, rest) = datagram
            .split_first_chunk_mut::<SYMBOL_HEADER>()
            .expect("a symbol has a header");
        let header = SymbolHeader {
            kind,
            session_tag: self.session.tag(),
            seq: Seq(seq),
            slot: Slot(number),
            horizon: BlockNumber(number),
            number,
            esi: Esi(esi),
            k,
        };
        header.encode(head);
        self.group.seal(seq, head, symbol, rest);
        datagram
    }

    fn page_of_lies(&self, seq: u64, number: u32) -> Vec<u8> {
        let symbol = symbol_of_page(&page_of_lies(&self.signer(), number, 4));
        self.symbol_of(SymbolKind::Page, seq, number, (0, 1), &symbol)
    }

    /// An end record of another image, and one of an empty one.
    #[must_use]
    pub fn ends(&self, seq: u64, position: Position) -> Vec<Vec<u8>> {
        let lengths = [0, 4 * BLOCK_SIZE as u64];
        let end = |image_len| {
            let mut end = EndRecord {
                image_len,
                blocks: BlockNumber((image_len / BLOCK_SIZE as u64) as u32),
                pages: PageNumber(u32::from(image_len > 0)),
                identity: Identity([7; 32]),
                image_digest: Some(ImageDigest([7; 32])),
                signature: [0; 64],
            };
            end.sign(&self.signer());
            self.control(seq, position, Some(end))
        };
        lengths.into_iter().map(end).collect()
    }

    /// A position, and how the stream ends.
    #[must_use]
    pub fn control(&self, seq: u64, position: Position, end: Option<EndRecord>) -> Vec<u8> {
        let (mut plain, mut datagram) = (Vec::new(), Vec::new());
        GroupControl { position, end }.encode(&mut plain);
        group_header(self.session.tag(), Seq(seq), &mut datagram);
        self.group.seal_behind(seq, 0, &plain, &mut datagram);
        datagram
    }

    /// All that a sender says to one receiver.
    #[must_use]
    pub fn to_receiver(&self, number: u16, seq: u64) -> Vec<Vec<u8>> {
        let messages = [
            ToReceiver::Abort {
                code: FailCode::Interrupted,
                text: "forged".into(),
            },
            ToReceiver::ConfirmSeen,
            ToReceiver::FailSeen,
            ToReceiver::Ask,
            ToReceiver::Position {
                seq: Seq(1 << 40),
                position: FAR,
            },
            ToReceiver::Standing {
                turn: 7,
                standing: Standing::Member {
                    cycle: Cycle(1),
                    from: BlockNumber(u32::MAX),
                },
            },
        ];
        let sealed = |message: &ToReceiver| {
            let mut plain = Vec::new();
            message.encode(&mut plain);
            self.sealed(Kind::ToReceiver, number, seq, &plain)
        };
        messages.iter().map(sealed).collect()
    }

    /// All but a report that a receiver says to its sender.
    #[must_use]
    pub fn to_sender(&self, number: u16, seq: u64) -> Vec<Vec<u8>> {
        let messages = [
            ToSender::Fail {
                code: FailCode::TargetFailed,
                text: "forged".into(),
            },
            ToSender::Confirm {
                identity: Identity([7; 32]),
                image_len: 0,
                read_back: ReadBack::No,
            },
            ToSender::AbortSeen,
        ];
        let sealed = |message: &ToSender| {
            let mut plain = Vec::new();
            message.encode(&mut plain);
            self.sealed(Kind::ToSender, number, seq, &plain)
        };
        messages.iter().map(sealed).collect()
    }

    /// Symbols of these blocks and what are to be their digests, first pages, lies about where the
    /// stream is, and ends of it.
    #[must_use]
    pub fn group_lies(&self, seq: u64, blocks: Range<u32>) -> Vec<Vec<u8>> {
        let symbol = |number| self.symbol(SymbolKind::Block, seq, number, (number % 180) as u8, K);
        let digests = |number| self.symbol(SymbolKind::Digests, seq, number, 0, K);
        let symbols = blocks.clone().map(symbol).chain(blocks.map(digests));
        let pages = (0..2).map(|number| self.page_of_lies(seq, number));
        let positions = [NEAR, FAR].map(|position| self.control(seq, position, None));
        let ends = self.ends(seq, NEAR);
        symbols.chain(pages).chain(positions).chain(ends).collect()
    }

    fn sealed(&self, kind: Kind, number: u16, seq: u64, plain: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        let number = ReceiverNumber(number);
        unicast_header(kind, self.session.tag(), seq, number, &mut datagram);
        self.unicast.seal_behind(seq, 0, plain, &mut datagram);
        datagram
    }

    fn signer(&self) -> Signer {
        Signer {
            key: SigningKey::from_seed(&[0xbb; 32]),
            session: self.session,
        }
    }
}

/// The end of a small image's only pass.
const NEAR: Position = Position {
    cycle: Cycle(1),
    slot: Slot(16),
    horizon: BlockNumber(16),
    pages: PageNumber(1),
    receivers: 1,
};

/// Further than any session gets.
const FAR: Position = Position {
    cycle: Cycle(u32::MAX),
    slot: Slot(u32::MAX),
    horizon: BlockNumber(u32::MAX),
    pages: PageNumber(u32::MAX),
    receivers: u16::MAX,
};
