//! Who is in the room, and what each receiver last said.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::budget::Account;
use super::grants::Grants;
use super::stragglers::Slow;
use crate::ids::{Cycle, Mac, ReceiverNumber, Seq, Slot};
use crate::units::BlockNumber;
use crate::wire::{FailCode, ReadBack, Report, SlowReason, Stage};

/// A receiver that is silent for this long is lost; one that is heard again is back.
pub const LOST_AFTER: Duration = Duration::from_secs(10);

/// Missed reports after which a receiver no longer gates the stream.
const SILENT_REPORTS: u32 = 3;

/// Without a second cycle a receiver that falls out of the window is out for good, so a
/// stream of unknown length has more patience than one that can be sent again.
pub const STREAM_PATIENCE: Duration = Duration::from_secs(3);

/// A receiver that reports but catches nothing of the group for this long no longer gates the
/// stream: ten position datagrams. The group does not reach it, and it would hold up the room.
const DEAF_AFTER: Duration = Duration::from_secs(1);

/// An entry that was welcomed and never proved its key is forgotten after this long.
const UNPROVEN_FOR: Duration = Duration::from_secs(15);

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

    /// Whether it is the same receiver as an older entry, started again: on the same machine, with
    /// the same target. Where one of them has no hardware address, the machine is the one with the
    /// same name and address, and the older was silent when the newer came: two receivers may run
    /// side by side there.
    #[must_use]
    pub fn takes_the_place_of(&self, old: &Self) -> bool {
        let (new, about) = (&self.about, &old.about);
        let machine = if new.mac != Mac::default() && about.mac != Mac::default() {
            new.mac == about.mac
        } else {
            let named = (&new.host_name, new.address.ip());
            named == (&about.host_name, about.address.ip()) && old.heard_at < self.joined_at
        };
        machine && new.target_id == about.target_id
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

    fn is_gating(&self) -> bool {
        self.state == MemberState::Active
    }
}

/// All receivers of a session by number.
#[derive(Debug, Default)]
pub struct Roster {
    members: BTreeMap<ReceiverNumber, Member>,
    /// Of all that gate, if nothing has changed since it was looked up: that takes a look at each.
    grants: Cell<Option<Grants>>,
}

impl Roster {
    /// Enters a receiver that was welcomed.
    pub fn admit(&mut self, number: ReceiverNumber, member: Member) {
        self.grants.take();
        self.members.insert(number, member);
    }

    /// Entries, proven or not.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.members.len()
    }

    /// A receiver by its number.
    #[must_use]
    pub fn member(&self, number: ReceiverNumber) -> Option<&Member> {
        self.members.get(&number)
    }

    /// A receiver by its number, to be changed.
    pub fn member_mut(&mut self, number: ReceiverNumber) -> Option<&mut Member> {
        self.grants.take();
        self.members.get_mut(&number)
    }

    /// Those that proved that they may be here, whatever became of them.
    pub fn members(&self) -> impl Iterator<Item = (ReceiverNumber, &Member)> {
        let all = self
            .members
            .iter()
            .map(|(&number, member)| (number, member));
        all.filter(|(_, member)| member.state != MemberState::Admitted)
    }

    /// Those that gate the stream.
    pub fn gating(&self) -> impl Iterator<Item = (ReceiverNumber, &Member)> {
        self.members().filter(|(_, member)| member.is_gating())
    }

    /// Those that gate the stream and still need something of it.
    pub fn wanting(&self) -> impl Iterator<Item = (ReceiverNumber, &Member, &Report)> {
        self.gating().filter_map(|(number, member)| {
            let report = member.report.as_ref()?;
            (report.stage != Stage::Complete).then_some((number, member, report))
        })
    }

    fn grants(&self) -> Grants {
        self.grants.get().unwrap_or_else(|| {
            let grants = Grants::of(self.gating().map(|(_, member)| member));
            self.grants.set(Some(grants));
            grants
        })
    }

    /// Receivers that gate the stream.
    #[must_use]
    pub fn present(&self) -> usize {
        self.grants().receivers
    }

    /// Receivers that are demoted.
    pub fn demoted(&self) -> impl Iterator<Item = (ReceiverNumber, &Member)> {
        self.members()
            .filter(|(_, member)| member.state.is_demoted())
    }

    /// Receivers that are heard, whether or not they gate the stream.
    #[must_use]
    pub fn heard(&self) -> usize {
        self.members()
            .filter(|(_, member)| member.state.is_heard())
            .count()
    }

    /// When the first of those that are heard joined.
    #[must_use]
    pub fn first_joined(&self) -> Option<Instant> {
        self.gating().map(|(_, member)| member.joined_at).min()
    }

    /// Slots that all gating receivers have granted; `None` if nobody gates.
    #[must_use]
    pub fn credit(&self) -> Option<Slot> {
        self.grants().credit
    }

    /// Whether the next burst of `datagrams` after `last` fits every gating receiver's socket.
    #[must_use]
    pub fn window_fits(&self, last: Seq, datagrams: usize) -> bool {
        let fits = last.0.saturating_add(datagrams as u64) <= self.grants().window_end.0;
        fits || self
            .gating()
            .all(|(_, member)| member.window_fits(last, datagrams))
    }

    /// Takes out the entries that never proved that they hold the secret.
    pub fn take_unproven(&mut self, now: Instant) -> Vec<About> {
        let unproven = |_: &ReceiverNumber, member: &mut Member| {
            member.state == MemberState::Admitted
                && now.duration_since(member.joined_at) >= UNPROVEN_FOR
        };
        self.grants.take();
        self.members
            .extract_if(.., unproven)
            .map(|(_, member)| member.about)
            .collect()
    }

    /// Data flows from now on: whoever hears the group catches something of it.
    pub fn on_start(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            member.caught_at = now;
        }
    }

    /// The sender itself stood still for this long: nobody's silence in that time counts.
    pub fn forgive(&mut self, now: Instant, gap: Duration) {
        for member in self.members.values_mut() {
            member.heard_at = (member.heard_at + gap).min(now);
            member.caught_at = (member.caught_at + gap).min(now);
        }
    }

    /// Ages the entries. Returns those whose state changed.
    pub fn age(&mut self, now: Instant, running: bool, patience: Duration) -> Vec<ReceiverNumber> {
        self.grants.take();
        let mut changed = Vec::new();
        for (&number, member) in &mut self.members {
            let silence = now.saturating_duration_since(member.heard_at);
            let gone = silence >= patience || member.is_deaf(now, running, patience);
            let state = match member.state {
                MemberState::Active | MemberState::Silent | MemberState::Demoted { .. }
                    if silence >= LOST_AFTER =>
                {
                    MemberState::Lost
                }
                MemberState::Active if gone => MemberState::Silent,
                _ => continue,
            };
            member.state = state;
            changed.push(number);
        }
        changed
    }

    /// Takes out the entries whose machine and target came back under a new number: a receiver
    /// that was started again. One that is heard, or that confirmed, is never taken out.
    pub fn take_superseded(&mut self) -> Vec<ReceiverNumber> {
        let newer = |number: ReceiverNumber, old: &Member| {
            self.members().any(|(other, member)| {
                let alive = member.state.is_heard() || member.state == MemberState::Confirmed;
                other > number && alive && member.takes_the_place_of(old)
            })
        };
        let gone = |state: &MemberState| {
            matches!(
                state,
                MemberState::Silent | MemberState::Lost | MemberState::Failed { .. }
            )
        };
        let superseded: Vec<ReceiverNumber> = self
            .members()
            .filter(|(number, member)| gone(&member.state) && newer(*number, member))
            .map(|(number, _)| number)
            .collect();
        self.grants.take();
        for number in &superseded {
            self.members.remove(number);
        }
        superseded
    }
}

/// How long a receiver may be silent before it stops gating, in a room of `receivers`.
#[must_use]
pub fn patience(receivers: usize) -> Duration {
    SILENT_REPORTS * keepalive(receivers)
}

/// A receiver reports at least this often: max(200 ms, R x 2 ms).
#[must_use]
pub fn keepalive(receivers: usize) -> Duration {
    Duration::from_millis(200.max(2 * receivers as u64))
}
