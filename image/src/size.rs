//! Sizes for people.

use std::fmt;

/// A number of bytes, shown in decimal units as disks are labelled: `50.0 GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Decimal (SI) units, the ones printed on disks; the first whose value is at
/// least one is used.
const UNITS: [(&str, u64); 5] = [
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, unit)| self.0 >= *unit) {
            Some((name, unit)) => {
                // Tenths are cut, not rounded: a disk is never shown larger than it is.
                let (whole, tenths) = (self.0 / unit, self.0 % unit / (unit / 10));
                write!(f, "{whole}.{tenths} {name}")
            }
            None if self.0 == 1 => f.write_str("1 byte"),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        let shown = |n| ByteSize(n).to_string();
        assert_eq!(shown(0), "0 bytes");
        assert_eq!(shown(1), "1 byte");
        assert_eq!(shown(999), "999 bytes");
        assert_eq!(shown(1_000), "1.0 kB");
        assert_eq!(shown(262_144), "262.1 kB");
        assert_eq!(shown(50_000_000_000), "50.0 GB");
        assert_eq!(shown(999_999_999_999), "999.9 GB");
        assert_eq!(shown(u64::MAX), "18446.7 PB");
    }
}
