//! What the machines are made with: one function for each configuration, so that a new field of one
//! is added in one place.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mimeo_protocol::ids::{Mac, Nonce, ReceiverNumber, SessionId};
use mimeo_protocol::keys::{JoinKeys, Secret, Signer, SigningKey, Verifier, VerifyingKey};
use mimeo_protocol::receiver::{Admitted, RendezvousConfig, Resume, Unused};
use mimeo_protocol::sender::{EndpointConfig, Parity, SlowPolicy, SlowRules, StartPolicy};
use mimeo_protocol::wire::{
    Auth, LastPartition, MAX_DATAGRAM, TargetNeeds, Welcome, WelcomeBody, data_group,
};
use mimeo_protocol::{pacing, receiver, sender};

/// A buffer for a datagram, which does not grow while one is written.
#[must_use]
pub fn buffer() -> Vec<u8> {
    Vec::with_capacity(MAX_DATAGRAM)
}

/// The name of all sessions that a receiver looks for.
pub const NAME: &str = "room";

/// When everything begins. Only differences count, so that the same bytes do the same.
#[must_use]
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    // An hour on, so that nothing can lie before the clock's own beginning.
    *EPOCH.get_or_init(|| Instant::now() + Duration::from_secs(3600))
}

/// What every session is sealed under, but for those of strangers.
#[must_use]
pub fn secret() -> Secret {
    Secret::new([7; 32])
}

/// The sender's key. Making one takes as long as signing, so that it is made once.
#[must_use]
pub fn signing_key() -> SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::from_seed(&[2; 32])).clone()
}

/// What the sender of a session signs with.
#[must_use]
pub fn signer(session: SessionId) -> Signer {
    Signer {
        key: signing_key(),
        session,
    }
}

/// What somebody signs with who is not the sender.
#[must_use]
pub fn other_signer(session: SessionId) -> Signer {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    let key = KEY.get_or_init(|| SigningKey::from_seed(&[9; 32])).clone();
    Signer { key, session }
}

/// What receivers of a session verify with.
#[must_use]
pub fn verifier(session: SessionId) -> Verifier {
    Verifier {
        key: sender_key(),
        session,
    }
}

/// The key that receivers verify with.
#[must_use]
pub fn sender_key() -> VerifyingKey {
    static KEY: OnceLock<VerifyingKey> = OnceLock::new();
    *KEY.get_or_init(|| signing_key().verifying_key())
}

/// The key of another sender.
#[must_use]
pub fn other_sender_key() -> VerifyingKey {
    static KEY: OnceLock<VerifyingKey> = OnceLock::new();
    *KEY.get_or_init(|| SigningKey::from_seed(&[9; 32]).verifying_key())
}

/// Sessions that there are.
pub const SESSIONS: usize = 4;

/// One of several sessions.
#[must_use]
pub fn session_id(which: u8) -> SessionId {
    SessionId([1 + which % SESSIONS as u8; 16])
}

/// Which of them a session is.
#[must_use]
pub fn which_session(session: SessionId) -> usize {
    usize::from(session.0[0] - 1) % SESSIONS
}

/// One of several hosts.
#[must_use]
pub fn address(which: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + which % 8], 50_000))
}

/// How admission works, by any number.
#[must_use]
pub fn auth(which: u8) -> Auth {
    match which % 4 {
        0 | 1 => Auth::KeyFile,
        2 => Auth::Open,
        _ => Auth::Code,
    }
}

/// What names and protects the sender's session. An exchange takes longer than everything else that
/// a join does: it has a target of its own, and elsewhere sessions are open.
#[must_use]
pub fn endpoint_config(auth: Auth) -> EndpointConfig {
    let session_id = session_id(0);
    EndpointConfig {
        session_id,
        session_name: NAME.to_owned(),
        auth,
        secret: secret(),
        seed: Secret::new([3; 32]),
        signing_key: signing_key(),
        group: data_group(session_id, false),
        needs: None,
    }
}

/// What the operator chose and what the source is, by the bits of a number. The sender's images
/// have as many bytes as `image_len`.
#[must_use]
pub fn sender_config(bits: u16, image_len: u64) -> sender::SessionConfig {
    let bit = |n: u16| bits >> n & 1 == 1;
    let seekable = !bit(0);
    let policies = [SlowPolicy::Demote, SlowPolicy::Wait, SlowPolicy::Drop];
    sender::SessionConfig {
        image_len: (seekable || bit(1)).then_some(image_len),
        seekable,
        start: StartPolicy {
            min_receivers: 1 + usize::from(bit(2)),
            min_wait: Duration::from_millis(if bit(3) { 500 } else { 0 }),
            max_wait: bit(4).then_some(Duration::from_secs(2)),
            start_at: bit(5).then(|| epoch() + Duration::from_secs(1)),
            start_timeout: Duration::from_secs(20),
        },
        rate_cap: bit(6).then_some(pacing::Rate(1_000_000_000)),
        parity: match bits >> 7 & 3 {
            0 | 1 => Parity::Auto,
            2 => Parity::Fixed(1),
            // Sealing so many symbols takes longer than all the rest.
            _ if bit(12) => Parity::Fixed(255),
            _ => Parity::Fixed(9),
        },
        slow: SlowRules {
            policy: policies[usize::from(bits >> 9 & 3) % 3],
            ..SlowRules::default()
        },
        linger: Duration::from_secs(if bit(11) { 3 } else { 0 }),
        lost_timeout: Duration::from_secs(if bit(10) { 5 } else { 0 }),
    }
}

/// What a receiver looks for and says about itself, by the bits of a number. `Auth::Open` mostly, as
/// for a sender.
#[must_use]
pub fn rendezvous_config(bits: u8) -> RendezvousConfig {
    let bit = |n: u8| bits >> n & 1 == 1;
    let auth = match bits >> 6 {
        0..3 => Auth::Open,
        _ if bit(0) => Auth::KeyFile,
        _ => Auth::Code,
    };
    RendezvousConfig {
        session_name: bit(1).then(|| NAME.to_owned()),
        auth,
        secret: (auth != Auth::Open).then(secret),
        sender_key: bit(5).then(sender_key),
        seed: Secret::new([5; 32]),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        target_id: 1,
        link_speed: 1000,
        capacity: bit(2).then_some(1 << 40),
        resumes: bit(2),
        piped: !bit(2) && bit(5),
        host_name: "pc".to_owned(),
        sender: bit(3).then(|| address(0)),
        instead_of: bit(4).then(|| session_id(0)),
    }
}

/// What a receiver's machine offers, by the bits of a number.
#[must_use]
pub fn receiver_config(bits: u16, image_len: Option<u64>) -> receiver::SessionConfig {
    let bit = |n: u16| bits >> n & 1 == 1;
    receiver::SessionConfig {
        buffers: [4, 1, 33, 2][usize::from(bits & 3)],
        window: [64, 1, 2048, 0][usize::from(bits >> 2 & 3)],
        in_order: bit(4),
        // The end of a shorter target lies within the second block.
        target_len: bit(5).then_some(300_000),
        resume: [Resume::Off, Resume::IfPart, Resume::Always][usize::from(bits >> 5 & 3) % 3],
        idle_timeout: Duration::from_secs(if bit(7) { 5 } else { 60 }),
        seed: u64::from(bits >> 10),
        image_len,
        verify: bit(8),
        unused: [Unused::Keep, Unused::Discard, Unused::Zero][usize::from(bits >> 9) % 3],
    }
}

/// What a sender's welcome says.
#[must_use]
pub fn welcome_body(session: SessionId, image_len: Option<u64>) -> WelcomeBody {
    WelcomeBody {
        group: data_group(session, false),
        group_key: group_key(session),
        sender_key: sender_key(),
        image_len,
        cycle: mimeo_protocol::ids::Cycle(1),
        slot: mimeo_protocol::ids::Slot(0),
        begun: mimeo_protocol::units::BlockNumber(0),
        receivers: 1,
        needs: image_len.map(|len| TargetNeeds {
            least: len / 2,
            sector: Some(512),
            last: Some(LastPartition { number: 1, end: 1 }),
        }),
    }
}

/// The key that all of a session's members share.
#[must_use]
pub fn group_key(session: SessionId) -> Secret {
    Secret::new([session.0[0] ^ 0x55; 32])
}

/// The keys between a session's sender and a receiver.
#[must_use]
pub fn join_keys(secret: &Secret, session: SessionId, nonce: Nonce, number: u16) -> JoinKeys {
    let number = ReceiverNumber(number);
    JoinKeys::derive(secret, session, nonce, sender_nonce(), number)
}

fn sender_nonce() -> Nonce {
    Nonce([6; 16])
}

/// A welcome as a sender makes it. Without an answer to an exchange it carries the secret, as in an
/// open session.
#[must_use]
pub fn welcome(
    secret: &Secret,
    session: SessionId,
    nonce: Nonce,
    number: u16,
    exchange: Option<Vec<u8>>,
    body: &WelcomeBody,
) -> Vec<u8> {
    let keys = join_keys(secret, session, nonce, number);
    let mut welcome = Welcome {
        session_id: session,
        receiver_nonce: nonce,
        sender_nonce: sender_nonce(),
        number: ReceiverNumber(number),
        secret: if exchange.is_none() {
            secret.bytes().to_vec()
        } else {
            Vec::new()
        },
        exchange: exchange.unwrap_or_default(),
        sealed: Vec::new(),
    };
    welcome.seal(&keys, body);
    let mut out = Vec::new();
    welcome.encode(&mut out);
    out
}

/// What a receiver has once it is a member of a session, under the number 1.
#[must_use]
pub fn admitted(session: SessionId, body: WelcomeBody) -> Admitted {
    Admitted {
        session_id: session,
        session_name: NAME.to_owned(),
        sender: address(0),
        number: ReceiverNumber(1),
        keys: join_keys(&secret(), session, Nonce([5; 16]), 1),
        body,
    }
}
