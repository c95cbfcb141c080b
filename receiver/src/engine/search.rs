//! Finds a sender and joins it.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mimeo_console::human;
use mimeo_net::{ReceiveBatch, Waiter};
use mimeo_protocol::receiver::{
    Admitted, JoinTarget, Rendezvous, RendezvousConfig, RendezvousEvent,
};
use mimeo_protocol::wire::{Auth, RejectReason, VERSION};
use tokio::sync::mpsc::UnboundedSender;

use super::room::Room;
use crate::exit::Exit;
use crate::status::{Command, Severity, Update};

/// Without a sender for this long the person is told what to check.
const NOBODY_AFTER: Duration = Duration::from_secs(10);

/// How often commands are looked at, at least.
const TICK: Duration = Duration::from_millis(200);

/// Why the receiver is in no session: exit code and text.
pub(crate) type NotJoined = (Exit, String);

/// The search for a sender.
pub(crate) struct Search<'a> {
    pub(crate) room: &'a Room,
    pub(crate) waiter: &'a Waiter,
    pub(crate) commands: &'a mpsc::Receiver<Command>,
    pub(crate) updates: &'a UnboundedSender<Update>,
    pub(crate) timeout: Duration,
    /// Whether the receiver holds no secret.
    pub(crate) is_open: bool,
}

impl Search<'_> {
    /// Searches until a session has admitted the receiver, or none will.
    pub(crate) fn run(&self, config: RendezvousConfig) -> Result<Box<Admitted>, NotJoined> {
        let opened = Instant::now();
        let mut rendezvous = Rendezvous::new(opened, config);
        let (mut batch, mut out) = (ReceiveBatch::new(), Vec::new());
        let mut nobody_told = false;
        // Why a sender that was heard would not do, for the end of the search.
        let mut seen = None;
        let mut asked = Asked::default();
        loop {
            let now = Instant::now();
            self.receive(&mut rendezvous, &mut batch);
            rendezvous.handle_timeout(now);
            while let Some(to) = rendezvous.poll_transmit(now, &mut out) {
                match to {
                    JoinTarget::ControlGroup => self.room.send_to_control(&out),
                    JoinTarget::Unicast(to) => self.room.send_to(to, &out),
                }
            }
            while let Some(event) = rendezvous.poll_event() {
                if let RendezvousEvent::Found(found) = &event
                    && !asked.is_news(found.from)
                {
                    continue;
                }
                if let Some(admitted) = self.handle(event, &mut seen)? {
                    return Ok(admitted);
                }
            }
            if let Ok(Command::Interrupt) = self.commands.try_recv() {
                return Err((
                    Exit::Interrupted,
                    "interrupted while looking for a sender".into(),
                ));
            }
            let waited = now.duration_since(opened);
            if waited >= self.timeout {
                if !nobody_told && seen.is_none() {
                    self.tell(Severity::Warn, asked.what_to_check(self.room, waited));
                }
                let text = asked.in_vain();
                return Err(seen.unwrap_or((Exit::NobodyInTime, text)));
            }
            if !nobody_told && waited >= NOBODY_AFTER {
                nobody_told = true;
                self.tell(Severity::Warn, asked.what_to_check(self.room, waited));
            }
            let until = rendezvous
                .poll_timeout()
                .map_or(now + TICK, |at| at.min(now + TICK));
            if let Err(error) = self.waiter.wait(&self.room.interests(), Some(until)) {
                return Err((
                    Exit::Failure,
                    format!("waiting for the network failed: {error}"),
                ));
            }
        }
    }

    fn receive(&self, rendezvous: &mut Rendezvous, batch: &mut ReceiveBatch) {
        for socket in self.room.sockets() {
            if let Err(error) = socket.recv(batch) {
                tracing::warn!(%error, "receiving failed");
            }
            let now = Instant::now();
            for (from, datagram) in batch.datagrams() {
                rendezvous.handle_datagram(now, from, datagram);
            }
        }
    }

    /// Tells what happened. A sender that will not do may not be the only one: what is wrong with
    /// it is told at once, and is the reason if the search ends without another.
    fn handle(
        &self,
        event: RendezvousEvent,
        seen: &mut Option<NotJoined>,
    ) -> Result<Option<Box<Admitted>>, NotJoined> {
        let text = text_of(&event);
        match event {
            RendezvousEvent::Joined(admitted) => return Ok(Some(admitted)),
            RendezvousEvent::Found(_) => self.tell(Severity::Info, text),
            RendezvousEvent::Ambiguous { .. }
            | RendezvousEvent::WrongKey { last: true, .. }
            | RendezvousEvent::OtherSender { last: true, .. }
            | RendezvousEvent::Rejected { last: true, .. } => {
                return Err((Exit::NotAdmitted, text));
            }
            // Whoever has no secret cannot tell strangers from the sender that is meant.
            RendezvousEvent::OtherAuth { .. } if self.is_open => {
                return Err((Exit::NotAdmitted, text));
            }
            RendezvousEvent::OtherVersion { .. }
            | RendezvousEvent::NotJoinable { .. }
            | RendezvousEvent::OtherAuth { .. }
            | RendezvousEvent::WrongKey { .. }
            | RendezvousEvent::OtherSender { .. }
            | RendezvousEvent::Rejected { .. } => {
                self.tell(Severity::Warn, text.clone());
                *seen = Some((Exit::NotAdmitted, text));
            }
        }
        Ok(None)
    }

    fn tell(&self, severity: Severity, text: String) {
        // Nobody listening is no reason to stop.
        let _ = self.updates.send(Update::Line(severity, text));
    }
}

/// The senders that were asked to admit this receiver, none of which has.
#[derive(Debug, Default)]
struct Asked {
    from: Vec<SocketAddr>,
    times: u32,
}

impl Asked {
    /// Addresses that are told one by one; whoever forges announces can use any number.
    const MOST: usize = 8;

    /// Notes that a sender is asked. Returns whether that is worth a word: the first time at an
    /// address.
    fn is_news(&mut self, from: SocketAddr) -> bool {
        self.times += 1;
        let is_news = !self.from.contains(&from) && self.from.len() < Self::MOST;
        if is_news {
            self.from.push(from);
        }
        is_news
    }

    fn what_to_check(&self, room: &Room, waited: Duration) -> String {
        if self.from.is_empty() {
            return room.nobody_found(waited);
        }
        format!(
            "no sender has admitted this receiver in {}: {}",
            human::seconds(waited),
            self.outcome()
        )
    }

    fn in_vain(&self) -> String {
        if self.from.is_empty() {
            return "no session was found in time (--start-timeout)".to_owned();
        }
        format!(
            "no session has admitted this receiver in time (--start-timeout): {}",
            self.outcome()
        )
    }

    fn outcome(&self) -> String {
        let ips: Vec<String> = self.from.iter().map(|from| from.ip().to_string()).collect();
        let times = match self.times {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let asked = format!("asked {times}, at {}", ips.join(", "));
        let why = if self.times > 2 {
            ". Where one of them is the right one, its machine does not get what this one sends, or lets \
             it wait after joins with a wrong code or key from the same address. Where somebody \
             announces sessions that there are not, name the right one with --session, or its host \
             with --sender"
        } else {
            "; nothing has come back, so the sender may have ended by then"
        };
        asked + why
    }
}

/// Names of sessions that are told, at most: anybody can make some up.
const MOST_NAMES: usize = 8;

/// Which sessions it could be.
fn ambiguous(names: &[String]) -> String {
    match names {
        [name] => format!(
            "several sessions called {name} are on the air; say whose is meant with --sender HOST"
        ),
        names => {
            let some = &names[..names.len().min(MOST_NAMES)];
            let more = match names.len() - some.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let some = some.join(", ");
            format!("several sessions are on the air: {some}{more}; name one with --session")
        }
    }
}

/// What happened, for the person in front of the receiver.
pub(super) fn text_of(event: &RendezvousEvent) -> String {
    match event {
        RendezvousEvent::Joined(admitted) => format!("joined session {}", admitted.session_name),
        RendezvousEvent::Found(found) => format!(
            "joining session {} at {}",
            found.announce.session_name,
            found.from.ip()
        ),
        RendezvousEvent::Ambiguous { names } => ambiguous(names),
        RendezvousEvent::WrongKey { from, .. } => format!(
            "the sender at {} has another join code or key: look at what it shows, and whether it is \
             the one that is meant",
            from.ip()
        ),
        RendezvousEvent::OtherSender { from, .. } => format!(
            "the key of the sender at {} is not the pinned one: nothing is taken from it; if it is the \
             right sender, give the key that mimeo-sender --sign-key shows as --sender-key",
            from.ip()
        ),
        RendezvousEvent::Rejected {
            reason,
            version,
            from,
            ..
        } => reject_text(&from.ip().to_string(), *reason, *version),
        RendezvousEvent::OtherAuth { wanted, from } => {
            format!("the sender at {} {}", from.ip(), auth_text(*wanted))
        }
        RendezvousEvent::OtherVersion { from, version } => {
            version_text(&from.ip().to_string(), *version)
        }
        RendezvousEvent::NotJoinable { from } => {
            format!("the session at {} admits no more receivers", from.ip())
        }
    }
}

fn version_text(who: &str, version: u8) -> String {
    format!(
        "the sender at {who} speaks version {version} of the protocol, this program version \
         {VERSION}: use the same release on both sides"
    )
}

fn auth_text(wanted: Auth) -> &'static str {
    match wanted {
        Auth::Open => "runs an open session: give --open here too, or leave --open out there",
        Auth::KeyFile => "asks for a key: give --key-file here",
        Auth::Code => "asks for its join code: give --code here",
    }
}

fn reject_text(who: &str, reason: RejectReason, version: u8) -> String {
    match reason {
        RejectReason::Version => version_text(who, version),
        RejectReason::Auth => "the sender asks for another kind of secret (--code, --key-file or --open)".into(),
        RejectReason::Closed => "the session admits no more receivers: it is ending, or it sends standard input and has started".into(),
        RejectReason::Full => "the session has no number left for another receiver".into(),
        RejectReason::Guesses => format!(
            "the sender at {who} says that it admits nobody after 1000 joins with a wrong code: ask its \
             operator for another one"
        ),
        RejectReason::Other(code) => format!("the sender does not admit this receiver (reason {code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_to_choose_from_are_told_and_a_flood_of_them_is_not() {
        let names = |count: usize| -> Vec<String> { (0..count).map(|n| format!("s{n}")).collect() };
        assert_eq!(
            ambiguous(&names(2)),
            "several sessions are on the air: s0, s1; name one with --session"
        );
        assert!(ambiguous(&names(200)).contains("s6, s7 and 192 more;"));
        let alike = ambiguous(&names(1));
        assert!(
            alike.contains("called s0") && alike.contains("--sender"),
            "{alike}"
        );
    }

    #[test]
    fn who_was_asked_in_vain_is_told_and_a_flood_of_senders_is_not() {
        let room = Room::open(Some("lo"), 0, None).unwrap();
        let mut asked = Asked::default();
        let waited = Duration::from_secs(10);
        assert_eq!(
            asked.in_vain(),
            "no session was found in time (--start-timeout)"
        );
        assert!(
            asked
                .what_to_check(&room, waited)
                .starts_with("no sender has been found")
        );
        let at = |last: u8| SocketAddr::from(([10, 77, 0, last], 64636));
        assert!(asked.is_news(at(1)) && !asked.is_news(at(1)));
        let told = (1..100).filter(|&last| asked.is_news(at(last))).count();
        assert_eq!(told, 7);
        for said in [asked.in_vain(), asked.what_to_check(&room, waited)] {
            assert!(said.contains("asked 101 times, at 10.77.0.1, "), "{said}");
            assert!(said.contains("--session"), "{said}");
        }
    }
}
