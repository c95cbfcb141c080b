//! Turns what the session decides to send into sealed datagrams.

use super::admission::Peer;
use super::{Destination, Endpoint};
use crate::ids::{ReceiverNumber, Seq};
use crate::prefetch::prefetch;
use crate::sender::interleave::Share;
use crate::sender::session::SymbolRef;
use crate::units::{BlockNumber, Esi, PageNumber, SYMBOL_SIZE};
use crate::wire::{
    GroupControl, Kind, OwnSymbol, SYMBOL_DATAGRAM, SYMBOL_HEADER, SymbolHeader, SymbolKind, TAG,
    ToReceiver, group_header, unicast_header,
};

impl Endpoint {
    pub(super) fn seal_burst(&self, first: Seq, out: &mut Vec<u8>) {
        // Whatever stood there is overwritten: zeros are needed only where it grows.
        let len = self.burst.len() * SYMBOL_DATAGRAM;
        out.truncate(len);
        out.resize(len, 0);
        let datagrams = out.chunks_exact_mut(SYMBOL_DATAGRAM);
        for (i, (symbol, datagram)) in self.burst.iter().zip(datagrams).enumerate() {
            if let Some(next) = self.burst.get(i + 1) {
                self.prefetch(next);
            }
            self.seal_symbol(Seq(first.0 + i as u64), symbol, datagram);
        }
    }

    fn prefetch(&self, symbol: &SymbolRef) {
        if symbol.kind == SymbolKind::Block {
            let bytes = self
                .store
                .symbol(BlockNumber(symbol.number), symbol.k, symbol.esi);
            prefetch(bytes.unwrap_or_default());
        }
    }

    fn seal_symbol(&self, seq: Seq, symbol: &SymbolRef, datagram: &mut [u8]) {
        let header = SymbolHeader {
            kind: symbol.kind,
            session_tag: self.config.session_id.tag(),
            seq,
            slot: symbol.slot,
            horizon: symbol.horizon,
            number: symbol.number,
            esi: symbol.esi,
            k: symbol.k,
        };
        let (head, rest) = datagram
            .split_first_chunk_mut()
            .expect("the datagram holds a header");
        header.encode(head);
        match symbol.kind {
            SymbolKind::Block => {
                let bytes = self
                    .store
                    .symbol(BlockNumber(symbol.number), symbol.k, symbol.esi)
                    .expect("symbols are pinned from their fetch until they were sent");
                self.seal_padded(seq, head, bytes, rest);
            }
            SymbolKind::Page => {
                // A page is one symbol, and its repair symbols are the same.
                let page = PageNumber(symbol.number);
                let object = self.session.manifest().page_object(page);
                let object = object.expect("only closed pages are sent");
                self.seal_padded(seq, head, object, rest);
            }
            SymbolKind::Digests => {
                let part = self
                    .digests
                    .part(BlockNumber(symbol.number), symbol.esi.0)
                    .expect("digests are held from their fetch until they were sent");
                self.seal_padded(seq, head, part, rest);
            }
        }
    }

    fn seal_padded(&self, seq: Seq, head: &[u8], bytes: &[u8], rest: &mut [u8]) {
        debug_assert_eq!(head.len() + rest.len(), SYMBOL_HEADER + SYMBOL_SIZE + TAG);
        if bytes.len() == SYMBOL_SIZE {
            self.group_key.seal(seq.0, head, bytes, rest);
        } else {
            let (body, tag) = rest.split_at_mut(SYMBOL_SIZE);
            body[..bytes.len()].copy_from_slice(bytes);
            body[bytes.len()..].fill(0);
            self.group_key.seal_in_place(seq.0, head, body, tag);
        }
    }

    pub(super) fn seal_control(&self, seq: Seq, control: &GroupControl, out: &mut Vec<u8>) {
        let mut plain = Vec::new();
        control.encode(&mut plain);
        group_header(self.config.session_id.tag(), seq, out);
        self.group_key.seal_behind(seq.0, 0, &plain, out);
    }

    pub(super) fn seal_own_symbol(
        &mut self,
        to: ReceiverNumber,
        share: &Share,
        esi: Esi,
        out: &mut Vec<u8>,
    ) -> Option<Destination> {
        let bytes = self.store.symbol(share.block, share.k, esi);
        let bytes = bytes.expect("symbols are pinned from their fetch until they were sent");
        let mut symbol = Box::new([0; SYMBOL_SIZE]);
        symbol[..bytes.len()].copy_from_slice(bytes);
        let own = OwnSymbol {
            block: share.block,
            esi,
            k: share.k,
            symbol,
        };
        self.seal_unicast(to, &ToReceiver::Symbol(own), out)
    }

    pub(super) fn seal_unicast(
        &mut self,
        to: ReceiverNumber,
        message: &ToReceiver,
        out: &mut Vec<u8>,
    ) -> Option<Destination> {
        let tag = self.config.session_id.tag();
        let peer: &mut Peer = self.admission.peer_mut(to)?;
        let seq = peer.next_seq();
        let mut plain = Vec::new();
        message.encode(&mut plain);
        unicast_header(Kind::ToReceiver, tag, seq, to, out);
        peer.keys.to_receiver.seal_behind(seq, 0, &plain, out);
        Some(Destination::Unicast(peer.address))
    }
}
