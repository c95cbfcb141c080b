//! Sends again what was recorded of another session.

use std::net::SocketAddrV4;

use mimeo_protocol::wire::Kind;

use super::{Known, Seen, Spoofer};

/// Bytes of the session tag of sealed datagrams, of the session id of clear ones, and of the
/// receiver's nonce behind it in a Welcome.
const TAG: std::ops::Range<usize> = 2..4;
const SESSION: std::ops::Range<usize> = 8..24;
const NONCE: std::ops::Range<usize> = 24..40;

/// Sends `recorded` into the session that is `known`: as it was, and to those and from those whom
/// it would concern in this session, with the names of this session where they stand in clear.
/// `control` is where announces go. Returns how many datagrams were sent.
pub fn replay(spoofer: &Spoofer, recorded: &[Seen], known: &Known, control: SocketAddrV4) -> usize {
    let mut sent = 0;
    for old in recorded {
        let mut send = |from, to, payload: &[u8]| {
            spoofer.send(from, to, payload);
            sent += 1;
        };
        send(old.from, old.to, &old.payload);
        for (from, to, payload) in aimed(old, known, control) {
            send(from, to, &old.payload);
            send(from, to, &payload);
        }
    }
    sent
}

/// Where a datagram belongs in a session, and how it looks there.
fn aimed(
    old: &Seen,
    known: &Known,
    control: SocketAddrV4,
) -> Vec<(SocketAddrV4, SocketAddrV4, Vec<u8>)> {
    let (Some((_, kind)), Some(sender)) = (Kind::of(&old.payload), known.sender) else {
        return Vec::new();
    };
    let receivers = known.receivers.iter();
    match kind {
        Kind::Announce => vec![(sender, control, fitted(old, kind, known, None))],
        Kind::Symbol | Kind::PageSymbol | Kind::GroupControl | Kind::Digests => {
            let data = known.data.iter();
            data.map(|&data| (sender, data, fitted(old, kind, known, None)))
                .collect()
        }
        Kind::Probe | Kind::Join | Kind::ToSender => receivers
            .map(|one| (one.address, sender, fitted(old, kind, known, None)))
            .collect(),
        Kind::Welcome | Kind::Reject | Kind::Cookie | Kind::ToReceiver => receivers
            .map(|one| {
                (
                    sender,
                    one.address,
                    fitted(old, kind, known, Some(one.nonce.0)),
                )
            })
            .collect(),
    }
}

/// The datagram with the names of the session at hand.
fn fitted(old: &Seen, kind: Kind, known: &Known, nonce: Option<[u8; 16]>) -> Vec<u8> {
    let mut payload = old.payload.clone();
    let mut put = |at: std::ops::Range<usize>, bytes: &[u8]| {
        if let Some(place) = payload.get_mut(at) {
            place.copy_from_slice(bytes);
        }
    };
    let session = known.session.map_or([0; 16], |session| session.0);
    match kind {
        Kind::Probe => {}
        Kind::Announce | Kind::Join => put(SESSION, &session),
        Kind::Welcome => {
            put(SESSION, &session);
            put(NONCE, &nonce.unwrap_or_default());
        }
        // Here the nonce stands first.
        Kind::Reject | Kind::Cookie => put(SESSION, &nonce.unwrap_or_default()),
        Kind::Symbol
        | Kind::PageSymbol
        | Kind::GroupControl
        | Kind::Digests
        | Kind::ToSender
        | Kind::ToReceiver => put(TAG, &known.tag().to_be_bytes()),
    }
    payload
}
