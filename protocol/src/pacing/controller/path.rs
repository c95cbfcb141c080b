//! What is known of the path to one receiver: the loss that it has at any rate, and what it
//! delivered at the last rate that was held.

use super::round::Sample;

/// Weight of a round in the running means.
const WEIGHT: f64 = 0.125;

/// Loss is remarkable when it exceeds the mean by this much, or by so many mean deviations.
const EXCESS_LOSS: f64 = 0.05;
const EXCESS_DEVIATIONS: f64 = 4.0;

/// A path is at its limit when its delivery follows a change of the rate by less than this share ...
const FOLLOWS: f64 = 0.4;
/// ... and one that is known to have a limit by less than this: the limit may lie between both rates.
const FOLLOWS_WHOLLY: f64 = 0.8;

/// A queue on the path overflows when so much more is lost than at any rate.
const OVERFLOW: f64 = 0.02;

/// A path is relieved when its loss falls below this share.
const RELIEVED: f64 = 0.7;

/// Sent and delivered datagrams per second, and the share that was lost.
#[derive(Debug, Clone, Copy)]
struct Reference {
    sent: f64,
    delivered: f64,
    loss: f64,
}

impl Reference {
    fn of(sent: f64, sample: &Sample) -> Self {
        Self {
            sent,
            delivered: sample.delivered,
            loss: sample.loss,
        }
    }

    fn add(&mut self, sent: f64, sample: &Sample) {
        self.sent += WEIGHT * (sent - self.sent);
        self.delivered += WEIGHT * (sample.delivered - self.delivered);
        self.loss += WEIGHT * (sample.loss - self.loss);
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Path {
    loss: f64,
    deviation: f64,
    reference: Option<Reference>,
    /// Whether a queue on the path overflowed before: what it carries is known to be limited.
    overflowed: bool,
    /// Rounds in a row with remarkable loss, and what they showed.
    remarkable: u32,
    remarkable_reference: Option<Reference>,
    carries: Carries,
}

/// What a path is known to carry, in datagrams per second that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Carries {
    /// No more than this, as its delivery did not follow the rate beyond it.
    pub at_most: Option<f64>,
    /// At least this much: it was sent and arrived, but for the loss that the path has anyway.
    pub at_least: f64,
}

impl Path {
    /// The loss at rates below the limit.
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }

    /// The rate, in datagrams per second, of which a limited path delivers what the sample shows,
    /// less the loss that it has at any rate.
    pub(super) fn carries(&self, sample: &Sample) -> f64 {
        sample.delivered / (1.0 - self.loss).max(0.1)
    }

    /// What the path is known to carry.
    pub(super) fn known(&self) -> Carries {
        self.carries
    }

    /// A trial of a rate is over: the path turned out to be at its limit, or delivered.
    pub(super) fn on_tried(&mut self, limited: bool, sample: &Sample) {
        let carries = self.carries(sample);
        if limited {
            self.carries.at_most = Some(carries);
        } else {
            self.carries.at_most = self.carries.at_most.filter(|&most| most > carries);
            self.carries.at_least = self.carries.at_least.max(carries);
        }
    }

    /// Whether delivery did not follow when the rate changed from that of the reference. Without a
    /// reference nothing can be said.
    pub(super) fn is_limited(&self, sent: f64, sample: &Sample) -> bool {
        self.reference.is_some_and(|reference| {
            let change = sent / reference.sent - 1.0;
            let followed = sample.delivered / reference.delivered.max(1.0) - 1.0;
            let follows = match self.overflowed {
                // As much as can be told where what is lost varies anyway.
                true => FOLLOWS_WHOLLY - EXCESS_DEVIATIONS * self.deviation / change.abs(),
                false => FOLLOWS,
            };
            let follows = follows.max(FOLLOWS);
            // Both are positive when the rate rose and negative when it fell.
            change.abs() > 0.01 && followed / change < follows
        })
    }

    /// Whether more is lost than the path loses at any rate, or soon will be, as it was before.
    pub(super) fn overflows(&self, sample: &Sample) -> bool {
        self.overflowed || sample.loss > self.loss + OVERFLOW
    }

    /// Whether a lower rate made the path lose less and not deliver less: it was at its limit.
    pub(super) fn is_relieved(&self, sent: f64, sample: &Sample) -> bool {
        let reference = self.reference.as_ref();
        reference.is_some_and(|reference| sample.loss < RELIEVED * reference.loss)
            && self.is_limited(sent, sample)
    }

    /// A higher rate was carried, and becomes what others are compared with: the loss that the
    /// path has at any rate is at most this.
    pub(super) fn on_raised(&mut self, sent: f64, sample: &Sample) {
        self.loss = match self.reference {
            None => sample.loss,
            Some(_) => self.loss.min(sample.loss),
        };
        self.reference = Some(Reference::of(sent, sample));
    }

    /// A round at a rate that is held.
    pub(super) fn on_held(&mut self, sent: f64, sample: &Sample) {
        // Reports that were delayed and come in a hurry show no more than was sent.
        let carries = self.carries(sample).min(sent);
        self.carries.at_least = self.carries.at_least.max(carries);
        let excess = sample.loss - self.loss;
        let reference = if excess > EXCESS_LOSS.max(EXCESS_DEVIATIONS * self.deviation) {
            self.remarkable += 1;
            &mut self.remarkable_reference
        } else {
            self.remarkable = 0;
            self.remarkable_reference = None;
            self.loss += WEIGHT * excess;
            self.deviation += WEIGHT * (excess.abs() - self.deviation);
            &mut self.reference
        };
        match reference {
            Some(reference) => reference.add(sent, sample),
            None => *reference = Some(Reference::of(sent, sample)),
        }
    }

    /// Whether this many rounds in a row had remarkable loss.
    pub(super) fn is_remarkable(&self, rounds: u32) -> bool {
        self.remarkable >= rounds
    }

    /// The rate is about to be changed because of remarkable loss: what that comes to is compared
    /// with the rounds that had it.
    pub(super) fn doubt(&mut self) {
        if let Some(reference) = self.remarkable_reference.take() {
            self.reference = Some(reference);
        }
    }

    /// The path was relieved: the loss that it has at any rate is at most this.
    pub(super) fn on_relieved(&mut self, sample: &Sample) {
        self.loss = self.loss.min(sample.loss);
        self.overflowed = true;
    }

    /// Remarkable loss turned out not to depend on the rate: it is what the path has.
    pub(super) fn accept(&mut self, sample: &Sample) {
        if self.remarkable > 0 {
            self.loss = sample.loss;
        }
    }

    /// Another rate is held from now on.
    pub(super) fn start_over(&mut self) {
        self.reference = None;
        self.remarkable = 0;
        self.remarkable_reference = None;
    }
}
