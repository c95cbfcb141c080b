//! What the datagrams look like.
//!
//! | bytes | data | hello | report |
//! |---|---|---|---|
//! | 0..8 | number, from 0 | `u64::MAX` | bytes received so far |
//! | 8.. | up to [`PAYLOAD`] bytes of the file | its length, 8 bytes | - |
//!
//! Numbers are little-endian; datagram n holds the file from n x [`PAYLOAD`] on. A length
//! or a report of `u64::MAX` says that who sends it has given up.

/// Bytes of a full datagram: mimeo's, which fits 1500-byte MTU over IPv4 and IPv6.
pub(super) const DATAGRAM: usize = 1448;

/// Bytes of the number.
pub(super) const HEADER: usize = 8;

/// Bytes of the file in a full datagram.
pub(super) const PAYLOAD: usize = DATAGRAM - HEADER;

/// Datagrams in a burst: as many as fit into one packet of at most 65,507 bytes.
pub(super) const BURST: usize = 45;

const _: () = assert!(BURST == mimeo_net::MAX_DATAGRAM / DATAGRAM);

/// The number that marks a hello.
const HELLO: u64 = u64::MAX;

/// Instead of a length or a number of bytes: given up.
pub(super) const GIVEN_UP: u64 = u64::MAX;

/// What the sender says.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Message<'a> {
    /// The file has this length.
    Hello(u64),
    /// The file has these bytes at this place.
    Data(u64, &'a [u8]),
}

/// Reads what the sender said; [`None`] for what it cannot have said.
pub(super) fn decode(datagram: &[u8]) -> Option<Message<'_>> {
    let (number, rest) = datagram.split_first_chunk::<HEADER>()?;
    match u64::from_le_bytes(*number) {
        HELLO => Some(Message::Hello(report(rest)?)),
        number => {
            let place = number.checked_mul(PAYLOAD as u64)?;
            (1..=PAYLOAD)
                .contains(&rest.len())
                .then_some(Message::Data(place, rest))
        }
    }
}

/// The datagram that says how long the file is.
pub(super) fn hello(length: u64) -> [u8; 2 * HEADER] {
    let mut datagram = [0xff; 2 * HEADER];
    datagram[HEADER..].copy_from_slice(&length.to_le_bytes());
    datagram
}

/// Reads how many bytes a receiver has, or a length.
pub(super) fn report(datagram: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(datagram.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_read_as_they_are_made() {
        assert_eq!(decode(&hello(77)), Some(Message::Hello(77)));
        let mut data = [7; DATAGRAM];
        data[..HEADER].copy_from_slice(&3u64.to_le_bytes());
        let place = 3 * PAYLOAD as u64;
        assert_eq!(decode(&data), Some(Message::Data(place, &[7; PAYLOAD])));
        assert_eq!(decode(&data[..9]), Some(Message::Data(place, &[7])));
        assert_eq!(report(&9u64.to_le_bytes()), Some(9));
    }

    #[test]
    fn what_nobody_says_is_left_alone() {
        let mut far = [7; DATAGRAM];
        far[..HEADER].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
        let long = [0; DATAGRAM + 1];
        for datagram in [&[0; 7][..], &[0; 8], &[0xff; 15], &[0xff; 17], &far, &long] {
            assert_eq!(decode(datagram), None, "{datagram:?}");
        }
        assert_eq!(report(&[0; 9]), None);
    }
}
