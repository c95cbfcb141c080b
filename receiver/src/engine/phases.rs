//! How long the receiver was in which phase.

use std::time::Instant;

use mimeo_protocol::wire::Stage;

use crate::status::PhaseTimes;

/// Adds up the time in each stage of the session.
#[derive(Debug)]
pub(super) struct Phases {
    times: PhaseTimes,
    stage: Stage,
    since: Instant,
}

impl Phases {
    /// All time since `opened` is waiting until there is another stage.
    pub(super) fn new(opened: Instant) -> Self {
        Self {
            times: PhaseTimes::default(),
            stage: Stage::Waiting,
            since: opened,
        }
    }

    /// The session is in this stage now; until now it was in the last one that was told.
    pub(super) fn observe(&mut self, stage: Stage, now: Instant) -> PhaseTimes {
        let passed = now.saturating_duration_since(self.since);
        match self.stage {
            Stage::Waiting => self.times.waiting += passed,
            Stage::Receiving => self.times.receiving += passed,
            Stage::Flushing => self.times.flushing += passed,
            Stage::Verifying => self.times.verifying += passed,
            // Telling the sender is not counted.
            Stage::Complete => {}
        }
        self.stage = stage;
        self.since = now;
        self.times
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_phase_gets_the_time_until_the_next() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut phases = Phases::new(start);
        for (stage, seconds) in [
            (Stage::Waiting, 1),
            (Stage::Receiving, 3),
            (Stage::Receiving, 10),
            (Stage::Flushing, 14),
            (Stage::Verifying, 19),
            (Stage::Complete, 50),
        ] {
            phases.observe(stage, at(seconds));
        }
        let seconds = Duration::from_secs;
        let expected = PhaseTimes {
            waiting: seconds(3),
            receiving: seconds(11),
            flushing: seconds(5),
            verifying: seconds(31),
        };
        assert_eq!(phases.observe(Stage::Complete, at(99)), expected);
    }
}
