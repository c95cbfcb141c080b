//! `Welcome`: the session's parameters and keys for one receiver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use zeroize::Zeroizing;

use super::{Kind, Reader, TargetNeeds, WireError, Write, clear_body, clear_header};
use crate::ids::{Cycle, Nonce, ReceiverNumber, SessionId, Slot};
use crate::keys::{JoinKeys, Secret, VerifyingKey};
use crate::units::BlockNumber;

/// The clear part of a welcome; `sealed` is a [`WelcomeBody`] under the join's welcome key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The session.
    pub session_id: SessionId,
    /// The join that is answered.
    pub receiver_nonce: Nonce,
    /// The sender's share of the keys.
    pub sender_nonce: Nonce,
    /// The receiver's number.
    pub number: ReceiverNumber,
    /// With `--open` the secret itself, else empty.
    pub secret: Vec<u8>,
    /// Second message of the join code's exchange; empty without a code.
    pub exchange: Vec<u8>,
    /// The sealed body with its tag.
    pub sealed: Vec<u8>,
}

impl Welcome {
    /// The part that the tag of the body covers.
    fn encode_header(&self, out: &mut Vec<u8>) {
        clear_header(Kind::Welcome, out);
        out.extend_from_slice(&self.session_id.0);
        out.extend_from_slice(&self.receiver_nonce.0);
        out.extend_from_slice(&self.sender_nonce.0);
        out.put_u16(self.number.0);
        out.put_blob(&self.secret);
        out.put_blob(&self.exchange);
    }

    /// Appends the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_header(out);
        out.extend_from_slice(&self.sealed);
    }

    /// Reads a whole datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, WireError> {
        let mut reader = clear_body(datagram, Kind::Welcome)?;
        Ok(Self {
            session_id: SessionId(reader.array("session id")?),
            receiver_nonce: Nonce(reader.array("receiver nonce")?),
            sender_nonce: Nonce(reader.array("sender nonce")?),
            number: ReceiverNumber(reader.u16("number")?),
            secret: reader.blob("secret")?.to_vec(),
            exchange: reader.blob("exchange")?.to_vec(),
            sealed: reader.rest().to_vec(),
        })
    }

    /// The keys of this join; the secret is what the exchange came to, or that of an open session.
    #[must_use]
    pub fn keys(&self, secret: &Secret) -> JoinKeys {
        JoinKeys::derive(
            secret,
            self.session_id,
            self.receiver_nonce,
            self.sender_nonce,
            self.number,
        )
    }

    /// Puts the body in, sealed together with all that stands before it: once for each join, as the
    /// welcome key has one nonce.
    pub fn seal(&mut self, keys: &JoinKeys, body: &WelcomeBody) {
        // Long enough that no part of the group's key is left behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(256));
        body.encode(&mut plain);
        let mut datagram = Vec::new();
        self.encode_header(&mut datagram);
        let header = datagram.len();
        keys.welcome.seal_behind(0, 0, &plain, &mut datagram);
        self.sealed = datagram.split_off(header);
    }

    /// The body; `None` where it was not sealed under these keys and with this header, or is none.
    #[must_use]
    pub fn open(&self, keys: &JoinKeys) -> Option<WelcomeBody> {
        let mut header = Vec::new();
        self.encode_header(&mut header);
        let plain = keys.welcome.open_vec(0, &header, &self.sealed).ok()?;
        let plain = Zeroizing::new(plain);
        WelcomeBody::decode(&plain).ok()
    }
}

/// The sealed part of a welcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WelcomeBody {
    /// Where the data flows.
    pub group: SocketAddr,
    /// Key of the group's datagrams.
    pub group_key: Secret,
    /// What pages and the end record are verified with.
    pub sender_key: VerifyingKey,
    /// Bytes, `None` for a stream of unknown length.
    pub image_len: Option<u64>,
    /// The cycle under way.
    pub cycle: Cycle,
    /// Blocks begun so far over all cycles: the credit starts here.
    pub slot: Slot,
    /// Blocks below this one were begun before the join and come in a later cycle.
    pub begun: BlockNumber,
    /// Receivers in the room: spreads the feedback.
    pub receivers: u16,
    /// What the image needs of a target, where more than its length is known.
    pub needs: Option<TargetNeeds>,
}

/// Stands for an unknown image length.
const UNKNOWN: u64 = u64::MAX;

impl WelcomeBody {
    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (family, address) = match self.group.ip() {
            IpAddr::V4(ip) => (4, ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => (6, ip.octets()),
        };
        out.push(family);
        out.extend_from_slice(&address);
        out.put_u16(self.group.port());
        out.extend_from_slice(self.group_key.bytes());
        out.extend_from_slice(&self.sender_key.to_bytes());
        out.put_u64(self.image_len.unwrap_or(UNKNOWN));
        out.put_u32(self.cycle.0);
        out.put_u32(self.slot.0);
        out.put_u32(self.begun.0);
        out.put_u16(self.receivers);
        TargetNeeds::encode(self.needs.as_ref(), out);
    }

    /// Reads a whole body.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let family = reader.u8("family")?;
        let address = Ipv6Addr::from(reader.array::<16>("group address")?);
        let ip = match (family, address.to_ipv4_mapped()) {
            (4, Some(v4)) => IpAddr::V4(Ipv4Addr::from(v4.octets())),
            (6, None) => IpAddr::V6(address),
            _ => {
                return Err(WireError::Value {
                    field: "group address",
                });
            }
        };
        if !ip.is_multicast() {
            return Err(WireError::Value {
                field: "group address",
            });
        }
        let mut body = Self {
            group: SocketAddr::new(ip, reader.u16("group port")?),
            group_key: Secret::new(reader.array("group key")?),
            sender_key: VerifyingKey::from_bytes(&reader.array("sender key")?).map_err(|_| {
                WireError::Value {
                    field: "sender key",
                }
            })?,
            image_len: Some(reader.u64("image length")?).filter(|&len| len != UNKNOWN),
            cycle: Cycle(reader.u32("cycle")?),
            slot: Slot(reader.u32("slot")?),
            begun: BlockNumber(reader.u32("begun")?),
            receivers: reader.u16("receivers")?,
            needs: None,
        };
        body.needs = TargetNeeds::decode(&mut reader, body.image_len)?;
        reader.finish()?;
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    fn body() -> WelcomeBody {
        WelcomeBody {
            group: "239.255.1.2:50000".parse().unwrap(),
            group_key: Secret::new([251; 32]),
            sender_key: SigningKey::from_seed(&[4; 32]).verifying_key(),
            image_len: None,
            cycle: Cycle(1),
            slot: Slot(6),
            begun: BlockNumber(6),
            receivers: 12,
            needs: None,
        }
    }

    #[test]
    fn the_groups_key_is_not_shown() {
        let shown = format!("{:?}", body());
        assert!(
            !shown.contains("251, 251") && !shown.contains("fbfb"),
            "{shown}"
        );
    }

    #[test]
    fn a_welcome_opens_under_its_secret_and_as_it_was_sealed() {
        let body = body();
        let secret = Secret::new([5; 32]);
        let mut welcome = Welcome {
            session_id: SessionId([1; 16]),
            receiver_nonce: Nonce([2; 16]),
            sender_nonce: Nonce([3; 16]),
            number: ReceiverNumber(4),
            secret: vec![],
            exchange: vec![7; 33],
            sealed: vec![],
        };
        let keys = welcome.keys(&secret);
        welcome.seal(&keys, &body);
        let open = |welcome: &Welcome, secret: &Secret| welcome.open(&welcome.keys(secret));
        assert_eq!(open(&welcome, &secret), Some(body));
        assert_eq!(open(&welcome, &Secret::new([6; 32])), None);
        let mut bytes = Vec::new();
        welcome.encode(&mut bytes);
        // Whatever of it is changed behind version, kind and magic, of the clear part too.
        for at in 8..bytes.len() {
            bytes[at] ^= 1;
            let changed = Welcome::decode(&bytes);
            assert!(
                changed.is_err() || open(&changed.unwrap(), &secret).is_none(),
                "{at}"
            );
            bytes[at] ^= 1;
        }
    }
}
