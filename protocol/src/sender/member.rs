//! One receiver as the sender sees it: what it is, how it stands, and what it last said.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::budget::Account;
use super::stragglers::Slow;
use crate::ids::{Cycle, Mac, Seq};
use crate::units::BlockNumber;
use crate::wire::{FailCode, ReadBack, Report, SlowReason, Stage};

/// A receiver that reports but catches nothing of the group for this long no longer gates the
/// stream: ten position datagrams. The group does not reach it, and it would hold up the room.
const DEAF_AFTER: Duration = Duration::from_secs(1);

/// What a receiver said about itself when it joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The machine's name.
    pub host_name: String,
    /// Its hardware address.
    pub mac: Mac,
    /// Tells its targets apart.
    pub target_id: u64,
    /// Mbit/s, 0 where unknown.
    pub link_speed: u32,
    /// Bytes that its target holds.
    pub capacity: u64,
    /// Whether it keeps what its target holds of the image already.
    pub resumes: bool,
    /// Whether its target is a pipe, so that somebody else reads what it writes.
    pub piped: bool,
    /// Where it is reached.
    pub address: SocketAddr,
}

/// State of a receiver as the sender sees it.
///
/// ```text
/// Admitted --first report--> Active <--report--- Silent, Lost
/// Active --3 intervals, or nothing caught--> Silent --10 s--> Lost
/// Active --too slow--> Demoted --keeps up, or a cycle for it begins--> Active
/// Demoted --10 s--> Lost
/// any of these --confirm--> Confirmed, --fail, refuse--> Failed
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberState {
    /// Welcomed; has not proved yet that it holds the secret.
    Admitted,
    /// Heard lately: gates the stream.
    Active,
    /// Heard, but too slow for the others: keeps what it catches, does not gate, and is served
    /// in a later cycle.
    Demoted {
        /// What makes it slow.
        reason: SlowReason,
    },
    /// Not heard for some report intervals, or does not hear: no longer gates.
    Silent,
    /// Not heard for 10 s: the session does not wait for it.
    Lost,
    /// Verified, flushed, and it said so.
    Confirmed,
    /// It gave up, or the session gave it up.
    Failed {
        /// The kind of failure.
        code: FailCode,
        /// For the operator.
        text: String,
    },
}

impl MemberState {
    /// Whether nothing further is expected of the receiver.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Confirmed | Self::Failed { .. })
    }

    /// Whether the end of the session does not wait for the receiver.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_final() || matches!(self, Self::Lost | Self::Admitted)
    }

    /// Whether the receiver is demoted.
    #[must_use]
    pub fn is_demoted(&self) -> bool {
        matches!(self, Self::Demoted { .. })
    }

    /// Whether the receiver is heard and not done.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        *self == Self::Active || self.is_demoted()
    }
}

/// What a report shows about whether the group reaches its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// As before.
    Well,
    /// Its first report.
    First,
    /// It was silent or lost.
    Back,
    /// Nothing of the group reaches it.
    Nothing,
    /// Nothing of the group reaches it, but it was thought lost.
    NothingYetAlive,
}

/// One receiver.
#[derive(Debug, Clone)]
pub struct Member {
    /// What it said about itself.
    pub about: About,
    /// Its state.
    pub state: MemberState,
    /// When it joined.
    pub joined_at: Instant,
    /// The datagram that was last sent when it joined.
    pub joined_seq: Seq,
    /// The cycle in which it joined, and the blocks that had been begun in it: those come to
    /// it in a later cycle.
    pub joined_in: (Cycle, BlockNumber),
    /// When it was last heard.
    pub heard_at: Instant,
    /// When its reports last told of a datagram of the group that they had not told of before.
    pub caught_at: Instant,
    /// When its reports last told of something that it had done.
    pub moved_at: Instant,
    /// Whether the operator was told that much is sent for it alone.
    pub told_of_cost: bool,
    /// Whether another receiver says to be this one, from another address.
    pub disputed: bool,
    /// How often its standing to the group has changed.
    pub turn: u16,
    /// When it was last told how it stands.
    pub told_at: Option<Instant>,
    /// When it was last told where the stream is, as it had reported what cannot be.
    pub put_right_at: Option<Instant>,
    /// Whether its newest report granted more than was begun when it came.
    pub ahead: bool,
    /// How slow it was found to be, if it ever was.
    pub slow: Option<Slow>,
    /// Its newest report.
    pub report: Option<Report>,
    /// What was sent because of it alone.
    pub account: Account,
    /// When it confirmed or failed.
    pub settled_at: Option<Instant>,
    /// Whether it was silent or lost and came back.
    pub was_away: bool,
    /// Round trip to it, as its newest report shows.
    pub round_trip: Option<Duration>,
    /// Whether its target was read back, as its confirmation says.
    pub read_back: ReadBack,
}

impl Member {
    /// Blocks of a cycle below the returned one are not repaired for this receiver now.
    #[must_use]
    pub fn deferred_below(&self, cycle: Cycle) -> BlockNumber {
        if self.joined_in.0 == cycle {
            self.joined_in.1
        } else {
            BlockNumber(0)
        }
    }

    /// Whether it is the same receiver as an older entry, started again: on the same machine, at the
    /// same address, with the same target. What it says of its machine any member can say too, so an
    /// entry does not vanish for one from somewhere else. Where one of them has no hardware address,
    /// the machine is the one with the same name and address, and the older was silent when the newer
    /// came: two receivers may run side by side there.
    #[must_use]
    pub fn takes_the_place_of(&self, old: &Self) -> bool {
        let (new, about) = (&self.about, &old.about);
        let machine = if new.mac != Mac::default() && about.mac != Mac::default() {
            new.mac == about.mac
        } else {
            let named = (&new.host_name, new.address.ip());
            named == (&about.host_name, about.address.ip()) && old.heard_at < self.joined_at
        };
        machine && self.says_to_be(old) && new.address.ip() == about.address.ip()
    }

    /// Whether it names the same machine, where both have a hardware address, and the same target.
    #[must_use]
    pub fn says_to_be(&self, old: &Self) -> bool {
        let (new, about) = (&self.about, &old.about);
        let known = new.mac != Mac::default() && about.mac != Mac::default();
        (!known || new.mac == about.mac) && new.target_id == about.target_id
    }

    /// The last group datagram that it is known to have seen.
    #[must_use]
    pub fn seq_seen(&self) -> Seq {
        let reported = self
            .report
            .as_ref()
            .map_or(Seq(0), |report| report.seq_seen);
        reported.max(self.joined_seq)
    }

    /// Share of the datagrams sent to it that did not arrive, 0..=1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.report.as_ref().map_or(0.0, |report| {
            let lost = report.expected.saturating_sub(report.received);
            lost as f64 / report.expected.max(1) as f64
        })
    }

    /// Whether nothing of the group reaches it, in a session that is `running`.
    #[must_use]
    pub fn is_deaf(&self, now: Instant, running: bool, patience: Duration) -> bool {
        let quiet = now.saturating_duration_since(self.caught_at);
        running && quiet >= patience.max(DEAF_AFTER)
    }

    /// Takes in its newest report; its state is not final.
    pub fn on_report(
        &mut self,
        now: Instant,
        report: Report,
        running: bool,
        patience: Duration,
    ) -> Hearing {
        if report.seq_seen > self.seq_seen() {
            self.caught_at = now;
        }
        if self.report.as_ref().map(done) != Some(done(&report)) {
            self.moved_at = now;
        }
        self.heard_at = now;
        self.report = Some(report);
        let before = self.state.clone();
        if before.is_demoted() {
            return Hearing::Well;
        }
        if before != MemberState::Admitted && self.is_deaf(now, running, patience) {
            if before == MemberState::Lost {
                self.state = MemberState::Silent;
                return Hearing::NothingYetAlive;
            }
            return Hearing::Nothing;
        }
        self.state = MemberState::Active;
        match before {
            MemberState::Active => Hearing::Well,
            MemberState::Admitted => Hearing::First,
            _ => {
                self.was_away = true;
                Hearing::Back
            }
        }
    }

    /// Whether the next burst of `datagrams` after `last` fits its socket.
    #[must_use]
    pub fn window_fits(&self, last: Seq, datagrams: usize) -> bool {
        let window = self.report.as_ref().map_or(0, |report| report.window);
        let in_flight = last.0.saturating_sub(self.seq_seen().0);
        // A socket that cannot hold one burst still gets one at a time.
        in_flight == 0 || in_flight + datagrams as u64 <= u64::from(window)
    }

    /// Whether the stream goes no further than this receiver lets it.
    pub(super) fn is_gating(&self) -> bool {
        self.state == MemberState::Active
    }
}

/// What a report says that its receiver has done: none of it changes while it only waits, or while a
/// write of it does not return.
fn done(report: &Report) -> (Stage, [u64; 4], [u32; 2]) {
    let bytes = [
        report.bytes_written,
        report.bytes_kept,
        report.bytes_verified,
        report.blocks_done.into(),
    ];
    (
        report.stage,
        bytes,
        [report.pages_up_to.0, report.complete_up_to.0],
    )
}
