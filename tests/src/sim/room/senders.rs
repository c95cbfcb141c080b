//! The room's senders: usually one, and further ones where it is started again.

use std::time::{Duration, Instant};

use mimeo_protocol::ids::SessionId;
use mimeo_protocol::keys::{Secret, SigningKey};
use mimeo_protocol::sender::{Endpoint, EndpointConfig, SessionConfig};
use mimeo_protocol::wire::data_group;

use super::super::operator::Doings as OperatorDoings;
use super::super::{Dice, Incarnation, Operator, RoomConfig, Source, Tap};
use super::{Event, OperatorEvent, Room};

/// Datagrams that wait for a sender that stands still.
const SOCKET: usize = 500;

impl Room {
    /// The sender dies without a word.
    pub fn kill_sender(&mut self) {
        self.operator.is_dead = true;
    }

    /// Starts another sender, with the same key and name. The one before goes on, unless it is
    /// dead or stands still.
    pub fn start_sender(&mut self, change: impl FnOnce(&mut RoomConfig)) {
        change(&mut self.config);
        self.image = self.config.image.clone();
        let now = self.timeline.now();
        let next = operator(
            now,
            &self.config,
            &self.secret,
            &mut self.dice,
            &mut self.tap,
        );
        self.former
            .push(std::mem::replace(&mut self.operator, next));
        self.drive_operator(self.newest());
    }

    pub(in crate::sim) fn newest(&self) -> usize {
        self.former.len()
    }

    /// The sender of the session that a receiver was a member of last; the newest for one that was
    /// in none.
    pub(in crate::sim) fn operator_of(&self, life: &Incarnation) -> &Operator {
        let mut former = self.former.iter();
        let its = former.find(|operator| life.session == Some(operator.session));
        its.unwrap_or(&self.operator)
    }

    pub(super) fn operator_mut(&mut self, index: usize) -> &mut Operator {
        self.former.get_mut(index).unwrap_or(&mut self.operator)
    }

    /// The sender's machine stands still.
    pub fn suspend_sender(&mut self) {
        self.suspended.entry(self.newest()).or_default();
    }

    /// The sender's machine goes on, and finds what its sockets and disk hold for it; of several
    /// senders that were started, this one.
    pub fn resume_sender_number(&mut self, index: usize) {
        let now = self.timeline.now();
        self.operator_mut(index).clock.wake_up(now);
        for event in self.suspended.remove(&index).unwrap_or_default() {
            self.handle_operator(index, event);
        }
        self.drive_operator(index);
    }

    /// The newest sender's machine goes on.
    pub fn resume_sender(&mut self) {
        self.resume_sender_number(self.newest());
    }

    pub(super) fn handle_operator(&mut self, index: usize, event: OperatorEvent) {
        let now = self.timeline.now();
        if let Some(held) = self.suspended.get_mut(&index) {
            if held.len() < SOCKET || !matches!(event, OperatorEvent::Datagram(..)) {
                held.push(event);
            }
            return;
        }
        let from = |machine: usize| self.machines[machine].address;
        let from = match event {
            OperatorEvent::Datagram(machine, _) => Some(from(machine)),
            _ => None,
        };
        let operator = self.operator_mut(index);
        let now = operator.clock.shows(now);
        match (event, from) {
            (OperatorEvent::Datagram(_, datagram), Some(from)) if !operator.is_over() => {
                operator.endpoint.handle_datagram(now, from, &datagram);
            }
            (OperatorEvent::Alarm(at), _) if operator.alarm == Some(at) => {
                operator.alarm = None;
                operator.endpoint.handle_timeout(now);
            }
            (OperatorEvent::Read, _) => operator.handle_read(now),
            (OperatorEvent::Fetched(fetch), _) => operator.handle_fetched(&fetch),
            _ => return,
        }
        self.drive_operator(index);
    }

    pub(in crate::sim) fn drive_operator(&mut self, index: usize) {
        if self.suspended.contains_key(&index) {
            return;
        }
        let now = self.timeline.now();
        let mut doings = OperatorDoings::default();
        let operator = self.operator_mut(index);
        if operator.is_dead {
            return;
        }
        let shown = operator.clock.shows(now);
        operator.drive(shown, &mut doings);
        let read_time = operator.read_time;
        for sent in doings.sent {
            for datagram in sent.bytes.chunks(sent.segment) {
                self.send_down(sent.to, datagram);
            }
        }
        for fetch in doings.fetches {
            let event = OperatorEvent::Fetched(Box::new(fetch));
            self.timeline
                .after(read_time, Event::Operator(index, event));
        }
        if doings.reads {
            let event = Event::Operator(index, OperatorEvent::Read);
            self.timeline.after(read_time, event);
        }
        let operator = self.operator_mut(index);
        if let Some(at) = operator.endpoint.poll_timeout(shown) {
            let at = operator.clock.when(now, at).max(now);
            if operator.alarm.is_none_or(|alarm| at < alarm) {
                operator.alarm = Some(at);
                let event = Event::Operator(index, OperatorEvent::Alarm(at));
                self.timeline.at(at, event);
            }
        }
    }
}

/// A sender with a session of its own.
pub(super) fn operator(
    now: Instant,
    config: &RoomConfig,
    secret: &Secret,
    dice: &mut Dice,
    tap: &mut Tap,
) -> Operator {
    let session_id = SessionId(dice.bytes());
    let seed = Secret::new(dice.bytes());
    tap.on_sender(session_id, seed.clone());
    let endpoint = EndpointConfig {
        session_id,
        session_name: "room".to_owned(),
        auth: config.auth,
        secret: secret.clone(),
        seed,
        // The same for every sender of the room, as with --sign-key.
        signing_key: SigningKey::from_seed(secret.bytes()),
        group: data_group(session_id, false),
        needs: None,
    };
    let session = SessionConfig {
        image_len: config.length_known.then_some(config.image.len() as u64),
        seekable: config.seekable,
        start: config.start.clone(),
        rate_cap: config.rate_cap,
        parity: config.parity,
        slow: config.slow,
        linger: config.linger,
        lost_timeout: config.lost_timeout,
    };
    let endpoint = Endpoint::with_page_store(now, endpoint, session, (config.pages)());
    let source = Source::new(config.image.clone(), config.seekable);
    Operator::new(session_id, endpoint, source, Duration::from_micros(100))
}
