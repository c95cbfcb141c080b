//! Cookies: a join costs the sender nothing until its address is known to be true.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use crate::ids::Nonce;
use crate::keys::{Secret, derive};
use crate::wire::COOKIE_LEN;

/// A cookie is valid in the period in which it was made and in the next one.
const PERIOD: Duration = Duration::from_secs(30);

/// Makes cookies and knows them again without keeping any.
#[derive(Debug)]
pub(super) struct Cookies {
    key: hmac::Key,
    opened: Instant,
}

impl Cookies {
    /// `seed` is the session's.
    pub(super) fn new(now: Instant, seed: &Secret) -> Self {
        let key = derive(seed.bytes(), b"", &[b"mimeo 1 cookie"]);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.bytes()),
            opened: now,
        }
    }

    /// The cookie of a join from this address.
    pub(super) fn make(&self, now: Instant, from: SocketAddr, nonce: &Nonce) -> [u8; COOKIE_LEN] {
        let tag = hmac::sign(&self.key, &Self::bound(self.period(now), from, nonce));
        tag.as_ref()
            .try_into()
            .expect("SHA-256 has as many bytes as a cookie")
    }

    /// Whether it is the cookie of a join from this address.
    pub(super) fn is_valid(
        &self,
        now: Instant,
        from: SocketAddr,
        nonce: &Nonce,
        cookie: &[u8; COOKIE_LEN],
    ) -> bool {
        let period = self.period(now);
        [Some(period), period.checked_sub(1)]
            .into_iter()
            .flatten()
            .any(|period| {
                hmac::verify(&self.key, &Self::bound(period, from, nonce), cookie).is_ok()
            })
    }

    fn period(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.opened).as_secs() / PERIOD.as_secs()
    }

    /// What a cookie is bound to.
    fn bound(period: u64, from: SocketAddr, nonce: &Nonce) -> Vec<u8> {
        let ip = match from.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        [
            period.to_be_bytes().as_slice(),
            &ip.octets(),
            &from.port().to_be_bytes(),
            &nonce.0,
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn a_cookie_is_of_one_join_from_one_address_for_a_while() {
        let start = Instant::now();
        let cookies = Cookies::new(start, &Secret::new([1; 32]));
        let (from, nonce) = (SocketAddr::from(([10, 0, 0, 1], 5)), Nonce([3; 16]));
        let cookie = cookies.make(start, from, &nonce);
        let valid = |after: u64, from, nonce, cookie| {
            cookies.is_valid(start + Duration::from_secs(after), from, nonce, cookie)
        };
        assert!(valid(0, from, &nonce, &cookie) && valid(59, from, &nonce, &cookie));
        assert!(!valid(61, from, &nonce, &cookie));
        assert!(!valid(
            0,
            SocketAddr::from(([10, 0, 0, 1], 6)),
            &nonce,
            &cookie
        ));
        assert!(!valid(
            0,
            SocketAddr::from(([10, 0, 0, 2], 5)),
            &nonce,
            &cookie
        ));
        assert!(!valid(0, from, &Nonce([4; 16]), &cookie));
        assert!(!valid(0, from, &nonce, &[0; COOKIE_LEN]));
        let other = Cookies::new(start, &Secret::new([2; 32]));
        assert!(!other.is_valid(start, from, &nonce, &cookie));
    }
}
