//! Whether a room ended with the truth on both sides.

use mimeo_protocol::ids::ReceiverNumber;
use mimeo_protocol::sender::MemberState;

use super::{Ending, Incarnation, Room};

/// What a room ended with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Untruths: what somebody believes and what is so.
    pub lies: Vec<String>,
    /// Receivers that have the image and say so.
    pub finished: usize,
    /// Receivers that say that they failed or were refused.
    pub failed: usize,
    /// Receivers that were switched off.
    pub killed: usize,
    /// Receivers that the sender says have the image.
    pub confirmed: usize,
}

impl Room {
    /// What the sender believes of a receiver.
    #[must_use]
    pub fn member(&self, number: ReceiverNumber) -> Option<&MemberState> {
        let roster = self.operator.endpoint.session().roster();
        roster.member(number).map(|member| &member.state)
    }

    /// What the sender believes of the last receiver that ran on a machine.
    #[must_use]
    pub fn member_on(&self, machine: usize) -> Option<&MemberState> {
        self.member_of(self.machines[machine].last())
    }

    /// What the sender of its last session believes of a receiver.
    fn member_of(&self, life: &Incarnation) -> Option<&MemberState> {
        let roster = self.operator_of(life).endpoint.session().roster();
        roster.member(life.number?).map(|member| &member.state)
    }

    /// Compares what everybody believes with what is so.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for (index, machine) in self.machines.iter().enumerate() {
            for life in &machine.lives {
                if let Some(lie) = self.lie_of(life, &mut verdict) {
                    verdict.lies.push(format!("pc{index}: {lie}"));
                }
            }
            let differs = |life: &Incarnation| {
                let finished = matches!(life.ending, Some(Ending::Finished { .. }));
                finished && !machine.target.holds(self.operator_of(life).source.image())
            };
            if machine.lives.last().is_some_and(differs) {
                verdict
                    .lies
                    .push(format!("pc{index}: its disk differs in the end"));
            }
        }
        verdict
    }

    fn lie_of(&self, life: &Incarnation, verdict: &mut Verdict) -> Option<String> {
        let state = self.member_of(life);
        let confirmed = state == Some(&MemberState::Confirmed);
        verdict.confirmed += usize::from(confirmed);
        let lie = match life.ending.as_ref() {
            None => "did not end",
            Some(Ending::Finished { acknowledged }) => {
                verdict.finished += 1;
                if !life.identical {
                    "says it has the image and has not"
                } else if *acknowledged && !confirmed {
                    "says the sender knows, and it does not"
                } else {
                    return None;
                }
            }
            Some(other) => {
                let killed = *other == Ending::Killed;
                verdict.killed += usize::from(killed);
                verdict.failed += usize::from(!killed);
                // Switched off behind its confirmation it still had the image.
                if confirmed && !(killed && life.identical) {
                    "did not finish, and the sender says it did"
                } else {
                    return None;
                }
            }
        };
        Some(format!("{lie}: {:?}, {state:?}", life.ending))
    }
}
