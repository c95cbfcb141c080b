//! Rates and repair symbols on the command line.

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::Parity;

/// Repair symbols that a full raw block has room for: 187 + 68 = 255 symbols of GF(2^8).
const MAX_PARITY: u8 = 68;

/// The largest rate that is taken, in bit/s: beyond any network card, and exact in an `f64`.
const MAX_RATE: f64 = 1e13;

/// Reads a rate: bit/s, or with `k`, `M` or `G` behind it.
///
/// # Errors
///
/// Says what is expected, for everything else and for what is too slow to end a session.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let wrong =
        || format!("expected a rate in bit/s such as 900M or 2.5G (at least 1M), found {text:?}");
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 'k')) => (&text[..at], 1e3),
        Some((at, 'M')) => (&text[..at], 1e6),
        Some((at, 'G')) => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    if !number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Err(wrong());
    }
    let value = number.parse::<f64>().map_err(|_| wrong())? * unit;
    if (Rate::FLOOR.0 as f64..=MAX_RATE).contains(&value) {
        Ok(Rate(value.round() as u64))
    } else {
        Err(wrong())
    }
}

/// Reads a number of repair symbols, or `auto`.
///
/// # Errors
///
/// Says what is expected, for everything else.
pub(crate) fn parity(text: &str) -> Result<Parity, String> {
    if text == "auto" {
        return Ok(Parity::Auto);
    }
    match text.parse() {
        Ok(symbols) if symbols <= MAX_PARITY => Ok(Parity::Fixed(symbols)),
        _ => Err(format!(
            "expected auto or 0 to {MAX_PARITY}, found {text:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_decimal_units() {
        assert_eq!(rate("900M"), Ok(Rate(900_000_000)));
        assert_eq!(rate("2.5G"), Ok(Rate(2_500_000_000)));
        assert_eq!(rate("5000k"), Ok(Rate(5_000_000)));
        assert_eq!(rate("1000000"), Ok(Rate::FLOOR));
        assert_eq!(rate("10000G"), Ok(Rate(10_000_000_000_000)));
    }

    #[test]
    fn what_is_no_rate_or_too_slow_is_refused_with_an_example() {
        for text in [
            "", "M", "900m", "900 M", "-1G", "1e9", "inf", "NaN", "1.2.3M", "fast", "0", "999k",
            "10001G", "900Mbit", "9é",
        ] {
            let error = rate(text).unwrap_err();
            assert!(
                error.contains("900M") && error.contains(&format!("{text:?}")),
                "{error}"
            );
        }
    }

    #[test]
    fn parity_is_a_number_that_fits_a_block_or_auto() {
        assert_eq!(parity("auto"), Ok(Parity::Auto));
        assert_eq!(parity("0"), Ok(Parity::Fixed(0)));
        assert_eq!(parity("68"), Ok(Parity::Fixed(68)));
        for text in ["", "69", "256", "-1", "Auto", "1.5"] {
            assert!(parity(text).unwrap_err().contains("0 to 68"), "{text}");
        }
    }
}
