//! Everything in the sender that happens because time passes.

use std::time::{Duration, Instant};

use super::{Event, Phase, Session, Transmit};
use crate::ids::Seq;
use crate::pacing::{Circuit, Controller, Rate};
use crate::sender::start::StartDecision;
use crate::wire::{FailCode, GroupControl};

/// The announce is repeated this often.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// The stream's position follows this long after the last symbol before a pause.
const IDLE_CONTROL: Duration = Duration::from_millis(20);
/// And is repeated this often.
const CONTROL_EVERY: Duration = Duration::from_millis(100);
/// Before the start it only shows that the sender is alive.
const WAITING_CONTROL_EVERY: Duration = Duration::from_millis(500);
/// Report intervals are of this order, so ages are looked at as often.
const AGEING_EVERY: Duration = Duration::from_millis(50);

/// A sender that is not called for this long stood still: it was suspended, or its machine was.
const STOOD_STILL: Duration = Duration::from_millis(500);

/// What fires when. Each is an absolute moment.
#[derive(Debug)]
pub(super) struct Timers {
    /// The next announce.
    announce: Instant,
    /// The next group control datagram; `None`: as soon as possible.
    control: Option<Instant>,
    /// Receivers are looked at for their silence.
    ageing: Instant,
    /// Receivers are asked about a rate that is tried.
    pub(super) trial: Instant,
    /// When anything was done last.
    awake: Instant,
}

impl Timers {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            announce: now,
            control: Some(now + WAITING_CONTROL_EVERY),
            ageing: now,
            trial: now,
            awake: now,
        }
    }

    /// The position is news: send it at once.
    pub(super) fn control_now(&mut self) {
        self.control = None;
    }

    /// A symbol went out: the pause starts again, but the position is still sent regularly.
    pub(super) fn on_symbols(&mut self, now: Instant, last_control: Instant) {
        if self.control.is_some() {
            self.control = Some((now + IDLE_CONTROL).min(last_control + CONTROL_EVERY));
        }
    }
}

impl Session {
    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.notice_standstill(now);
        self.end_if_pages_are_lost(now);
        self.close_page_by_age(now);
        self.age_members(now);
        self.ask_about_the_trial(now);
        self.look_for_stragglers(now);
        self.look_at_circuit(now);
        match self.phase {
            Phase::Waiting => self.consider_start(now),
            Phase::Running => {
                self.plan_pass();
                self.consider_next_cycle(now);
            }
            _ => {}
        }
        self.consider_end(now);
    }

    /// A laptop that slept knows nothing of what its receivers said meanwhile.
    pub(super) fn notice_standstill(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.timers.awake);
        self.timers.awake = now;
        if gap >= STOOD_STILL {
            self.roster.forgive(now, gap);
            self.movement.forgive(now, gap);
            self.blocked_since = None;
            self.stragglers.start_over();
        }
    }

    /// Hardly anything may arrive at anybody.
    fn look_at_circuit(&mut self, now: Instant) {
        if self.phase != Phase::Running || !self.breaker.is_due(now) {
            return;
        }
        let gating = self.roster.gating().filter_map(|(number, member)| {
            let report = member.report.as_ref()?;
            Some((number, report.received, report.expected))
        });
        if let Some(circuit) = self.breaker.look(now, gating) {
            if circuit == Circuit::Closed {
                // What was known of the paths is no longer so.
                self.controller = Controller::new(now, Rate::FLOOR, self.config.rate_cap);
            }
            self.events.push_back(Event::Circuit(circuit));
        }
    }

    fn close_page_by_age(&mut self, now: Instant) {
        if self.manifest.closes_at().is_some_and(|at| now >= at) {
            self.close_page();
        }
    }

    fn age_members(&mut self, now: Instant) {
        if now < self.timers.ageing {
            return;
        }
        self.timers.ageing = now + AGEING_EVERY;
        let unproven = self.roster.take_unproven(now);
        self.events
            .extend(unproven.into_iter().map(Event::Unproven));
        let patience = self.patience();
        let running = self.phase != Phase::Waiting;
        for number in self.roster.age(now, running, patience) {
            self.controller.on_gone(number);
            self.events.push_back(Event::Member(number));
        }
        self.drop_superseded();
        self.end_the_stuck(now);
        if self.phase == Phase::Running {
            self.ask_the_silent(now);
        }
        if let Some(oldest) = self
            .roster
            .gating()
            .map(|(_, member)| member.seq_seen())
            .min()
        {
            self.repairs.forget_before(oldest);
            self.digests.forget_before(oldest);
        }
    }

    fn consider_start(&mut self, now: Instant) {
        let (present, first) = (self.roster.present(), self.roster.first_joined());
        match self.config.start.decide(self.opened, now, present, first) {
            StartDecision::Start => self.start(now),
            StartDecision::GiveUp => {
                // Those who wait would otherwise do so until they take the sender for dead.
                let text = "too few receivers came in time";
                self.handle_abort(now, FailCode::NotStarted, text);
            }
            StartDecision::Wait(_) => {}
        }
    }

    /// The next announce or position that is due.
    pub(super) fn poll_timed(&mut self, now: Instant) -> Option<Transmit> {
        if now >= self.timers.announce && self.phase != Phase::Over {
            self.timers.announce = now + ANNOUNCE_EVERY;
            return Some(Transmit::Announce);
        }
        if self.is_quiet() || self.timers.control.is_some_and(|at| now < at) {
            return None;
        }
        let waiting = self.phase == Phase::Waiting;
        let every = if waiting {
            WAITING_CONTROL_EVERY
        } else {
            CONTROL_EVERY
        };
        self.timers.control = Some(now + every);
        self.last_control = now;
        self.counters.control_datagrams += 1;
        let seq = self.take_seq();
        let end = self.end.filter(|_| self.first_pass_done());
        Some(Transmit::Control {
            seq,
            control: GroupControl {
                position: self.position(),
                end,
            },
        })
    }

    /// Whether the stream's position is not told any more.
    fn is_quiet(&self) -> bool {
        matches!(self.phase, Phase::Aborting(_) | Phase::Over)
    }

    pub(super) fn take_seq(&mut self) -> Seq {
        self.last_seq = Seq(self.last_seq.0 + 1);
        self.last_seq
    }

    /// When `handle_timeout` and `poll_transmit` want to be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.phase == Phase::Over {
            return None;
        }
        if !self.outbox.is_empty() {
            return Some(now);
        }
        let mut next = self.timers.announce;
        if !self.is_quiet() {
            next = next.min(self.timers.control.unwrap_or(now));
        }
        next = next.min(self.timers.ageing.max(now + Duration::from_millis(1)));
        for moment in [
            self.manifest.closes_at(),
            self.start_moment(now),
            self.phase_moment(),
            self.trial_moment(),
        ] {
            next = next.min(moment.unwrap_or(next));
        }
        if self.has_symbols() || self.has_own_symbols() {
            next = next.min(self.pacer.deadline());
        }
        Some(next)
    }

    fn start_moment(&self, now: Instant) -> Option<Instant> {
        if self.phase != Phase::Waiting {
            return None;
        }
        let (present, first) = (self.roster.present(), self.roster.first_joined());
        match self.config.start.decide(self.opened, now, present, first) {
            StartDecision::Wait(until) => Some(until),
            StartDecision::Start | StartDecision::GiveUp => Some(now),
        }
    }

    fn phase_moment(&self) -> Option<Instant> {
        match self.phase {
            Phase::Lingering(until) | Phase::Closing(until) => Some(until),
            Phase::Aborting(until) => Some(until.min(self.abort_repeat)),
            _ => None,
        }
    }
}
