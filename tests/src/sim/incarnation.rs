//! One run of the receiver's program, from its search to its last word.

use std::time::Instant;

use mimeo_protocol::ids::{ReceiverNumber, SessionId};
use mimeo_protocol::receiver::{
    Admitted, Assembled, Endpoint, Event, Failure, Rendezvous, RendezvousConfig, RendezvousEvent,
    SearchAgain, SearchAgainEvent, SessionConfig,
};
use mimeo_protocol::wire::{FailCode, WelcomeBody};

use super::machine::Doings;
use super::{Dice, MachineProfile, Target};

/// How a receiver ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It has the image; the flag says whether the sender knows.
    Finished {
        /// Whether the sender acknowledged.
        acknowledged: bool,
    },
    /// It failed, and says why.
    Failed(Failure),
    /// It was not admitted, and says why.
    Refused(String),
    /// The machine was switched off under it.
    Killed,
}

/// One run of the receiver's program.
#[derive(Debug)]
pub struct Incarnation {
    /// Its search, until it is admitted.
    pub rendezvous: Rendezvous,
    /// Its membership.
    pub endpoint: Option<Endpoint>,
    /// Its number, in the session that it was a member of last.
    pub number: Option<ReceiverNumber>,
    /// That session.
    pub session: Option<SessionId>,
    /// What the rendezvous told on the way.
    pub told: Vec<String>,
    /// What the last welcome said.
    pub welcome: Option<WelcomeBody>,
    /// Sessions that it was a member of.
    pub sessions: u32,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Whether the disk held the image, byte for byte, when it was flushed.
    pub identical: bool,
    /// Whether it keeps what the target holds.
    resumes: bool,
    /// Its own failure, which it still tells the sender.
    failing: Option<Failure>,
    /// Its search for a sender that fell silent.
    pub(super) again: Option<SearchAgain>,
    config: RendezvousConfig,
}

impl Incarnation {
    pub(super) fn new(now: Instant, config: RendezvousConfig) -> Self {
        Self {
            resumes: config.resumes,
            rendezvous: Rendezvous::new(now, config.clone()),
            config,
            again: None,
            sessions: 0,
            endpoint: None,
            number: None,
            session: None,
            told: Vec::new(),
            welcome: None,
            ended_at: None,
            ending: None,
            identical: false,
            failing: None,
        }
    }

    /// Whether it has failed and only tells the sender.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    pub(super) fn fail(&mut self, now: Instant, code: FailCode, text: &str) {
        let text = text.to_owned();
        match &mut self.endpoint {
            Some(endpoint) => {
                endpoint.session_mut().handle_failure(now, code, &text);
                self.failing = Some(Failure { code, text });
            }
            None => self.end(now, Ending::Failed(Failure { code, text })),
        }
    }

    fn end(&mut self, now: Instant, ending: Ending) {
        if self.ending.is_none() {
            self.ending = Some(ending);
            self.ended_at = Some(now);
        }
    }

    pub(super) fn search(
        &mut self,
        now: Instant,
        profile: &MachineProfile,
        dice: &mut Dice,
        doings: &mut Doings,
    ) {
        let mut out = Vec::new();
        while self.endpoint.is_none() && self.ending.is_none() {
            if self.rendezvous.poll_transmit(now, &mut out).is_some() {
                doings.datagrams.push(out.clone());
                continue;
            }
            match self.rendezvous.poll_event() {
                None => return,
                Some(RendezvousEvent::Joined(admitted)) => {
                    let config = session_config(&admitted, profile, dice);
                    self.number = Some(admitted.number);
                    self.session = Some(admitted.session_id);
                    self.welcome = Some(admitted.body.clone());
                    self.sessions += 1;
                    let again =
                        SearchAgain::new(self.config.clone(), self.config.seed.clone(), &admitted);
                    self.again = Some(again);
                    self.endpoint = Some(Endpoint::new(now, config, *admitted));
                }
                Some(
                    event @ (RendezvousEvent::Rejected { last: true, .. }
                    | RendezvousEvent::WrongKey { last: true, .. }
                    | RendezvousEvent::OtherSender { last: true, .. }
                    | RendezvousEvent::Ambiguous { .. }),
                ) => self.end(now, Ending::Refused(format!("{event:?}"))),
                Some(event) => self.told.push(format!("{event:?}")),
            }
        }
    }

    /// Looks for a sender that fell silent, and takes up its next session.
    pub(super) fn search_again(
        &mut self,
        now: Instant,
        profile: &MachineProfile,
        dice: &mut Dice,
        doings: &mut Doings,
    ) {
        let (Some(again), Some(endpoint)) = (&mut self.again, &mut self.endpoint) else {
            return;
        };
        let mut out = Vec::new();
        again.handle_timeout(now, endpoint.session());
        while again.poll_transmit(now, &mut out).is_some() {
            doings.datagrams.push(out.clone());
        }
        while let Some(event) = again.poll_event() {
            match event {
                SearchAgainEvent::Joined(admitted) => {
                    again.on_taken_up(admitted.session_id);
                    let config = session_config(&admitted, profile, dice);
                    self.number = Some(admitted.number);
                    self.session = Some(admitted.session_id);
                    self.welcome = Some(admitted.body.clone());
                    self.sessions += 1;
                    endpoint.take_up(now, config, *admitted);
                }
                event => self.told.push(format!("{event:?}")),
            }
        }
    }

    pub(super) fn take_part(&mut self, now: Instant, target: &mut Target, doings: &mut Doings) {
        let mut out = Vec::new();
        while let Some(endpoint) = self.endpoint.as_mut() {
            if let Some(event) = endpoint.poll_event() {
                self.handle_event(now, event, target, doings);
            } else if endpoint.poll_transmit(now, &mut out) {
                doings.datagrams.push(out.clone());
            } else {
                return;
            }
        }
    }

    fn handle_event(
        &mut self,
        now: Instant,
        event: Event,
        target: &mut Target,
        doings: &mut Doings,
    ) {
        let failing = self.failing.is_some();
        match event {
            Event::Started
            | Event::NoGroupData
            | Event::Standing(_)
            | Event::ForgedSymbols
            | Event::BadBlocks { .. } => {
                self.told.push(format!("{event:?}"));
            }
            Event::Block {
                block,
                buffer,
                esis,
                entry,
            } => {
                let endpoint = self.endpoint.as_mut().expect("only members have events");
                let symbols = endpoint.take(buffer).expect("a whole block has a buffer");
                let mut assembled = Assembled {
                    block,
                    entry,
                    esis,
                    symbols,
                    buffer,
                };
                let len = self.welcome.as_ref().and_then(|welcome| welcome.image_len);
                let done = (!failing).then(|| target.write(now, len, &mut assembled));
                if let Some(None) = done {
                    assembled.restore();
                }
                endpoint.give_back(buffer, assembled.symbols);
                match done {
                    Some(Some(done)) => doings.disk.push(done),
                    Some(None) => endpoint.handle_bad_block(block, &assembled.esis),
                    None => {}
                }
            }
            event if failing && is_for_the_disk(&event) => {}
            Event::Check { block, entry } => {
                let len = self.welcome.as_ref().and_then(|welcome| welcome.image_len);
                doings.disk.push(target.check(now, len, block, &entry));
            }
            Event::NotThisImage { different } => {
                let text = format!("0 of {different} blocks match");
                self.fail(now, FailCode::TargetRefused, &text);
            }
            Event::Zero(run) => doings.disk.push(target.zero(now, run, self.resumes)),
            Event::Discard(run) => target.discard(run),
            Event::Flush { image_len } => doings.disk.push(target.flush(now, image_len)),
            Event::Verify(plan) => doings.disk.extend(target.verify(now, plan)),
            Event::Finished { acknowledged } => self.end(now, Ending::Finished { acknowledged }),
            // The sender is told before the program ends.
            Event::Failed(failure) => self.failing = Some(failure),
            Event::Left => {
                let failure = self.failing.clone().expect("it leaves because it failed");
                self.end(now, Ending::Failed(failure));
            }
        }
    }
}

/// Whether an event is nothing but work for the disk.
fn is_for_the_disk(event: &Event) -> bool {
    matches!(
        event,
        Event::Zero(_)
            | Event::Discard(_)
            | Event::Flush { .. }
            | Event::Check { .. }
            | Event::Verify(_)
    )
}

fn session_config(admitted: &Admitted, profile: &MachineProfile, dice: &mut Dice) -> SessionConfig {
    SessionConfig {
        buffers: profile.buffers,
        window: profile.window,
        in_order: false,
        target_len: None,
        resume: profile.resume,
        idle_timeout: profile.idle_timeout,
        seed: dice.next(),
        image_len: admitted.body.image_len,
        verify: profile.verify,
        unused: profile.unused,
    }
}
