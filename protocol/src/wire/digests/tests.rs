use super::*;
use crate::ids::{Seq, SessionId, Slot};
use crate::keys::SigningKey;
use crate::wire::{
    Kind, MAX_DATAGRAM, SYMBOL_DATAGRAM, SymbolHeader, SymbolKind, TAG, ToReceiver, VERSION,
};

fn signer(key: u8, session: u8) -> Signer {
    Signer {
        key: SigningKey::from_seed(&[key; 32]),
        session: SessionId([session; 16]),
    }
}

fn part() -> DigestPart {
    let mut digests = [SymbolDigest::default(); DIGESTS_PER_PART];
    for (digest, i) in digests.iter_mut().zip(0..) {
        *digest = SymbolDigest::of(&[i; SYMBOL_SIZE]);
    }
    DigestPart {
        block: BlockNumber(0x0102_0304),
        part: 3,
        digests,
    }
}

#[test]
fn a_part_opens_only_as_the_sender_signed_it_for_this_session() {
    let sealed = part().seal(&signer(1, 2));
    assert_eq!(sealed.len(), SYMBOL_SIZE);
    assert_eq!(sealed[..5], [1, 2, 3, 4, 3]);
    let open = |bytes: &[u8], signer: &Signer| DigestPart::open(bytes, &signer.verifier());
    assert_eq!(open(&sealed, &signer(1, 2)), Some(part()));
    assert_eq!(open(&sealed, &signer(2, 2)), None);
    assert_eq!(open(&sealed, &signer(1, 3)), None);
    for at in [0, 4, 5, SIGNED - 1, SIGNED, SIGNED + SIGNATURE_LEN - 1] {
        let mut forged = sealed.clone();
        forged[at] ^= 1;
        assert_eq!(open(&forged, &signer(1, 2)), None, "{at}");
    }
    assert_eq!(open(&sealed[..SIGNED], &signer(1, 2)), None);
}

#[test]
fn a_digest_is_the_beginning_of_blake3_of_the_padded_symbol() {
    let mut symbol = [0; SYMBOL_SIZE];
    symbol[..3].copy_from_slice(b"abc");
    assert_eq!(SymbolDigest::of(b"abc"), SymbolDigest::of(&symbol));
    assert_eq!(
        SymbolDigest::of(&symbol).0,
        blake3::hash(&symbol).as_bytes()[..16]
    );
}

#[test]
fn parts_are_64_symbols_each() {
    let of = |esi| Parts::of(Esi(esi)).0;
    assert_eq!(
        [0, 63, 64, 127, 128, 191, 192, 254].map(of),
        [1, 1, 2, 2, 4, 4, 8, 8]
    );
    let parts = Parts(0b1011);
    assert_eq!(parts.numbers().collect::<Vec<_>>(), [0, 1, 3]);
    assert!(parts.contains(Parts(0b1001)) && !parts.contains(Parts(0b0100)));
    assert_eq!(parts.without(Parts(0b0011)), Parts(0b1000));
}

#[test]
fn golden_own_symbol() {
    let message = ToReceiver::Symbol(OwnSymbol {
        block: BlockNumber(0x0102_0304),
        esi: Esi(0xfe),
        k: 187,
        symbol: Box::new([9; SYMBOL_SIZE]),
    });
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    assert_eq!(bytes[..7], [7, 1, 2, 3, 4, 0xfe, 187]);
    assert_eq!(bytes.len(), 7 + 1408);
    assert!(12 + bytes.len() + TAG <= MAX_DATAGRAM);
    assert_eq!(ToReceiver::decode(&bytes), Ok(message));
    assert!(ToReceiver::decode(&bytes[1..]).is_err());
    bytes[5] = 255;
    assert_eq!(
        ToReceiver::decode(&bytes),
        Err(WireError::Value { field: "esi" })
    );
}

#[test]
fn digests_stand_in_the_place_of_a_symbol() {
    let header = SymbolHeader {
        kind: SymbolKind::Digests,
        session_tag: 0xabcd,
        seq: Seq(1),
        slot: Slot(2),
        horizon: BlockNumber(3),
        number: 4,
        esi: Esi(2),
        k: 187,
    };
    let mut datagram = [0; SYMBOL_DATAGRAM];
    let (head, _) = datagram.split_first_chunk_mut().unwrap();
    header.encode(head);
    assert_eq!(datagram[1], 19);
    assert_eq!(Kind::of(&datagram), Some((VERSION, Kind::Digests)));
    assert_eq!(SymbolHeader::decode(&datagram), Ok(header));
}
