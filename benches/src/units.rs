//! Sizes and rates on the command lines of the measuring programs.

/// Units of sizes, the longest names first.
const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Reads a size: bytes, or a whole number with `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`
/// or `B` behind it.
///
/// # Errors
///
/// Says what is expected, for everything else and for 0.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let unit = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let size = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    size.filter(|&size| size > 0)
        .ok_or_else(|| format!("expected a size such as 512MiB or 2GiB, found {text:?}"))
}

/// Reads a rate in bits per second: a number, which may have a decimal point, with `k`, `M`
/// or `G` (powers of 1000) behind it.
///
/// # Errors
///
/// Says what is expected, for everything else and for less than 1.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
pub fn parse_rate(text: &str) -> Result<u64, String> {
    let unit = [("k", 1e3), ("M", 1e6), ("G", 1e9)]
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (number, unit) = unit.unwrap_or((text, 1.0));
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let number = number
        .parse::<f64>()
        .ok()
        .filter(|_| number.chars().all(digits));
    let rate = number.map(|number| (number * unit).round());
    rate.filter(|rate| (1.0..1e15).contains(rate))
        .map(|rate| rate as u64)
        .ok_or_else(|| format!("expected a rate such as 900M or 2.5G, found {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::{parse_rate, parse_size};

    #[test]
    fn rates_are_read_with_and_without_a_unit() {
        for (text, rate) in [
            ("800", 800),
            ("64k", 64_000),
            ("100M", 100_000_000),
            ("2.5G", 2_500_000_000),
        ] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for text in ["", "0", "M", "-1M", "1e3", "inf", "NaN", "1T", "1 M", "0.4"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, size) in [
            ("1", 1),
            ("17B", 17),
            ("3kB", 3000),
            ("3KiB", 3072),
            ("512MiB", 512 << 20),
            ("2GB", 2_000_000_000),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in [
            "",
            "0",
            "0MiB",
            "MiB",
            "-1",
            "1.5GiB",
            "1 GiB",
            "1TiB",
            "99999999999GiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
