//! The question to one sender.

use super::senders::Senders;
use super::types::{RendezvousConfig, Searching};
use crate::ids::Nonce;
use crate::keys::{Exchange, JoinKeys, KEY_LEN, Secret};
use crate::wire::{Auth, COOKIE_LEN, Join, Welcome, WelcomeBody};

/// A join is repeated this many times before the search starts again.
const JOIN_TRIES: u32 = 15;
/// Where others are heard, who does not even send a cookie is not asked longer than this.
const TRIES_WITHOUT_COOKIE: u32 = 8;

/// The question to one sender.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) to: Searching,
    pub(super) tries: u32,
    pub(super) nonce: Nonce,
    pub(super) cookie: [u8; COOKIE_LEN],
    /// What the receiver's side of the exchange is made of, and its message.
    pub(super) exchange: Option<(Exchange, Secret, Vec<u8>)>,
}

impl Attempt {
    pub(super) fn join(&self, config: &RendezvousConfig) -> Join {
        Join {
            session_id: self.to.announce.session_id,
            nonce: self.nonce,
            auth: config.auth,
            mac: config.mac,
            target_id: config.target_id,
            link_speed: config.link_speed,
            capacity: config.capacity.unwrap_or(u64::MAX),
            resumes: config.resumes,
            piped: config.piped,
            cookie: self.cookie,
            host_name: config.host_name.clone(),
            exchange: match &self.exchange {
                Some((_, _, message)) => message.clone(),
                None => Vec::new(),
            },
        }
    }

    /// Whether it was asked often enough.
    pub(super) fn is_in_vain(&self, senders: &Senders) -> bool {
        let answers = self.cookie != [0; COOKIE_LEN];
        let enough = match !answers && senders.has_others(&self.to) {
            true => TRIES_WITHOUT_COOKIE,
            false => JOIN_TRIES,
        };
        self.tries >= enough
    }

    /// The keys and the content of a welcome, if its sender holds what this receiver holds.
    pub(super) fn open(&self, welcome: &Welcome) -> Option<(JoinKeys, WelcomeBody)> {
        let secret = match &self.exchange {
            Some((exchange, seed, _)) => exchange.finish(seed.bytes(), &welcome.exchange).ok()?,
            None if self.to.announce.auth == Auth::Open => {
                Secret::new(<[u8; KEY_LEN]>::try_from(&*welcome.secret).ok()?)
            }
            None => return None,
        };
        let keys = welcome.keys(&secret);
        let body = welcome.open(&keys)?;
        Some((keys, body))
    }
}
