//! Receivers by what they are doing.

use mimeo_console::human;

use crate::status::{Limit, ReceiverState, ReceiverStatus, Status};

/// `28 receiving, 1 verified, 1 lost`.
pub(crate) fn tally<'a>(receivers: impl IntoIterator<Item = &'a ReceiverStatus>) -> String {
    let mut counts = [0_usize; STATES.len()];
    for receiver in receivers {
        counts[rank(&receiver.state)] += 1;
    }
    let parts = STATES.iter().zip(counts).filter(|(_, count)| *count > 0);
    parts
        .map(|(state, count)| format!("{count} {state}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What people call the states, in the order of [`rank`].
const STATES: [&str; 9] = [
    "failed",
    "lost",
    "silent",
    "slow",
    "receiving",
    "flushing",
    "verifying",
    "waiting",
    "verified",
];

/// How little a receiver needs a look: those in trouble come first, those that are done last.
pub(crate) fn rank(state: &ReceiverState) -> usize {
    match state {
        ReceiverState::Failed(_) => 0,
        ReceiverState::Lost => 1,
        ReceiverState::Silent => 2,
        ReceiverState::Demoted => 3,
        ReceiverState::Receiving => 4,
        ReceiverState::Flushing => 5,
        ReceiverState::Verifying => 6,
        ReceiverState::Waiting => 7,
        ReceiverState::Confirmed => 8,
    }
}

/// What people call a state.
pub(crate) fn label(state: &ReceiverState) -> &'static str {
    STATES[rank(state)]
}

/// Receivers that a session which has not started counts: those that failed or are not heard are not
/// there.
pub(crate) fn present(status: &Status) -> usize {
    let here = |one: &&ReceiverStatus| {
        use ReceiverState::{Failed, Lost, Silent};
        !matches!(one.state, Failed(_) | Lost | Silent)
    };
    status.receivers.iter().filter(here).count()
}

/// What people call a limit.
pub(crate) fn limit(limit: Limit) -> &'static str {
    match limit {
        Limit::Disk => "disk",
        Limit::Processor => "CPU",
        Limit::Network => "network",
    }
}

/// `verifying 45.0 %`: how far the slowest of those is who read their disks back, if anybody does.
pub(crate) fn least_proof(status: &Status) -> Option<String> {
    let len = status.image_len?;
    let verifying = |one: &&ReceiverStatus| one.state == ReceiverState::Verifying;
    let proved = status.receivers.iter().filter(verifying);
    let least = proved.map(|one| one.bytes_verified).min()?;
    Some(format!("verifying {}", human::percent(least, len)))
}

/// `kept 80.0 %` of the image, of a receiver that held a part of it.
pub(crate) fn kept(one: &ReceiverStatus, image_len: Option<u64>) -> Option<String> {
    let share = human::percent(one.bytes_kept, image_len?);
    (one.bytes_kept > 0).then(|| format!("kept {share}"))
}

/// The largest loss of those that receive, if anybody does.
pub(crate) fn worst_loss(receivers: &[ReceiverStatus]) -> Option<String> {
    receivers
        .iter()
        .filter(|receiver| receiver.state == ReceiverState::Receiving)
        .map(|receiver| receiver.loss)
        .max_by(f64::total_cmp)
        .map(human::share)
}
