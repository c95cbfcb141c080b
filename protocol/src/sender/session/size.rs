//! What a receiver costs the sender in memory.

use super::Session;
use crate::ids::ReceiverNumber;
use crate::sender::roster::Member;
use crate::wire::{Deficit, PageRun, Spoiled};

impl Session {
    /// Bytes that the state machine holds for those of its receivers that proved themselves, with
    /// what stands on the heap, without the room that maps keep to spare. Their keys are the
    /// endpoint's.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        let members = self
            .roster
            .members()
            .map(|(_, member)| member_bytes(member));
        members.sum::<usize>() + self.controller.state_bytes()
    }
}

fn member_bytes(member: &Member) -> usize {
    let runs = member.report.as_ref().map_or(0, |report| {
        report.deficits.capacity() * size_of::<Deficit>()
            + report.missing_pages.capacity() * size_of::<PageRun>()
            + report.spoiled.capacity() * size_of::<Spoiled>()
    });
    size_of::<ReceiverNumber>() + size_of::<Member>() + member.about.host_name.capacity() + runs
}
