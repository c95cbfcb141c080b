//! What the sender does with what its receivers say.

use std::time::{Duration, Instant};

use super::{Event, Phase, STREAM_HISTORY, Session, Transmit};
use crate::ids::{Cycle, ReceiverNumber, Seq};
use crate::pacing::PathReport;
use crate::sender::roster::{Hearing, Member, MemberState};
use crate::units::{BlockNumber, PageNumber};
use crate::wire::{ALL_SYMBOLS, Deficit, FailCode, Report, ToReceiver, ToSender};

impl Session {
    /// A message of a receiver, opened under its own key; reports come in the order of sending.
    pub fn handle_message(&mut self, now: Instant, from: ReceiverNumber, message: ToSender) {
        self.notice_standstill(now);
        match message {
            ToSender::Report(report) => self.handle_report(now, from, report),
            ToSender::Confirm {
                identity,
                image_len,
                read_back,
            } => {
                let right = self
                    .end
                    .is_some_and(|end| (end.identity, end.image_len) == (identity, image_len));
                let state = if right {
                    MemberState::Confirmed
                } else {
                    let text = "what it confirmed is not the image of this session".to_owned();
                    MemberState::Failed {
                        code: FailCode::IdentityMismatch,
                        text,
                    }
                };
                if let Some(member) = self.roster.member_mut(from) {
                    member.read_back = read_back;
                }
                self.settle(now, from, state);
                let message = if right {
                    ToReceiver::ConfirmSeen
                } else {
                    let text = "what it confirmed is not the image of this session".to_owned();
                    ToReceiver::Abort {
                        code: FailCode::IdentityMismatch,
                        text,
                    }
                };
                self.outbox
                    .push_back(Transmit::Unicast { to: from, message });
                self.prolong_closing(now);
            }
            ToSender::Fail { code, text } => {
                self.settle(now, from, MemberState::Failed { code, text });
                self.outbox.push_back(Transmit::Unicast {
                    to: from,
                    message: ToReceiver::FailSeen,
                });
                self.prolong_closing(now);
            }
            ToSender::AbortSeen => {
                // Who was sent away alone is settled already; others were told of no end.
                if let Some((code, text)) = self.abort.clone() {
                    self.settle(now, from, MemberState::Failed { code, text });
                }
            }
        }
        self.consider_end(now);
    }

    /// Notes the end of a receiver's part. The first word counts, but a confirmation counts
    /// always: a receiver that the session gave up may have had everything by then.
    pub(super) fn settle(&mut self, now: Instant, number: ReceiverNumber, state: MemberState) {
        let Some(member) = self.roster.member_mut(number) else {
            return;
        };
        let confirmed = state == MemberState::Confirmed && member.state != state;
        if member.state.is_final() && !confirmed {
            return;
        }
        member.state = state;
        member.heard_at = now;
        member.settled_at = Some(now);
        self.controller.on_gone(number);
        self.events.push_back(Event::Member(number));
    }

    fn handle_report(&mut self, now: Instant, from: ReceiverNumber, mut report: Report) {
        self.counters.reports += 1;
        self.account_blocked(now);
        let round_trip = self.round_trip(now, &report);
        let (running, patience) = (self.phase != Phase::Waiting, self.patience());
        let limits = self.limits();
        let Some(member) = self.roster.member_mut(from) else {
            return;
        };
        if let MemberState::Failed { code, text } = &member.state {
            // It still reports, so it has not heard that it was given up.
            let (code, text) = (*code, text.clone());
            return self.send_away(now, from, code, text);
        }
        if member.state.is_final() {
            return;
        }
        let wrong = limits.apply(member, &mut report);
        member.round_trip = round_trip.or(member.round_trip);
        member.ahead = report.credit > self.pass.slot();
        let bad_before = member.report.as_ref().map_or(0, |report| report.bad_blocks);
        let bad_blocks = report.bad_blocks;
        let hearing = member.on_report(now, report, running, patience);
        let unasked = hearing == Hearing::First && self.pass.cycle() > Cycle(1);
        if (hearing == Hearing::Back && self.config.seekable) || unasked {
            // What it missed in its silence, or could not ask for, comes in a later cycle; the
            // room does not wait.
            member.joined_in = (self.pass.cycle(), self.pass.begun());
            member.turn = member.turn.saturating_add(1);
        }
        self.tell_spoiled(from, bad_before, bad_blocks);
        if wrong {
            self.tell_truth(now, from);
        }
        if !self.on_hearing(from, hearing) {
            return;
        }
        self.remind_of_standing(now, from);
        if self.missed_the_stream(now, from) {
            return;
        }
        if self.has_asked_too_much(now, from) {
            return;
        }
        self.tell_of_cost(from);
        self.report_to_controller(now, from);
        self.plan_repairs(now, from);
        self.discard_complete();
    }

    /// Tells of a receiver that came, came back, or cannot be served. Returns whether what it
    /// asks for would reach it.
    fn on_hearing(&mut self, from: ReceiverNumber, hearing: Hearing) -> bool {
        match hearing {
            Hearing::Well => return true,
            Hearing::Nothing => return false,
            Hearing::NothingYetAlive => {
                self.events.push_back(Event::Member(from));
                return false;
            }
            Hearing::First => self.drop_superseded(),
            Hearing::Back => {}
        }
        self.events.push_back(Event::Member(from));
        // Who was welcomed before the end, or comes back in time, is served.
        if matches!(self.phase, Phase::Lingering(_) | Phase::Closing(_)) {
            self.phase = Phase::Running;
        }
        true
    }

    /// A receiver that was started again takes the place of its former self.
    pub(super) fn drop_superseded(&mut self) {
        for (old, new) in self.roster.take_superseded() {
            self.controller.on_gone(old);
            self.events.push_back(Event::Rejoined(new));
        }
        for (old, new) in self.roster.dispute() {
            self.events.push_back(Event::Disputed(new, old));
        }
    }

    fn report_to_controller(&mut self, now: Instant, from: ReceiverNumber) {
        let gating = self.roster.present();
        let Some(report) = self
            .roster
            .member(from)
            .and_then(|member| member.report.as_ref())
        else {
            return;
        };
        let path = PathReport {
            seq_seen: report.seq_seen,
            received: report.received,
            expected: report.expected,
            drops: report.socket_drops,
        };
        let gates = self
            .roster
            .member(from)
            .is_some_and(|member| member.state == MemberState::Active);
        if self.phase == Phase::Running && gates {
            self.controller
                .on_report(now, from, path, gating, self.last_seq);
        }
    }

    /// A receiver that was silent too long may need blocks that a stream no longer has. Blocks
    /// that it still writes are not among them.
    fn missed_the_stream(&mut self, now: Instant, number: ReceiverNumber) -> bool {
        let missed = !self.config.seekable
            && self
                .roster
                .member(number)
                .and_then(|member| member.report.as_ref())
                .is_some_and(|report| {
                    let first = report.deficits.first();
                    first.is_some_and(|run| run.first < self.kept_from)
                        || self.needs_discarded(report)
                });
        if missed {
            let code = FailCode::Silence;
            let text = "the stream went on without it and cannot be sent again".to_owned();
            self.settle(
                now,
                number,
                MemberState::Failed {
                    code,
                    text: text.clone(),
                },
            );
            self.send_away(now, number, code, text);
        }
        missed
    }

    /// Tells one receiver that the session is over for it.
    pub(super) fn send_away(
        &mut self,
        now: Instant,
        to: ReceiverNumber,
        code: FailCode,
        text: String,
    ) {
        let message = ToReceiver::Abort { code, text };
        self.outbox.push_back(Transmit::Unicast { to, message });
        self.prolong_closing(now);
    }

    fn plan_repairs(&mut self, now: Instant, from: ReceiverNumber) {
        let Some(member) = self.roster.member(from) else {
            return;
        };
        let Some(report) = member.report.clone() else {
            return;
        };
        let seen = member.seq_seen();
        let (low, high) = self.repairable(member);
        for run in &report.missing_pages {
            let pages =
                run.first.0..(run.first.0.saturating_add(run.count)).min(self.manifest.pages().0);
            for page in pages {
                self.queue_page(PageNumber(page), Some(seen));
            }
        }
        if self.puts_off(now, from) {
            return;
        }
        self.plan_mending(now, from, &report, seen);
        for run in &report.deficits {
            self.plan_run(run, (low, high), seen, from);
        }
    }

    /// Blocks of the cycle whose deficits are repaired now; the others come in a pass.
    fn repairable(&self, member: &Member) -> (BlockNumber, BlockNumber) {
        if member.state.is_demoted() {
            return (BlockNumber(0), BlockNumber(0));
        }
        let deferred = member.deferred_below(self.pass.cycle());
        (deferred.max(self.kept_from), self.pass.horizon())
    }

    fn plan_run(
        &mut self,
        run: &Deficit,
        (low, high): (BlockNumber, BlockNumber),
        seen: Seq,
        from: ReceiverNumber,
    ) {
        let first = run.first.0.max(low.0);
        let end = run.first.0.saturating_add(run.count).min(high.0);
        for block in (first..end).map(BlockNumber) {
            if !self.repairs.has_room_for(block) {
                return;
            }
            let Some(sent) = self.manifest.block(block) else {
                return;
            };
            let deficit = if run.symbols == ALL_SYMBOLS {
                sent.k()
            } else {
                run.symbols.min(sent.k())
            };
            self.repairs
                .on_deficit(from, (block, sent.k()), deficit, seen);
        }
    }

    /// Queues the symbols of a page unless they are on their way: of a new one, or of one that a
    /// receiver asks for again, who has seen the group's datagrams up to `asked`.
    pub(super) fn queue_page(&mut self, page: PageNumber, asked: Option<Seq>) {
        if self
            .manifest
            .queue_page(page, asked.unwrap_or(self.last_seq))
        {
            match asked {
                None => self.page_queue.push_fresh(page),
                Some(_) => self.page_queue.push_again(page),
            }
        }
    }

    /// Without a second cycle blocks go once every gating receiver has them and newer ones fill
    /// the history.
    fn discard_complete(&mut self) {
        if self.config.seekable {
            return;
        }
        let complete = self
            .roster
            .wanting()
            .map(|(_, _, report)| report.complete_up_to)
            .min();
        let Some(complete) = complete else { return };
        let history = self.pass.begun().0.saturating_sub(STREAM_HISTORY);
        let kept_from = complete.min(BlockNumber(history));
        if kept_from > self.kept_from {
            self.kept_from = kept_from;
            self.repairs.discard_below(kept_from);
            self.discard_mending(kept_from);
            self.jobs.push_back(super::Job::Discard(kept_from));
        }
    }

    /// Now less the time when the datagram that the report saw last was sent, less the time
    /// that the receiver held it.
    fn round_trip(&self, now: Instant, report: &Report) -> Option<Duration> {
        let at = self
            .sent_times
            .partition_point(|&(last, _)| last < report.seq_seen);
        let &(_, sent) = self.sent_times.get(at)?;
        let held = Duration::from_micros(report.held_us.into());
        now.checked_duration_since(sent)?.checked_sub(held)
    }
}
