//! What the operator is told in words.

use std::time::{Duration, Instant};

use mimeo_console::human;
use mimeo_protocol::ids::ReceiverNumber;
use mimeo_protocol::pacing::{Circuit, Rate};
use mimeo_protocol::sender::Event;
use mimeo_protocol::wire::FailCode;

use super::{Engine, pictures};
use crate::slow;
use crate::status::{Severity, Update};
use crate::summary::receivers;

/// Without a receiver for this long the operator is told what to check.
const NOBODY_AFTER: Duration = Duration::from_secs(10);

impl Engine {
    /// Tells the operator what happened; true when the session is over.
    pub(super) fn tell_events(&mut self) -> bool {
        let mut over = false;
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Started => {
                    self.started = true;
                    self.pictures.on_started(Instant::now());
                    let count = self.endpoint.session().roster().present();
                    self.tell(Severity::Info, format!("started with {}", receivers(count)));
                }
                Event::OnDemand => {
                    let text = "all of them resume: only what somebody lacks is sent";
                    self.tell(Severity::Info, text.to_owned());
                }
                Event::Cycle(cycle) => {
                    let text = format!("cycle {}: what is still missing in the room", cycle.0);
                    self.tell(Severity::Info, text);
                }
                Event::Member(number) => {
                    let member = self.endpoint.session().roster().member(number);
                    if let Some((severity, text)) = member.and_then(pictures::member_line) {
                        self.tell(severity, text);
                    }
                }
                Event::Slow(number) => {
                    let member = self.endpoint.session().roster().member(number);
                    if let Some((severity, text)) = member.and_then(slow::found) {
                        self.tell(severity, text);
                    }
                }
                Event::HeldUp(by) => self.tell_held_up(&by),
                Event::Spoiled(number) => self.tell_spoiled(number),
                Event::Restored(number) => {
                    if let Some(member) = self.endpoint.session().roster().member(number) {
                        let about = &member.about;
                        let (name, ip) = (&about.host_name, about.address.ip());
                        self.tell(Severity::Info, format!("{name} ({ip}) counts again"));
                    }
                }
                Event::Circuit(circuit) => self.tell_circuit(circuit),
                Event::Costly(number) => self.tell_member(number, costly),
                Event::Rejoined(number) => self.tell_member(number, rejoined),
                Event::Disputed(new, old) => self.tell_disputed(new, old),
                Event::Unproven(about) => self.tell_unproven(&about),
                Event::GuessesExhausted => self.tell_exhausted(),
                Event::Over => over = true,
            }
        }
        self.tell_if_nobody_came();
        self.tell_more_unproven();
        over
    }

    fn tell_held_up(&self, by: &[ReceiverNumber]) {
        let session = self.endpoint.session();
        let members = by
            .iter()
            .filter_map(|&number| session.roster().member(number));
        let slow = members.filter_map(|member| Some((&member.about, member.slow.as_ref()?)));
        let text = slow::held_up(slow, session.slow_policy());
        self.tell(Severity::Warn, text);
    }

    fn tell_member(&self, number: ReceiverNumber, what: fn(&str) -> (Severity, String)) {
        if let Some(member) = self.endpoint.session().roster().member(number) {
            let (severity, text) = what(&pictures::name_of(member));
            self.tell(severity, text);
        }
    }

    /// Who was lost counts as lost, whoever says to be it.
    fn tell_disputed(&self, new: ReceiverNumber, old: ReceiverNumber) {
        let roster = self.endpoint.session().roster();
        let Some((new, old)) = roster.member(new).zip(roster.member(old)) else {
            return;
        };
        let text = format!(
            "{} joined with the hardware address and target of {}, which is not heard any more: both \
             count, as it may be another machine that says so",
            pictures::name_of(new),
            pictures::name_of(old),
        );
        self.tell(Severity::Warn, text);
    }

    fn tell_circuit(&self, circuit: Circuit) {
        let floor = human::rate(Rate::FLOOR.0);
        match circuit {
            Circuit::Closed => {
                self.tell(Severity::Info, "the stream arrives again".to_owned());
            }
            Circuit::Floor => self.tell(
                Severity::Warn,
                format!(
                    "no receiver gets more than a fifth of what is sent: going down to {floor}"
                ),
            ),
            Circuit::Open => self.tell(
                Severity::Error,
                format!(
                    "no receiver gets more than a fifth of what is sent, even at {floor}: pausing \
                     for 30 s. Check the cable, the switch and whatever else sends on this network"
                ),
            ),
        }
    }

    /// Somebody who holds the group's key forges data, or a receiver's memory is broken.
    fn tell_spoiled(&self, number: ReceiverNumber) {
        let member = self.endpoint.session().roster().member(number);
        let Some((member, report)) = member.and_then(|it| Some((it, it.report.as_ref()?))) else {
            return;
        };
        let about = &member.about;
        let text = format!(
            "{} ({}): {} put together from what came did not have the right digest, {} of what came \
             not sent by this sender; that is mended. Somebody in the room forges data, or, if it \
             is one machine only, its memory is broken",
            about.host_name,
            about.address.ip(),
            counted(report.bad_blocks, "block"),
            counted(report.forged_symbols, "symbol"),
        );
        self.tell(Severity::Warn, text);
    }

    /// After some time, and when the session is given up before that.
    fn tell_if_nobody_came(&mut self) {
        let waited = self.opened.elapsed();
        let session = self.endpoint.session();
        let gives_up = || {
            let reason = session.abort_reason();
            reason.is_some_and(|(code, _)| *code == FailCode::NotStarted)
        };
        let waiting = !self.started && !self.nobody_told;
        if waiting && (waited >= NOBODY_AFTER || gives_up()) {
            self.nobody_told = true;
            let nobody = session.roster().members().next().is_none();
            if !self.tell_of_seekers() && nobody {
                self.tell(Severity::Warn, self.room.nobody_came(waited));
            }
        }
    }

    pub(super) fn tell(&self, severity: Severity, text: String) {
        // Nobody listening is no reason to stop sending.
        let _ = self.updates.send(Update::Line(severity, text));
    }
}

fn costly(who: &str) -> (Severity, String) {
    let text = format!(
        "twice the image was sent for {who} alone so far; at eight times it is sent away. Most of it is \
         lost on the way there, or its memory spoils what it gets, or it asks for what it has"
    );
    (Severity::Warn, text)
}

fn rejoined(who: &str) -> (Severity, String) {
    let text = format!("{who} was started again: what it was before no longer counts");
    (Severity::Info, text)
}

fn counted(number: u32, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
