//! Turns what the session decides to send into sealed datagrams.

use super::admission::Peer;
use super::{Destination, Endpoint};
use crate::ids::{ReceiverNumber, Seq};
use crate::keys::SealKey;
use crate::prefetch::prefetch;
use crate::sender::interleave::Share;
use crate::sender::session::SymbolRef;
use crate::units::{BlockNumber, Esi, PageNumber, SYMBOL_SIZE};
use crate::wire::{
    GroupControl, Kind, OwnSymbol, SYMBOL_DATAGRAM, SYMBOL_HEADER, SymbolHeader, SymbolKind, TAG,
    ToReceiver, group_header, unicast_header,
};

impl Endpoint {
    /// Seals the burst, or what comes before a page that is lost, with which the session ends.
    pub(super) fn seal_burst(&mut self, first: Seq, out: &mut Vec<u8>) {
        // Whatever stood there is overwritten: zeros are needed only where it grows.
        let len = self.burst.len() * SYMBOL_DATAGRAM;
        out.truncate(len);
        out.resize(len, 0);
        let burst = std::mem::take(&mut self.burst);
        let datagrams = out.chunks_exact_mut(SYMBOL_DATAGRAM);
        let mut sealed = 0;
        for (i, (symbol, datagram)) in burst.iter().zip(datagrams).enumerate() {
            if let Some(next) = burst.get(i + 1) {
                self.prefetch(next);
            }
            let seq = Seq(first.0 + i as u64);
            if self.seal_symbol(seq, symbol, datagram).is_none() {
                break;
            }
            sealed += 1;
        }
        out.truncate(sealed * SYMBOL_DATAGRAM);
        self.burst = burst;
    }

    fn prefetch(&self, symbol: &SymbolRef) {
        if symbol.kind == SymbolKind::Block {
            let bytes = self
                .store
                .symbol(BlockNumber(symbol.number), symbol.k, symbol.esi);
            prefetch(bytes.unwrap_or_default());
        }
    }

    fn seal_symbol(&mut self, seq: Seq, symbol: &SymbolRef, datagram: &mut [u8]) -> Option<()> {
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
        let bytes = match symbol.kind {
            SymbolKind::Block => self
                .store
                .symbol(BlockNumber(symbol.number), symbol.k, symbol.esi)
                .expect("symbols are pinned from their fetch until they were sent"),
            // A page is one symbol, and its repair symbols are the same.
            SymbolKind::Page => self.session.page_object(PageNumber(symbol.number))?,
            SymbolKind::Digests => self
                .digests
                .part(BlockNumber(symbol.number), symbol.esi.0)
                .expect("digests are held from their fetch until they were sent"),
        };
        seal_padded(&self.group_key, (seq, head), bytes, rest);
        Some(())
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

fn seal_padded(key: &SealKey, (seq, head): (Seq, &[u8]), bytes: &[u8], rest: &mut [u8]) {
    debug_assert_eq!(head.len() + rest.len(), SYMBOL_HEADER + SYMBOL_SIZE + TAG);
    if bytes.len() == SYMBOL_SIZE {
        key.seal(seq.0, head, bytes, rest);
    } else {
        let (body, tag) = rest.split_at_mut(SYMBOL_SIZE);
        body[..bytes.len()].copy_from_slice(bytes);
        body[bytes.len()..].fill(0);
        key.seal_in_place(seq.0, head, body, tag);
    }
}
