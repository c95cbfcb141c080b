//! Takes up the session of a sender that fell silent and was started again.

use std::time::{Duration, Instant};

use mimeo_image::ByteSize;
use mimeo_protocol::receiver::{
    Admitted, JoinTarget, RendezvousEvent, SearchAgain, SearchAgainEvent, SessionConfig,
};
use mimeo_protocol::wire::FailCode;

use super::gather::Gather;
use super::search::text_of;
use super::{Engine, seed_of};
use crate::exit::Exit;
use crate::run::Severity;

/// The search, and what follows it.
pub(crate) struct Again {
    pub(super) search: SearchAgain,
    /// What the machine offers to any session.
    config: SessionConfig,
    /// The session to be taken up once the writer has nothing to do.
    next: Option<Box<Admitted>>,
    silent_since: Option<Instant>,
}

impl Again {
    pub(crate) fn new(search: SearchAgain, config: SessionConfig) -> Self {
        Self {
            search,
            config,
            next: None,
            silent_since: None,
        }
    }
}

impl Again {
    /// Whether the session under way is left: what it still asks for is not done.
    pub(super) fn is_leaving(&self) -> bool {
        self.next.is_some()
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
                    self.again.silent_since = Some(now);
                    let text = "the sender is silent; looking for it again";
                    self.tell(Severity::Warn, text.to_owned());
                }
                SearchAgainEvent::Back => self.tell(Severity::Info, "the sender is back".into()),
                SearchAgainEvent::Told(event) => self.tell_on_the_way(&event),
                SearchAgainEvent::Joined(admitted) => {
                    self.again.next = Some(admitted);
                    if let Some(writer) = &self.writer {
                        writer.forget();
                    }
                }
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

    /// Nothing of the old session is under way any more: the next one takes its place, unless the
    /// receiver gave up meanwhile.
    pub(super) fn take_up_next(&mut self) {
        let Some(admitted) = self.again.next.take() else {
            return;
        };
        self.again.search.on_taken_up(admitted.session_id);
        if self.ended.is_some() {
            return;
        }
        match self.room.join(admitted.body.group) {
            Ok((window, _)) => self.take_up(*admitted, window),
            Err(error) => self.give_up(Exit::Failure, FailCode::Internal, &error.to_string()),
        }
    }

    fn take_up(&mut self, admitted: Admitted, window: u32) {
        let now = Instant::now();
        let silent = self.again.silent_since.take();
        let silent = silent.map_or(Duration::ZERO, |since| now.duration_since(since));
        let line = format!(
            "the sender was started again: taking up its new session {} after {} s; {} of it are \
             on the target and kept",
            admitted.session_name,
            silent.as_secs(),
            ByteSize(self.pictures.on_taken_up(&self.endpoint, admitted.sender)),
        );
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
