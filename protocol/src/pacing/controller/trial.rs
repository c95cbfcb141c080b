//! A trial of another rate: what its rounds showed, and the mean of that.

use super::round::{Outcome, Sample};

/// The rounds of a trial so far.
#[derive(Debug, Default)]
pub(super) struct Trial {
    rounds: Vec<Outcome>,
}

impl Trial {
    /// Forgets what was tried.
    pub(super) fn clear(&mut self) {
        self.rounds.clear();
    }

    /// Adds a round to a trial of so many. The last yields the mean of all, for receivers that told
    /// something in each.
    pub(super) fn add(&mut self, outcome: Outcome, of: usize) -> Option<Outcome> {
        self.rounds.push(outcome);
        if self.rounds.len() < of {
            return None;
        }
        let rounds = std::mem::take(&mut self.rounds);
        let count = rounds.len() as f64;
        let mean = |of: &dyn Fn(&Outcome) -> f64| rounds.iter().map(of).sum::<f64>() / count;
        let told = rounds.first().map(|round| round.samples.keys().copied());
        let told = told.into_iter().flatten();
        let told = told.filter(|receiver| rounds.iter().all(|r| r.samples.contains_key(receiver)));
        let samples = told.map(|receiver| {
            let sample = Sample {
                delivered: mean(&|round| round.samples[&receiver].delivered),
                loss: mean(&|round| round.samples[&receiver].loss),
                dropped: false,
            };
            (receiver, sample)
        });
        Some(Outcome {
            samples: samples.collect(),
            sent: mean(&|round| round.sent),
        })
    }
}
