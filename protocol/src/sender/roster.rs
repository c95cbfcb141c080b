//! Who is in the room, and what each receiver last said.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::grants::Grants;
pub use super::member::{About, Hearing, Member, MemberState};
use crate::ids::{Mac, ReceiverNumber, Seq, Slot};
use crate::wire::{Report, Stage};

/// A receiver that is silent for this long is lost; one that is heard again is back.
pub const LOST_AFTER: Duration = Duration::from_secs(10);

/// Missed reports after which a receiver no longer gates the stream.
const SILENT_REPORTS: u32 = 3;

/// Without a second cycle a receiver that falls out of the window is out for good, so a
/// stream of unknown length has more patience than one that can be sent again.
pub const STREAM_PATIENCE: Duration = Duration::from_secs(3);

/// An entry that was welcomed and never proved its key is forgotten after this long.
const UNPROVEN_FOR: Duration = Duration::from_secs(15);

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
            member.moved_at = (member.moved_at + gap).min(now);
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
    /// that was started again. One that is heard, or that confirmed, is never taken out. Returns each
    /// with the one that took its place.
    pub fn take_superseded(&mut self) -> Vec<(ReceiverNumber, ReceiverNumber)> {
        let superseded = self.followed(Member::takes_the_place_of);
        self.grants.take();
        for (old, _) in &superseded {
            self.members.remove(old);
        }
        superseded
    }

    /// Entries that stay although somebody at another address says to be their receiver, each with
    /// that one; each is told once.
    pub fn dispute(&mut self) -> Vec<(ReceiverNumber, ReceiverNumber)> {
        let disputed = self.followed(|new, old| {
            let elsewhere = new.about.address.ip() != old.about.address.ip();
            let named = new.about.mac != Mac::default() && old.about.mac != Mac::default();
            elsewhere && named && !old.disputed && new.says_to_be(old)
        });
        for (old, _) in &disputed {
            if let Some(member) = self.members.get_mut(old) {
                member.disputed = true;
            }
        }
        disputed
    }

    /// Entries of which nothing is heard any more, each with a newer one that `is_it` is true of.
    fn followed(
        &self,
        is_it: impl Fn(&Member, &Member) -> bool,
    ) -> Vec<(ReceiverNumber, ReceiverNumber)> {
        let gone = |state: &MemberState| {
            matches!(
                state,
                MemberState::Silent | MemberState::Lost | MemberState::Failed { .. }
            )
        };
        let newer = |number: ReceiverNumber, old: &Member| {
            let mut others = self.members().filter(|&(other, member)| {
                let alive = member.state.is_heard() || member.state == MemberState::Confirmed;
                // Numbers may be given again, but not in the order of joining.
                let is_newer = (member.joined_at, other) > (old.joined_at, number);
                is_newer && alive && is_it(member, old)
            });
            others.next().map(|(new, _)| new)
        };
        let old = self.members().filter(|(_, member)| gone(&member.state));
        old.filter_map(|(number, member)| Some((number, newer(number, member)?)))
            .collect()
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
