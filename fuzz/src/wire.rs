//! Decoders of all messages: no bytes make one panic, and what decodes is encoded to bytes that
//! mean the same, and are the same where a message has one encoding only.

use std::fmt::Debug;

use mimeo_protocol::ids::Seq;
use mimeo_protocol::units::{BlockNumber, SYMBOL_SIZE};
use mimeo_protocol::wire::{
    Announce, Cookie, DIGEST_PARTS, DIGESTS_PER_PART, DigestPart, Envelope, GroupControl, Join,
    Kind, Probe, Reject, SYMBOL_DIGEST, SYMBOL_HEADER, SymbolDigest, SymbolHeader, SymbolKind,
    ToReceiver, ToSender, VERSION, Welcome, WelcomeBody, WireError, group_header, unicast_header,
};

use crate::{report, setup};

/// Where an announce says whether it admits anybody: 1 says so, and anything else does not.
const JOINABLE: usize = 25;

/// Block, part, digests and signature; zeros follow.
const SIGNED_DIGESTS: usize = 4 + 1 + DIGESTS_PER_PART * SYMBOL_DIGEST + 64;

/// The first byte chooses the decoder of the others.
pub fn run(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    if let Some((version, _)) = Kind::of(bytes) {
        assert_eq!(version, bytes[0]);
    }
    match which % 14 {
        0 => same(bytes, Probe::decode, Probe::encode),
        1 => announce(bytes),
        2 => same(bytes, Join::decode, Join::encode),
        3 => same(bytes, Welcome::decode, Welcome::encode),
        4 => same(bytes, WelcomeBody::decode, WelcomeBody::encode),
        5 => same(bytes, Reject::decode, Reject::encode),
        6 => symbol(bytes),
        7 => same(bytes, GroupControl::decode, GroupControl::encode),
        8 => envelope(bytes),
        9 => to_sender(bytes),
        10 => same(bytes, ToReceiver::decode, ToReceiver::encode),
        11 => same(bytes, Cookie::decode, Cookie::encode),
        13 => digests(bytes),
        _ => every(bytes),
    }
}

/// Decodes and, if that succeeds, encodes to the same bytes.
fn same<T: Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, WireError>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    if let Ok(message) = decode(bytes) {
        let mut again = Vec::new();
        encode(&message, &mut again);
        assert_eq!(again, bytes, "{message:?}");
    }
}

fn announce(bytes: &[u8]) {
    if let Ok(announce) = Announce::decode(bytes) {
        let mut again = Vec::new();
        announce.encode(&mut again);
        let mut canonical = bytes.to_vec();
        canonical[JOINABLE] = u8::from(bytes[JOINABLE] == 1);
        assert_eq!(again, canonical, "{announce:?}");
    }
}

fn symbol(bytes: &[u8]) {
    if let Ok(header) = SymbolHeader::decode(bytes) {
        let mut again = [0; SYMBOL_HEADER];
        header.encode(&mut again);
        assert_eq!(again, bytes[..SYMBOL_HEADER], "{header:?}");
        let kind = match header.kind {
            SymbolKind::Block => Kind::Symbol,
            SymbolKind::Page => Kind::PageSymbol,
            SymbolKind::Digests => Kind::Digests,
        };
        assert_eq!(bytes[1], kind as u8);
    }
}

/// Digests of symbols count as the sender has signed them, and in no other way: the first two bytes
/// say which bit is another one in the end, and what follows is signed.
fn digests(bytes: &[u8]) {
    let verifier = setup::verifier(setup::session_id(0));
    // The hash that stands for a signature can be found where hashes are compared.
    if let Some(part) = DigestPart::open(bytes, &verifier) {
        let again = part.seal(&setup::signer(setup::session_id(0)));
        assert_eq!(again[..SIGNED_DIGESTS], bytes[..SIGNED_DIGESTS]);
    }
    let Some((&[high, low, a, b, c, d, part], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let mut digests = [SymbolDigest::default(); DIGESTS_PER_PART];
    for (digest, bytes) in digests.iter_mut().zip(rest.as_chunks().0) {
        *digest = SymbolDigest(*bytes);
    }
    let made = DigestPart {
        block: BlockNumber(u32::from_be_bytes([a, b, c, d])),
        part,
        digests,
    };
    let mut sealed = made.seal(&setup::signer(setup::session_id(0)));
    assert_eq!(sealed.len(), SYMBOL_SIZE);
    let expected = (part < DIGEST_PARTS).then_some(made);
    assert_eq!(DigestPart::open(&sealed, &verifier), expected);
    let other = setup::verifier(setup::session_id(1));
    assert_eq!(DigestPart::open(&sealed, &other), None);
    let bit = usize::from(u16::from_be_bytes([high, low])) % (SIGNED_DIGESTS * 8);
    sealed[bit / 8] ^= 1 << (bit % 8);
    assert_eq!(DigestPart::open(&sealed, &verifier), None);
}

fn envelope(bytes: &[u8]) {
    if let Ok(group) = Envelope::group(bytes) {
        let mut header = Vec::new();
        group_header(group.session_tag, Seq(group.seq), &mut header);
        assert_eq!(
            (header.as_slice(), group.header),
            (group.header, &bytes[..header.len()])
        );
        assert_eq!([group.header, group.sealed].concat(), bytes);
    }
    for kind in [Kind::ToSender, Kind::ToReceiver] {
        if let Ok(unicast) = Envelope::unicast(bytes, kind) {
            let mut header = Vec::new();
            let (tag, number) = (unicast.session_tag, unicast.number);
            unicast_header(kind, tag, unicast.seq, number, &mut header);
            assert_eq!(header, unicast.header);
            assert_eq!([unicast.header, unicast.sealed].concat(), bytes);
        }
    }
}

/// A report may be encoded in several ways and is looked at by its own target's rules.
fn to_sender(bytes: &[u8]) {
    match ToSender::decode(bytes) {
        Ok(ToSender::Report(read)) => report::check(&read),
        _ => same(bytes, ToSender::decode, ToSender::encode),
    }
}

/// A datagram means one kind of message at most.
fn every(bytes: &[u8]) {
    let read = [
        Probe::decode(bytes).is_ok(),
        Announce::decode(bytes).is_ok(),
        Join::decode(bytes).is_ok(),
        Welcome::decode(bytes).is_ok(),
        Reject::decode(bytes).is_ok(),
        Cookie::decode(bytes).is_ok(),
        SymbolHeader::decode(bytes).is_ok(),
        Envelope::group(bytes).is_ok(),
        Envelope::unicast(bytes, Kind::ToSender).is_ok(),
        Envelope::unicast(bytes, Kind::ToReceiver).is_ok(),
    ];
    let kinds = read.iter().filter(|&&read| read).count();
    assert!(kinds <= 1, "{read:?}");
    if kinds == 1 {
        let (version, kind) = Kind::of(bytes).expect("it was decoded");
        assert!(version == VERSION || kind == Kind::Reject);
    }
}
