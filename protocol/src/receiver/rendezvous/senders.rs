//! Senders that were heard, and which of them to ask.

use std::net::SocketAddr;

use super::types::Searching;
use crate::ids::SessionId;

/// No more senders are kept in mind.
const MOST: usize = 64;

/// Senders that were heard in this search, and what came of asking them before.
#[derive(Debug, Default)]
pub(super) struct Senders {
    heard: Vec<Searching>,
    /// Sender and how often it was asked in vain.
    setbacks: Vec<(SessionId, SocketAddr, u32)>,
}

impl Senders {
    /// Notes a sender; the newest is the last.
    pub(super) fn on_heard(&mut self, sender: Searching) {
        let is_known = self.heard.iter().any(|heard| {
            let same = heard.announce.session_id == sender.announce.session_id;
            same && heard.from == sender.from
        });
        if !is_known && self.heard.len() < MOST {
            self.heard.push(sender);
        }
    }

    /// Asking it came to nothing.
    pub(super) fn on_setback(&mut self, sender: &Searching) {
        let (id, from) = (sender.announce.session_id, sender.from);
        for known in &mut self.setbacks {
            if (known.0, known.1) == (id, from) {
                known.2 += 1;
                return;
            }
        }
        if self.setbacks.len() < MOST {
            self.setbacks.push((id, from, 1));
        }
    }

    /// Begins to listen anew.
    pub(super) fn forget_heard(&mut self) {
        self.heard.clear();
    }

    /// Names of the sessions that were heard, each once.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for heard in &self.heard {
            if !names.contains(&heard.announce.session_name) {
                names.push(heard.announce.session_name.clone());
            }
        }
        names
    }

    /// How many sessions were heard.
    pub(super) fn sessions(&self) -> usize {
        let mut ids: Vec<SessionId> = Vec::new();
        for heard in &self.heard {
            if !ids.contains(&heard.announce.session_id) {
                ids.push(heard.announce.session_id);
            }
        }
        ids.len()
    }

    /// How often a sender was asked in vain.
    pub(super) fn setbacks(&self, sender: &Searching) -> u32 {
        let (id, from) = (sender.announce.session_id, sender.from);
        let known = self
            .setbacks
            .iter()
            .find(|known| (known.0, known.1) == (id, from));
        known.map_or(0, |known| known.2)
    }

    /// The one to ask: of those that were asked in vain the fewest times the newest, as a sender
    /// that was started again has the same name and a new session.
    pub(super) fn choose(&self) -> Option<Searching> {
        let mut chosen: Option<&Searching> = None;
        for heard in &self.heard {
            if chosen.is_none_or(|best| self.setbacks(heard) <= self.setbacks(best)) {
                chosen = Some(heard);
            }
        }
        chosen.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Announce, Auth};

    fn sender(id: u8, port: u16) -> Searching {
        Searching {
            from: SocketAddr::from(([10, 0, 0, id], port)),
            announce: Announce {
                session_id: SessionId([id; 16]),
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
        for sender in [sender(1, 1), sender(2, 1), sender(1, 1)] {
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
        assert_eq!(senders.setbacks(&sender(2, 1)), 1, "that is remembered");
    }

    #[test]
    fn a_flood_of_senders_is_not_kept() {
        let mut senders = Senders::default();
        for port in 0..1000 {
            senders.on_heard(sender(1, port));
            senders.on_setback(&sender(1, port));
        }
        assert_eq!((senders.heard.len(), senders.setbacks.len()), (MOST, MOST));
    }
}
