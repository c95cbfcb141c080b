//! Sizes on the command lines of the measuring programs.

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

#[cfg(test)]
mod tests {
    use super::parse_size;

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
