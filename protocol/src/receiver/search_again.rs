//! How a member of a silent session looks for its sender, which may have been started again.

use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::rendezvous::{Admitted, JoinTarget, Rendezvous, RendezvousConfig, RendezvousEvent};
use super::session::Session;
use crate::ids::SessionId;
use crate::keys::{Secret, derive};

/// Silence after which a sender is looked for: four times as long as any sender is silent.
const SEARCH_AFTER: Duration = Duration::from_secs(2);

/// After a search that led nowhere, the next one waits.
const PAUSE: Duration = Duration::from_secs(2);

/// What is to be told or done.
#[derive(Debug)]
pub enum SearchAgainEvent {
    /// Nothing of the session was heard for 2 s: the search begins.
    Silent,
    /// The session is heard again: the search is over.
    Back,
    /// On the way; each kind once in a search. None of them ends it.
    Told(RendezvousEvent),
    /// Another session has admitted the receiver. Nothing is searched for until
    /// [`SearchAgain::on_taken_up`].
    Joined(Box<Admitted>),
}

#[derive(Debug)]
enum State {
    /// The session is heard, or needs no sender.
    Content,
    /// Looking for another one of its name.
    Searching {
        rendezvous: Box<Rendezvous>,
        told: Vec<Discriminant<RendezvousEvent>>,
    },
    /// Admitted by another one, which is to be taken up.
    Joined,
}

/// The state machine of the search; verbs as in the session. The old session goes on beside it,
/// and ends it if it is heard: only a welcome that opens under the secret makes a receiver leave,
/// and no datagram makes it leave a session that it hears.
#[derive(Debug)]
pub struct SearchAgain {
    config: RendezvousConfig,
    seed: Secret,
    searches: u64,
    state: State,
    events: VecDeque<SearchAgainEvent>,
}

impl SearchAgain {
    /// For a receiver that was admitted to a session; `config` is what it was found with. `seed`
    /// is random, new for each run.
    #[must_use]
    pub fn new(config: RendezvousConfig, seed: Secret, admitted: &Admitted) -> Self {
        let config = RendezvousConfig {
            session_name: Some(admitted.session_name.clone()),
            instead_of: Some(admitted.session_id),
            resumes: true,
            ..config
        };
        Self {
            config,
            seed,
            searches: 0,
            state: State::Content,
            events: VecDeque::new(),
        }
    }

    /// Whether datagrams are of interest.
    #[must_use]
    pub fn is_searching(&self) -> bool {
        matches!(self.state, State::Searching { .. })
    }

    /// Takes in a datagram that the session took in before.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        session: &Session,
    ) {
        self.look(now, session);
        if let State::Searching { rendezvous, .. } = &mut self.state {
            rendezvous.handle_datagram(now, from, datagram);
            self.take_events(now);
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant, session: &Session) {
        self.look(now, session);
        if let State::Searching { rendezvous, .. } = &mut self.state {
            rendezvous.handle_timeout(now);
            self.take_events(now);
        }
    }

    /// When to call `handle_timeout` and `poll_transmit` at the latest.
    #[must_use]
    pub fn poll_timeout(&self, session: &Session) -> Option<Instant> {
        match &self.state {
            State::Content => Some(session.silent_since()? + SEARCH_AFTER),
            State::Searching { rendezvous, .. } => rendezvous.poll_timeout(),
            State::Joined => None,
        }
    }

    /// The next datagram, into `out`, which is cleared first.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<JoinTarget> {
        match &mut self.state {
            State::Searching { rendezvous, .. } => rendezvous.poll_transmit(now, out),
            State::Content | State::Joined => None,
        }
    }

    /// The next thing to do.
    pub fn poll_event(&mut self) -> Option<SearchAgainEvent> {
        self.events.pop_front()
    }

    /// The receiver is a member of this session from now on.
    pub fn on_taken_up(&mut self, session: SessionId) {
        self.config.instead_of = Some(session);
        self.state = State::Content;
    }

    /// Begins or ends the search.
    fn look(&mut self, now: Instant, session: &Session) {
        let since = session.silent_since();
        let silent = since.is_some_and(|since| now >= since + SEARCH_AFTER);
        match &self.state {
            State::Content if silent => {
                self.events.push_back(SearchAgainEvent::Silent);
                self.search(now, Vec::new());
            }
            State::Searching { .. } if !silent => {
                self.state = State::Content;
                self.events.extend(since.map(|_| SearchAgainEvent::Back));
            }
            _ => {}
        }
    }

    /// Starts a search with nonces of its own: a sender that the receiver had left could give
    /// it the keys of its former membership again, whose numbers are used up.
    fn search(&mut self, now: Instant, told: Vec<Discriminant<RendezvousEvent>>) {
        self.searches += 1;
        let number = self.searches.to_be_bytes();
        self.config.seed = derive(self.seed.bytes(), b"", &[b"mimeo 1 search", &number]);
        let rendezvous = Box::new(Rendezvous::new(now, self.config.clone()));
        self.state = State::Searching { rendezvous, told };
    }

    fn take_events(&mut self, now: Instant) {
        while let State::Searching { rendezvous, told } = &mut self.state
            && let Some(event) = rendezvous.poll_event()
        {
            if let RendezvousEvent::Joined(admitted) = event {
                self.events.push_back(SearchAgainEvent::Joined(admitted));
                self.state = State::Joined;
                return;
            }
            // Whoever says no may be a stranger, and clear messages may be forged.
            let is_end = matches!(
                event,
                RendezvousEvent::Ambiguous { .. }
                    | RendezvousEvent::Rejected { last: true, .. }
                    | RendezvousEvent::WrongKey { last: true, .. }
                    | RendezvousEvent::OtherSender { last: true, .. }
            );
            let kind = discriminant(&event);
            if !told.contains(&kind) {
                told.push(kind);
                self.events.push_back(SearchAgainEvent::Told(event));
            }
            if is_end {
                let told = std::mem::take(told);
                self.search(now + PAUSE, told);
            }
        }
    }
}
