//! How much may be sent.

/// Source symbols of a full raw block.
const K: u32 = 187;

/// The goal for the overhead of `receivers` that lose datagrams independently with probability
/// `loss`: 1.1 times that of a sender that wastes no symbol, and half a percentage point. A share
/// of what is needed, for images of incompressible blocks.
///
/// A sender that in each round sends exactly the largest remaining deficit in fresh parity sends
/// (k + E\[L\]) / k symbols for each (Nonnenmacher, Biersack and Towsley, SIGCOMM 1997), where
/// F(m) = sum over j in 0..=m of C(k+j-1, j) p^j (1-p)^k is the probability that m extra symbols
/// are enough for one receiver, and E\[L\] = sum over m of 1 - F(m)^R.
#[must_use]
pub fn allowed_overhead(receivers: u16, loss: f64) -> f64 {
    1.1 * expected(receivers, loss) + 0.005
}

fn expected(receivers: u16, loss: f64) -> f64 {
    let mut term = (1.0 - loss).powi(i32::try_from(K).expect("it is small"));
    let (mut enough, mut extra) = (0.0, 0.0);
    for extra_symbols in 0..20 * K {
        enough += term;
        extra += 1.0 - f64::min(enough, 1.0).powi(receivers.into());
        term *= loss * f64::from(K + extra_symbols) / f64::from(extra_symbols + 1);
    }
    extra / f64::from(K)
}

#[cfg(test)]
mod tests {
    use super::expected;

    #[test]
    fn agrees_with_the_table() {
        // In percent, k = 187.
        for (loss, receivers, percent) in [
            (0.001, 1, 0.10),
            (0.001, 1000, 1.43),
            (0.01, 1, 1.01),
            (0.01, 8, 2.16),
            (0.01, 30, 2.77),
            (0.05, 1, 5.26),
            (0.05, 8, 7.83),
            (0.05, 100, 10.08),
        ] {
            let found = expected(receivers, loss) * 100.0;
            assert!(
                (found - percent).abs() < 0.006,
                "{loss} {receivers}: {found}"
            );
        }
    }
}
