//! From values to pixels.

/// How many times larger the largest value must be than the smallest to be drawn in decades.
const WIDE: f64 = 8.0;

/// One direction of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    kind: Kind,
    /// The values at the ends.
    low: f64,
    high: f64,
    /// The pixels at the ends.
    from: f64,
    to: f64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Linear,
    Logarithmic,
}

/// A logarithmic scale for numbers of receivers, in ascending order: rooms are compared by
/// how many times larger they are. A single number is in the middle.
pub(super) fn doublings(counts: &[u16], from: f64, to: f64) -> Scale {
    let ends = counts.first().zip(counts.last());
    let (low, high) = ends.map_or((1.0, 1.0), |(a, b)| (f64::from(*a), f64::from(*b)));
    Scale {
        kind: Kind::Logarithmic,
        low,
        high,
        from,
        to,
    }
}

impl Scale {
    /// A scale that holds all values, which are above 0: from 0 if they are near each other,
    /// else logarithmic.
    pub(super) fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(0.0, f64::max);
        let (kind, low, high) = if !(low.is_finite() && low > 0.0) {
            (Kind::Linear, 0.0, 1.0)
        } else if high / low > WIDE {
            let ceiling = 1.0 / round_down(1.0 / high);
            (Kind::Logarithmic, round_down(low), ceiling)
        } else {
            (Kind::Linear, 0.0, high * 1.05)
        };
        Self {
            kind,
            low,
            high,
            from,
            to,
        }
    }

    /// Where a value is.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        // A scale without extent has everything in the middle.
        let share = if share.is_finite() { share } else { 0.5 };
        self.from + (self.to - self.from) * share
    }

    /// Round values on the scale.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let steps: Vec<f64> = match self.kind {
            Kind::Linear => {
                let step = round_down(self.high / 4.0);
                (0..)
                    .map(|n| f64::from(n) * step)
                    .take_while(|v| *v <= self.high)
                    .collect()
            }
            Kind::Logarithmic => {
                let decades = -9..=9;
                let all = decades.flat_map(|n| [1.0, 2.0, 5.0].map(|m| exact(m, n)));
                // A hair of tolerance: the ends are round values that were computed.
                all.filter(|v| (self.low * 0.999..=self.high * 1.001).contains(v))
                    .collect()
            }
        };
        steps.into_iter().map(tidy).collect()
    }

    /// What to say of the scale behind its unit.
    pub(super) fn note(&self) -> &'static str {
        match self.kind {
            Kind::Linear => "",
            Kind::Logarithmic => " (logarithmic)",
        }
    }
}

/// The largest of 1, 2 and 5 times a power of ten that is not above `value`.
fn round_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|digit| digit * power <= value);
    digit.unwrap_or(1.0) * power
}

fn exact(digit: f64, power: i32) -> f64 {
    digit * 10f64.powi(power)
}

/// Without the last binary digits, which would show: 0.30000000000000004.
fn tidy(value: f64) -> f64 {
    format!("{value:.6}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64]) -> Scale {
        Scale::over(values.iter().copied(), 100.0, 0.0)
    }

    #[test]
    fn values_near_each_other_start_at_nothing() {
        let scale = scale(&[2.0, 4.0]);
        assert_eq!(scale.ticks(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(scale.at(0.0), 100.0);
        assert_eq!(scale.note(), "");
    }

    #[test]
    fn values_far_apart_are_in_decades() {
        let scale = scale(&[0.22, 17.0]);
        assert_eq!(scale.ticks(), [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert!((scale.at(0.2) - 100.0).abs() < 1e-9 && scale.at(20.0).abs() < 1e-9);
        assert!((scale.at(2.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn rounding_keeps_a_digit() {
        for (value, round) in [(0.22, 0.2), (1.0, 1.0), (7.0, 5.0), (49.0, 20.0)] {
            assert!((round_down(value) - round).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn one_number_is_in_the_middle_and_none_is_no_trouble() {
        assert_eq!(doublings(&[8], 0.0, 100.0).at(8.0), 50.0);
        assert_eq!(doublings(&[], 0.0, 100.0).at(1.0), 50.0);
        assert_eq!(doublings(&[1, 4, 16], 0.0, 100.0).at(4.0), 50.0);
        assert!(!scale(&[]).ticks().is_empty());
    }
}
