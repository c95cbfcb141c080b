//! Takes up the session of a sender that fell silent and was started again.

use std::time::{Duration, Instant};

use mimeo_image::ByteSize;
use mimeo_protocol::manifest::Entry;
use mimeo_protocol::receiver::{
    Admitted, JoinTarget, RendezvousEvent, SearchAgain, SearchAgainEvent, SessionConfig,
};
use mimeo_protocol::wire::FailCode;

use super::Engine;
use super::gather::Gather;
use super::search::text_of;
use super::writer::Done;
use crate::exit::Exit;
use crate::status::Severity;

/// The search, and what follows it.
pub(crate) struct Again {
    pub(super) search: SearchAgain,
    /// What the machine offers to any session.
    config: SessionConfig,
    /// Times that the writer was told to forget and has not answered: until then what it has
    /// done is of a former session.
    forgetting: u32,
}

impl Again {
    pub(crate) fn new(search: SearchAgain, config: SessionConfig) -> Self {
        Self {
            search,
            config,
            forgetting: 0,
        }
    }

    /// Whether what is written leaves by a pipe.
    pub(super) fn in_order(&self) -> bool {
        self.config.in_order
    }

    /// Whether the stream is left in its socket: a target that is written in order cannot be
    /// written again, so that all that is on it has to be known before any page is looked at.
    pub(super) fn holds_data(&self) -> bool {
        self.config.in_order && self.forgetting > 0
    }
}

impl Engine {
    /// Looks for a sender that fell silent.
    pub(super) fn search_again(&mut self) {
        let now = Instant::now();
        self.again
            .search
            .handle_timeout(now, self.endpoint.session());
        while let Some(to) = self.again.search.poll_transmit(now, &mut self.out) {
            match to {
                JoinTarget::ControlGroup => self.room.send_to_control(&self.out),
                JoinTarget::Unicast(to) => self.room.send_to(to, &self.out),
            }
        }
        while let Some(event) = self.again.search.poll_event() {
            match event {
                SearchAgainEvent::Silent => {
                    let text = "the sender is silent; looking for it again";
                    self.tell(Severity::Warn, text.to_owned());
                }
                SearchAgainEvent::Back => self.tell(Severity::Info, "the sender is back".into()),
                SearchAgainEvent::Told(event) => self.tell_on_the_way(&event),
                SearchAgainEvent::Joined(admitted) => self.follow(*admitted),
            }
        }
    }

    fn tell_on_the_way(&self, event: &RendezvousEvent) {
        let (severity, text) = match event {
            RendezvousEvent::Found(_) => (Severity::Info, text_of(event)),
            RendezvousEvent::Ambiguous { .. } => (
                Severity::Warn,
                "several senders have the name of the session: waiting until one is left".into(),
            ),
            _ => (Severity::Warn, text_of(event)),
        };
        self.tell(severity, text);
    }

    /// Another session has admitted the receiver: it takes the place of the silent one.
    fn follow(&mut self, admitted: Admitted) {
        self.again.search.on_taken_up(admitted.session_id);
        match self.room.join(admitted.body.group) {
            Ok((window, _)) => self.take_up(admitted, window),
            Err(error) => self.give_up(Exit::Failure, FailCode::Internal, &error.to_string()),
        }
    }

    /// What the writer has done for a former session; gives everything else back.
    pub(super) fn take_former(&mut self, done: Done) -> Option<Done> {
        if self.again.forgetting == 0 {
            return Some(done);
        }
        let session = self.endpoint.session_mut();
        match done {
            Done::Forgotten => self.again.forgetting -= 1,
            Done::Written { entry, .. } => session.note_former(&Entry::Block(entry)),
            Done::Zeroed(zeroed) => session.note_former(&Entry::Zero(zeroed.run)),
            Done::Failed(_) | Done::CannotDiscard => return Some(done),
            // It was not written, or is of no more use.
            Done::Bad { .. }
            | Done::Flushed
            | Done::Fitted(_)
            | Done::Verifying { .. }
            | Done::Verified(_)
            | Done::Different(_) => {}
        }
        None
    }

    fn take_up(&mut self, admitted: Admitted, window: u32) {
        let now = Instant::now();
        // The former sender's, from its last word on.
        let silent = self.endpoint.session().silent_since();
        let silent = silent.map_or(Duration::ZERO, |since| now.duration_since(since));
        let held = self.pictures.on_taken_up(&self.endpoint, admitted.sender);
        let in_order = self.again.in_order();
        let line = taken_up_text(&admitted.session_name, silent, held, in_order);
        if let Some(writer) = &self.writer {
            writer.forget();
            self.again.forgetting += 1;
        }
        self.sender = admitted.sender;
        self.gather = Gather::new(window);
        if let Some(checker) = &mut self.checker {
            checker.forget();
        }
        let config = SessionConfig {
            window,
            seed: seed_of(&admitted),
            image_len: admitted.body.image_len,
            ..self.again.config.clone()
        };
        self.endpoint.take_up(now, config, admitted);
        self.tell(Severity::Info, line);
    }
}

/// Which image the new session is of shows only when its manifest comes. What has left by a pipe
/// cannot be written again: it has to agree as a whole.
fn taken_up_text(session_name: &str, silent: Duration, held: u64, in_order: bool) -> String {
    let held = match (ByteSize(held), in_order) {
        (ByteSize(0), _) => String::new(),
        (bytes, false) => {
            format!("; the {bytes} on the target are kept where they agree with its image")
        }
        (bytes, true) => {
            format!("; the {bytes} that were passed on count if they agree with its image")
        }
    };
    format!(
        "the sender was started again: taking up its new session {session_name} after {} s{held}",
        silent.as_secs(),
    )
}

/// Spreads the reports of a room's receivers.
pub(crate) fn seed_of(admitted: &Admitted) -> u64 {
    u64::from(admitted.number.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_target_is_not_said_to_be_of_the_new_image() {
        let silent = Duration::from_millis(7900);
        let said = |held| taken_up_text("lab", silent, held, false);
        let begin = "the sender was started again: taking up its new session lab after 7 s";
        assert_eq!(said(0), begin);
        assert_eq!(
            said(12_500_000),
            format!("{begin}; the 12.5 MB on the target are kept where they agree with its image")
        );
        let passed = taken_up_text("lab", silent, 12_500_000, true);
        let end = "the 12.5 MB that were passed on count if they agree with its image";
        assert_eq!(passed, format!("{begin}; {end}"));
    }
}
