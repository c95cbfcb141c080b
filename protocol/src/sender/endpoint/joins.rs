//! The clear messages: who asks, who may come in, and how much of an answer that is worth.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Endpoint;
use super::admission::NotAdmitted;
use super::guesses::Refusal;
use crate::ids::Nonce;
use crate::keys::Secret;
use crate::sender::session::Event;
use crate::wire::{
    Announce, Auth, Cookie, Join, Probe, Reject, RejectReason, VERSION, WelcomeBody,
};

/// Answers to strangers are this far apart on average, 500 a second: a room of a thousand machines
/// that are switched on together, and little for somebody who forges addresses.
const ANSWER_EVERY: Duration = Duration::from_millis(2);
const ANSWERS_AT_ONCE: u32 = 500;

/// Addresses that are kept of those who look for a session: enough to name some.
const MOST_SEEKERS: usize = 64;

/// What may still be answered; a kind of question of its own for each of them, so that a flood of
/// the one leaves the other alone.
#[derive(Debug)]
pub(super) struct Allowance {
    /// When all that was answered would have been, [`ANSWER_EVERY`] apart. A burst runs ahead of it.
    due: Instant,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// Takes one answer out of it.
    fn take(&mut self, now: Instant) -> bool {
        let due = self.due.max(now) + ANSWER_EVERY;
        let fits = due <= now + ANSWERS_AT_ONCE * ANSWER_EVERY;
        if fits {
            self.due = due;
        }
        fits
    }
}

impl Endpoint {
    pub(super) fn handle_probe(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        match Probe::decode(datagram) {
            Ok(probe)
                if ["", self.config.session_name.as_str()].contains(&&*probe.session_name) =>
            {
                if self.seekers.len() < MOST_SEEKERS && !self.seekers.contains(&from.ip()) {
                    self.seekers.push(from.ip());
                }
                if self.announces.take(now) {
                    let mut out = Vec::new();
                    self.announce().encode(&mut out);
                    self.clear.push_back((from, out));
                }
            }
            Ok(_) => {}
            Err(_) => self.strays.malformed += 1,
        }
    }

    pub(super) fn announce(&self) -> Announce {
        Announce {
            session_id: self.config.session_id,
            auth: self.config.auth,
            joinable: self.session.admits().is_ok(),
            session_name: self.config.session_name.clone(),
        }
    }

    /// Says no to a join of any version.
    pub(super) fn reject(
        &mut self,
        now: Instant,
        from: SocketAddr,
        join: &[u8],
        reason: RejectReason,
    ) {
        // Version, kind, magic and session id stand before the nonce in every version.
        let Some(nonce) = join.get(24..40).and_then(|bytes| bytes.try_into().ok()) else {
            self.strays.malformed += 1;
            return;
        };
        if !self.answers.take(now) {
            return;
        }
        let mut out = Vec::new();
        Reject {
            version: VERSION,
            nonce: Nonce(nonce),
            reason,
        }
        .encode(&mut out);
        self.clear.push_back((from, out));
    }

    pub(super) fn handle_join(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Ok(join) = Join::decode(datagram) else {
            self.strays.malformed += 1;
            return;
        };
        if join.session_id != self.config.session_id {
            return;
        }
        if !self.cookies.is_valid(now, from, &join.nonce, &join.cookie) {
            return self.send_cookie(now, from, join.nonce);
        }
        if let Some(welcome) = self.admission.welcome_again(&join.nonce) {
            self.clear.push_back((from, welcome));
            return;
        }
        let refused = (join.auth != self.config.auth).then_some(RejectReason::Auth);
        if let Some(reason) = refused.or(self.session.admits().err()) {
            return self.reject(now, from, datagram, reason);
        }
        match self.guesses.may_try(from.ip()) {
            Ok(()) => self.admit(now, from, &join, datagram),
            Err(Refusal::Exhausted) => self.reject(now, from, datagram, RejectReason::Guesses),
            // It asks again.
            Err(Refusal::Later) => {}
        }
    }

    fn send_cookie(&mut self, now: Instant, from: SocketAddr, nonce: Nonce) {
        if self.answers.take(now) {
            let cookie = self.cookies.make(now, from, &nonce);
            let mut out = Vec::new();
            Cookie { nonce, cookie }.encode(&mut out);
            self.clear.push_back((from, out));
        }
    }

    fn admit(&mut self, now: Instant, from: SocketAddr, join: &Join, datagram: &[u8]) {
        let position = self.session.position();
        let body = WelcomeBody {
            group: self.config.group,
            group_key: self.group_secret.clone(),
            sender_key: self.config.signing_key.verifying_key(),
            image_len: self.session.image_len(),
            cycle: position.cycle,
            slot: position.slot,
            begun: self.session.begun(),
            receivers: position.receivers,
            needs: self.config.needs,
        };
        match self.admission.admit(&self.config, from, join, &body) {
            Ok((number, about, welcome)) => {
                self.guesses.on_welcomed(number, from.ip());
                self.session.handle_admitted(now, number, about);
                self.clear.push_back((from, welcome));
            }
            Err(NotAdmitted::Full) => self.reject(now, from, datagram, RejectReason::Full),
            Err(NotAdmitted::Exchange(_)) => self.strays.malformed += 1,
        }
    }

    /// Forgets the keys of those whom the roster has forgotten. Each entry has its keys, so fewer
    /// entries mean that some were.
    pub(super) fn forget_members(&mut self) {
        let roster = self.session.roster();
        if self.admission.len() <= roster.entries() {
            return;
        }
        let was_exhausted = self.guesses.is_exhausted();
        let guesses = &mut self.guesses;
        self.admission.retain(|number| {
            let stays = roster.member(number).is_some();
            if !stays {
                guesses.on_forgotten(number);
            }
            stays
        });
        if self.guesses.is_exhausted() && !was_exhausted {
            self.events.push_back(Event::GuessesExhausted);
        }
    }

    /// From now on receivers join with another secret; those that are in stay. What was tried
    /// before is forgotten.
    ///
    /// # Panics
    ///
    /// In an open session, which has none to exchange.
    pub fn renew_secret(&mut self, secret: Secret) {
        assert_ne!(self.config.auth, Auth::Open, "an open session has no code");
        self.config.secret = secret;
        self.guesses.start_over();
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
    fn what_is_answered_is_bounded() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let mut taken = |after: u64| {
            let now = start + Duration::from_millis(after);
            (0..10_000).filter(|_| allowance.take(now)).count()
        };
        assert_eq!(taken(0), 500);
        assert_eq!(taken(0), 0);
        assert_eq!(taken(100), 50);
        assert_eq!(taken(101), 0);
        assert_eq!(taken(102), 1);
        assert_eq!(taken(60_000), 500);
    }
}
