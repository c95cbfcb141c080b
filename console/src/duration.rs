//! Times on the command line: `500ms`, `10s`, `5m`, `2h`.

use std::time::Duration;

/// The longest time that is taken: beyond it a mistyped number is likelier than an intention,
/// and sums of moments and times stay far from their ends.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

const UNITS: [(&str, f64); 5] = [
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86400.0),
];

/// Reads a number with a unit; `0` needs none.
///
/// # Errors
///
/// Says what is expected, for everything else.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a time such as 500ms, 10s, 5m or 2h, found {text:?}");
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let value: f64 = number.parse().map_err(|_| wrong())?;
    if unit.is_empty() && value == 0.0 {
        return Ok(Duration::ZERO);
    }
    let (_, seconds) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    Duration::try_from_secs_f64(value * seconds)
        .ok()
        .filter(|time| *time <= LONGEST)
        .ok_or_else(|| format!("expected a time of at most 365d, found {text:?}"))
}

/// Reads a time that must not be zero: a time-out of zero would end what it guards.
///
/// # Errors
///
/// Says what is expected, for everything else.
pub fn timeout(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err(format!(
            "expected a time above 0 such as 10m, found {text:?}"
        )),
        time => Ok(time),
    }
}

/// Shows a time as [`parse`] reads it, in the largest unit that divides it.
#[must_use]
pub fn show(time: Duration) -> String {
    let millis = time.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        let read = |text| parse(text).unwrap().as_millis();
        assert_eq!(read("500ms"), 500);
        assert_eq!(read("10s"), 10_000);
        assert_eq!(read("1.5s"), 1_500);
        assert_eq!(read("5m"), 300_000);
        assert_eq!(read("2h"), 7_200_000);
        assert_eq!(read("365d"), 365 * 86_400_000);
        assert_eq!(read("0"), 0);
        assert_eq!(read("0s"), 0);
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in [
            "", "5", "s", "-5s", "5 s", "5x", "5S", "1e3s", "infs", "nan", "1.2.3s", "5m30", "٣s",
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains("10s") && error.contains(&format!("{text:?}")),
                "{error}"
            );
        }
        for text in ["366d", "99999999999999999999999999h"] {
            assert!(parse(text).unwrap_err().contains("at most 365d"), "{text}");
        }
    }

    #[test]
    fn a_time_out_is_above_zero() {
        assert_eq!(timeout("1ms"), Ok(Duration::from_millis(1)));
        for text in ["0", "0s", "0.0001ms0", "x"] {
            timeout(text).unwrap_err();
        }
    }

    #[test]
    fn times_are_shown_as_they_are_read() {
        for text in ["0s", "1ms", "1500ms", "10s", "90s", "5m", "2h", "48h"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }
}
