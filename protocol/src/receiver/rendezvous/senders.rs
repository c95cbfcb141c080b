//! Senders that were heard, and which of them to ask.
//!
//! Anyone can announce sessions that there are not, from any address, the true sender's too. What he
//! cannot do is to keep the true sender quiet. So setbacks are held against addresses as well as
//! sessions, and of those with as few setbacks the one that was heard most often is asked: whoever
//! makes up a new session for every announce is heard once with each. Who sends `n` announces a second
//! and lets some thousand attempts fail delays a receiver by about `n / 2` seconds.

use std::net::IpAddr;

use super::types::Searching;
use crate::ids::SessionId;

/// No more senders are kept in mind.
const MOST: usize = 256;

/// A sender, as it is heard.
#[derive(Debug)]
struct Known {
    sender: Searching,
    /// How often it was heard in all searches.
    heard: u32,
    /// How often it was asked in vain.
    setbacks: u32,
    /// When it was heard last, by the number of all that was heard.
    last: u64,
    /// The search in which it was heard last.
    search: u64,
}

/// Senders that were heard, and what came of asking them.
#[derive(Debug, Default)]
pub(super) struct Senders {
    known: Vec<Known>,
    /// How often anybody was asked in vain at an address.
    addresses: Vec<(IpAddr, u32)>,
    heard: u64,
    search: u64,
}

impl Senders {
    /// Notes a sender. Where too many are known it takes the place of one that was heard least, and of
    /// these longest ago.
    pub(super) fn on_heard(&mut self, sender: Searching) {
        self.heard += 1;
        let (last, search) = (self.heard, self.search);
        if let Some(known) = self.find(&sender) {
            known.heard += 1;
            (known.last, known.search) = (last, search);
            return;
        }
        if self.known.len() >= MOST {
            let least = (0..self.known.len())
                .min_by_key(|&at| (self.known[at].heard, self.known[at].last))
                .expect("there are some");
            self.known.swap_remove(least);
        }
        self.known.push(Known {
            sender,
            heard: 1,
            setbacks: 0,
            last,
            search,
        });
    }

    /// Asking it came to nothing.
    pub(super) fn on_setback(&mut self, sender: &Searching) {
        if let Some(known) = self.find(sender) {
            known.setbacks += 1;
        }
        let ip = sender.from.ip();
        if let Some(known) = self.addresses.iter_mut().find(|known| known.0 == ip) {
            known.1 += 1;
        } else if self.addresses.len() < MOST {
            self.addresses.push((ip, 1));
        }
    }

    /// Begins to listen anew.
    pub(super) fn forget_heard(&mut self) {
        self.search += 1;
    }

    /// Names of the sessions that were heard, each once.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for sender in self.heard_now() {
            if !names.contains(&sender.announce.session_name) {
                names.push(sender.announce.session_name.clone());
            }
        }
        names
    }

    /// How many sessions were heard.
    pub(super) fn sessions(&self) -> usize {
        let mut ids: Vec<SessionId> = Vec::new();
        for sender in self.heard_now() {
            if !ids.contains(&sender.announce.session_id) {
                ids.push(sender.announce.session_id);
            }
        }
        ids.len()
    }

    /// Whether any sender was asked in vain.
    pub(super) fn has_setbacks(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// The one to ask of those that were heard in this search.
    pub(super) fn choose(&self) -> Option<Searching> {
        let heard = self.known.iter().filter(|it| it.search == self.search);
        // The newest where all else is equal, as a sender that was started again has the same name
        // and a new session.
        let best = heard.min_by_key(|known| {
            let heard = (u32::MAX - known.heard, u64::MAX - known.last);
            (
                self.setbacks_at(known.sender.from.ip()),
                known.setbacks,
                heard,
            )
        });
        best.map(|known| known.sender.clone())
    }

    /// Whether others than this one were heard in this search.
    pub(super) fn has_others(&self, than: &Searching) -> bool {
        self.heard_now().any(|sender| !is_same(sender, than))
    }

    fn heard_now(&self) -> impl Iterator<Item = &Searching> {
        let heard = self.known.iter().filter(|it| it.search == self.search);
        heard.map(|known| &known.sender)
    }

    fn find(&mut self, sender: &Searching) -> Option<&mut Known> {
        let mut known = self.known.iter_mut();
        known.find(|known| is_same(&known.sender, sender))
    }

    fn setbacks_at(&self, ip: IpAddr) -> u32 {
        let known = self.addresses.iter().find(|known| known.0 == ip);
        known.map_or(0, |known| known.1)
    }
}

fn is_same(one: &Searching, other: &Searching) -> bool {
    (one.announce.session_id, one.from) == (other.announce.session_id, other.from)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::wire::{Announce, Auth};

    fn sender(id: u8, port: u16) -> Searching {
        at([10, 0, 0, id], id.into(), port)
    }

    fn at(ip: [u8; 4], id: u128, port: u16) -> Searching {
        Searching {
            from: SocketAddr::from((ip, port)),
            announce: Announce {
                session_id: SessionId(id.to_be_bytes()),
                auth: Auth::Code,
                joinable: true,
                session_name: format!("session {id}"),
            },
        }
    }

    #[test]
    fn who_was_asked_in_vain_is_asked_after_the_others() {
        let mut senders = Senders::default();
        assert_eq!(senders.choose(), None);
        for sender in [sender(1, 1), sender(2, 1)] {
            senders.on_heard(sender);
        }
        assert_eq!(senders.names(), ["session 1", "session 2"]);
        assert_eq!(senders.choose(), Some(sender(2, 1)), "the newest");
        senders.on_setback(&sender(2, 1));
        assert_eq!(senders.choose(), Some(sender(1, 1)));
        senders.on_setback(&sender(1, 1));
        assert_eq!(senders.choose(), Some(sender(2, 1)), "both failed once");
        // Somebody who says to be the session of another.
        senders.on_heard(sender(1, 2));
        assert_eq!(
            (senders.choose(), senders.sessions()),
            (Some(sender(1, 2)), 2)
        );
        senders.forget_heard();
        assert_eq!(senders.choose(), None);
        assert!(senders.has_setbacks(), "that is remembered");
    }

    #[test]
    fn made_up_sessions_of_an_address_count_as_one_sender() {
        let mut senders = Senders::default();
        let fresh = |id| at([10, 0, 0, 66], id, 1);
        for id in 100..140 {
            senders.on_heard(fresh(id));
        }
        senders.on_heard(sender(1, 1));
        for id in 140..180 {
            senders.on_heard(fresh(id));
        }
        assert_eq!(senders.choose(), Some(fresh(179)));
        senders.on_setback(&fresh(179));
        assert_eq!(senders.choose(), Some(sender(1, 1)));
    }

    #[test]
    fn of_an_address_the_session_is_asked_that_is_heard_again_and_again() {
        let mut senders = Senders::default();
        let mut id = 100;
        for _ in 0..2 {
            senders.forget_heard();
            senders.on_heard(sender(1, 1));
            for _ in 0..1000 {
                id += 1;
                senders.on_heard(at([10, 0, 0, 1], id, 1));
            }
            senders.on_heard(sender(1, 1));
        }
        assert_eq!(senders.choose(), Some(sender(1, 1)));
        assert!(senders.has_others(&sender(1, 1)));
    }

    #[test]
    fn a_flood_of_senders_is_not_kept() {
        let mut senders = Senders::default();
        for number in 0..1000_u16 {
            let [high, low] = number.to_be_bytes();
            let one = at([10, 0, high, low], number.into(), 1);
            senders.on_heard(one.clone());
            senders.on_setback(&one);
        }
        assert_eq!((senders.known.len(), senders.addresses.len()), (MOST, MOST));
    }
}
