//! The receiver on the wire: datagrams in, whole blocks and sealed messages out.

use std::time::Instant;

use super::rendezvous::Admitted;
use super::session::{BufferId, Event, Placement, Session, SessionConfig};
use crate::aligned::AlignedBytes;
use crate::ids::ReceiverNumber;
use crate::keys::{JoinKeys, ReplayWindow, SealKey};
use crate::prefetch::prefetch;
use crate::strays::Strays;
use crate::units::{BlockNumber, Esi, MAX_SOURCE_SYMBOLS, SYMBOL_SIZE};
use crate::wire::{
    Announce, Envelope, GroupControl, Kind, OwnSymbol, SYMBOL_HEADER, SymbolHeader, SymbolKind,
    ToReceiver, ToSender, unicast_header,
};

/// Room for the symbols of one block.
pub type SymbolBuffer = AlignedBytes;

/// Bytes of a [`SymbolBuffer`].
pub const BUFFER_SIZE: usize = MAX_SOURCE_SYMBOLS * SYMBOL_SIZE;

/// The receiver's state machine with its keys and buffers.
#[derive(Debug)]
pub struct Endpoint {
    session: Session,
    session_tag: u16,
    session_id: crate::ids::SessionId,
    number: ReceiverNumber,
    group_key: SealKey,
    keys: JoinKeys,
    sent: u64,
    window: ReplayWindow,
    /// Allocated when first used; a buffer that is handed out is `None` until it comes back.
    buffers: Vec<Option<SymbolBuffer>>,
    scratch: Vec<u8>,
    strays: Strays,
}

impl Endpoint {
    /// The endpoint of an admitted receiver.
    #[must_use]
    pub fn new(now: Instant, config: SessionConfig, admitted: Admitted) -> Self {
        let buffers = (0..config.buffers).map(|_| None).collect();
        let session_id = admitted.session_id;
        Self {
            session: Session::new(now, config, session_id, &admitted.body),
            session_tag: session_id.tag(),
            session_id,
            number: admitted.number,
            group_key: SealKey::new(&admitted.body.group_key),
            keys: admitted.keys,
            sent: 0,
            window: ReplayWindow::default(),
            buffers,
            scratch: vec![0; SYMBOL_SIZE],
            strays: Strays::default(),
        }
    }

    /// Goes over to another session, of the same image, and keeps what is on the target. What
    /// is still being done for the old one is told to [`Session::note_former`] when it is done.
    pub fn take_up(&mut self, now: Instant, config: SessionConfig, admitted: Admitted) {
        let mut next = Self::new(now, config, admitted);
        next.session.continue_from(now, &mut self.session);
        next.strays = self.strays;
        *self = next;
    }

    /// The state machine, to be looked at.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The state machine, for completions and failures.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// What was dropped unread.
    #[must_use]
    pub fn strays(&self) -> Strays {
        self.strays
    }

    /// Takes in a datagram. Garbage is counted and dropped.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        match Kind::of(datagram).map(|(_, kind)| kind) {
            Some(Kind::Symbol | Kind::PageSymbol | Kind::Digests) => {
                self.handle_symbol(now, datagram);
            }
            Some(Kind::GroupControl) => self.handle_control(now, datagram),
            Some(Kind::ToReceiver) => self.handle_unicast(now, datagram),
            Some(Kind::Announce) => self.handle_announce(now, datagram),
            Some(Kind::Welcome | Kind::Probe | Kind::Join | Kind::Reject | Kind::Cookie) => {}
            Some(Kind::ToSender) | None => self.strays.malformed += 1,
        }
    }

    /// A datagram is about to be handled: begins to load where its symbol will stand.
    pub fn prefetch(&self, datagram: &[u8]) {
        let Ok(header) = SymbolHeader::decode(datagram) else {
            return;
        };
        if let Placement::Slot(buffer, slot) = self.session.place(&header)
            && let Some(Some(bytes)) = self.buffers.get(buffer.0 as usize)
        {
            let from = usize::from(slot) * SYMBOL_SIZE;
            prefetch(&bytes[from..from + SYMBOL_SIZE]);
        }
    }

    fn handle_symbol(&mut self, now: Instant, datagram: &[u8]) {
        let header = match SymbolHeader::decode(datagram) {
            Ok(header) if header.session_tag == self.session_tag => header,
            _ => {
                self.strays.malformed += 1;
                return;
            }
        };
        let (head, sealed) = datagram.split_at(SYMBOL_HEADER);
        let placement = self.session.place(&header);
        let plain = match placement {
            Placement::Slot(buffer, slot) => slot_of(&mut self.buffers, buffer, slot),
            Placement::First | Placement::Redundant => &mut self.scratch,
        };
        if self
            .group_key
            .open(header.seq.0, head, sealed, plain)
            .is_err()
        {
            self.strays.unsealed += 1;
            return;
        }
        let wanted = match header.kind {
            SymbolKind::Page => {
                return self.session.handle_page_symbol(now, &header, &self.scratch);
            }
            SymbolKind::Digests => return self.handle_digests(now, &header),
            SymbolKind::Block => placement != Placement::Redundant,
        };
        let slot = match placement {
            _ if wanted && !self.session.trusts(&header, plain) => None,
            Placement::Slot(_, slot) => Some(slot),
            Placement::First => self.begin(&header),
            Placement::Redundant => None,
        };
        self.session.handle_symbol(now, &header, slot);
    }

    /// The first symbol of a block stands in the scratch space: it checked out, so the block
    /// gets a buffer.
    fn begin(&mut self, header: &SymbolHeader) -> Option<u8> {
        let Placement::Slot(buffer, slot) = self.session.begin(header) else {
            return None;
        };
        slot_of(&mut self.buffers, buffer, slot).copy_from_slice(&self.scratch);
        Some(slot)
    }

    fn handle_digests(&mut self, now: Instant, header: &SymbolHeader) {
        if let Some(block) = self.session.handle_digests(now, header, &self.scratch) {
            self.sift(block);
        }
    }

    fn sift(&mut self, block: BlockNumber) {
        let buffer = self.session.spoiled_buffer(block);
        let held = buffer.and_then(|buffer| self.buffers.get(buffer.0 as usize)?.as_ref());
        if let Some(symbols) = held {
            self.session.sift(block, symbols);
        }
    }

    /// A block did not have its digest; its buffer was given back and holds the symbols `esis`, as
    /// [`super::Assembled::restore`] leaves them.
    pub fn handle_bad_block(&mut self, block: BlockNumber, esis: &[Esi]) {
        if self.session.handle_bad_block(block, esis) {
            self.sift(block);
        }
    }

    fn handle_control(&mut self, now: Instant, datagram: &[u8]) {
        let opened = Envelope::group(datagram).ok().and_then(|envelope| {
            let plain = self
                .group_key
                .open_vec(envelope.seq, envelope.header, envelope.sealed);
            Some((envelope.seq, plain.ok()?))
        });
        let Some((seq, plain)) = opened else {
            self.strays.unsealed += 1;
            return;
        };
        match GroupControl::decode(&plain) {
            Ok(control) => self
                .session
                .handle_control(now, crate::ids::Seq(seq), &control),
            Err(_) => self.strays.malformed += 1,
        }
    }

    fn handle_unicast(&mut self, now: Instant, datagram: &[u8]) {
        let opened = Envelope::unicast(datagram, Kind::ToReceiver)
            .ok()
            .and_then(|envelope| {
                let key = &self.keys.to_receiver;
                let plain = key
                    .open_vec(envelope.seq, envelope.header, envelope.sealed)
                    .ok()?;
                self.window.accept(envelope.seq).then_some(plain)
            });
        let Some(plain) = opened else {
            self.strays.unsealed += 1;
            return;
        };
        match ToReceiver::decode(&plain) {
            Ok(ToReceiver::Symbol(own)) => self.handle_own_symbol(now, &own),
            Ok(message) => self.session.handle_message(now, message),
            Err(_) => self.strays.malformed += 1,
        }
    }

    fn handle_own_symbol(&mut self, now: Instant, own: &OwnSymbol) {
        let slot = match self.session.begin_own(own) {
            Placement::Slot(buffer, slot) => {
                slot_of(&mut self.buffers, buffer, slot).copy_from_slice(&*own.symbol);
                Some(slot)
            }
            Placement::First | Placement::Redundant => None,
        };
        self.session.handle_own_symbol(now, own, slot);
    }

    /// An announce proves nothing, so it does not keep a silent session alive; it only tells
    /// that the group's datagrams are held back where the sender's others are not.
    fn handle_announce(&mut self, now: Instant, datagram: &[u8]) {
        if Announce::decode(datagram).is_ok_and(|announce| announce.session_id == self.session_id) {
            self.session.handle_announce(now);
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    /// When to call `handle_timeout` and `poll_transmit` at the latest.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.session.poll_timeout(now)
    }

    /// The next thing for the caller. [`Event::Block`] is exchanged for its symbols with
    /// [`Self::take`].
    pub fn poll_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// The symbols of a block that was handed out.
    pub fn take(&mut self, buffer: BufferId) -> Option<SymbolBuffer> {
        self.buffers.get_mut(buffer.0 as usize)?.take()
    }

    /// A buffer comes back; do so before telling the session of the block's fate.
    pub fn give_back(&mut self, buffer: BufferId, symbols: SymbolBuffer) {
        if let Some(slot) = self.buffers.get_mut(buffer.0 as usize) {
            *slot = Some(symbols);
        }
    }

    /// The next datagram to the sender, into `out`, which is cleared first.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(message) = self.session.poll_transmit(now) else {
            return false;
        };
        self.seal(&message, out);
        true
    }

    fn seal(&mut self, message: &ToSender, out: &mut Vec<u8>) {
        self.sent += 1;
        let mut plain = Vec::new();
        message.encode(&mut plain);
        unicast_header(
            Kind::ToSender,
            self.session_tag,
            self.sent,
            self.number,
            out,
        );
        self.keys.to_sender.seal_behind(self.sent, 0, &plain, out);
    }
}

fn slot_of(buffers: &mut [Option<SymbolBuffer>], buffer: BufferId, slot: u8) -> &mut [u8] {
    let bytes = buffers[buffer.0 as usize].get_or_insert_with(|| AlignedBytes::zeroed(BUFFER_SIZE));
    let from = usize::from(slot) * SYMBOL_SIZE;
    &mut bytes[from..from + SYMBOL_SIZE]
}
