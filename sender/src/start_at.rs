//! A moment on the command line: `14:30`, `14:30:00`, or a date and time of RFC 3339.

use std::time::SystemTime;

use jiff::civil::Time;
use jiff::{Timestamp, ToSpan, Zoned};

/// The next moment that `text` names: a time of day is today's, or tomorrow's where today's
/// has passed, in the time zone of `now`.
///
/// # Errors
///
/// Says what is expected, when the text is no moment or one that has passed.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<SystemTime, String> {
    let time = ["%H:%M:%S", "%H:%M"]
        .iter()
        .find_map(|format| Time::strptime(format, text).ok());
    let at = match time {
        Some(time) => next(time, now)
            .ok_or_else(|| format!("{text}: the calendar ends before that; give another time"))?,
        None => text.parse::<Timestamp>().map_err(|_| {
            format!("{text:?}: expected a time of day such as 14:30 or 14:30:00, or a moment such as 2026-11-20T14:30:00+01:00")
        })?,
    };
    if at <= now.timestamp() {
        return Err(format!("{text}: that moment has passed; give a later one"));
    }
    Ok(at.into())
}

fn next(time: Time, now: &Zoned) -> Option<Timestamp> {
    let on = |date: jiff::civil::Date| {
        let zoned = date.to_datetime(time).to_zoned(now.time_zone().clone());
        zoned.ok().map(|zoned| zoned.timestamp())
    };
    let today = on(now.date())?;
    if today > now.timestamp() {
        return Some(today);
    }
    on(now.date().checked_add(1.day()).ok()?)
}

/// Shows a moment in local time, with the date where it is not today's.
pub(crate) fn show(at: SystemTime, now: &Zoned) -> String {
    let Ok(at) = Timestamp::try_from(at) else {
        return "a moment beyond the calendar".to_owned();
    };
    let at = at.to_zoned(now.time_zone().clone());
    if at.date() == now.date() {
        at.strftime("%H:%M:%S").to_string()
    } else {
        at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn now() -> Zoned {
        // 14:00 in a zone two hours east of UTC.
        "2026-11-20T12:00:00Z"
            .parse::<Timestamp>()
            .unwrap()
            .to_zoned(TimeZone::fixed(jiff::tz::offset(2)))
    }

    fn read(text: &str) -> String {
        Timestamp::try_from(parse(text, &now()).unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn a_time_of_day_is_the_next_one_in_local_time() {
        assert_eq!(read("14:30"), "2026-11-20T12:30:00Z");
        assert_eq!(read("14:00:01"), "2026-11-20T12:00:01Z");
        assert_eq!(read("14:00"), "2026-11-21T12:00:00Z");
        assert_eq!(read("00:00"), "2026-11-20T22:00:00Z");
    }

    #[test]
    fn a_moment_of_rfc_3339_is_taken_as_it_is() {
        assert_eq!(read("2026-11-20T14:30:00+01:00"), "2026-11-20T13:30:00Z");
        assert_eq!(read("2027-01-01T00:00:00Z"), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn the_clock_change_moves_a_time_that_does_not_exist() {
        // The last Sunday of March 2026 in Berlin has no 02:30.
        let Ok(zone) = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3") else {
            panic!("a zone of POSIX");
        };
        let now = "2026-03-29T00:00:00Z".parse::<Timestamp>().unwrap();
        let at = parse("02:30", &now.to_zoned(zone)).unwrap();
        assert_eq!(
            Timestamp::try_from(at).unwrap().to_string(),
            "2026-03-29T01:30:00Z"
        );
    }

    #[test]
    fn what_is_no_moment_to_come_is_refused() {
        for text in [
            "",
            "25:00",
            "14:60",
            "14",
            "noon",
            "2026-11-20T14:30:00",
            "14:30:00 x",
        ] {
            let error = parse(text, &now()).unwrap_err();
            assert!(error.contains("expected a time of day"), "{error}");
        }
        for text in ["2026-11-20T12:00:00Z", "1970-01-01T00:00:00Z"] {
            let error = parse(text, &now()).unwrap_err();
            assert!(error.contains("give a later one"), "{error}");
        }
    }

    #[test]
    fn the_date_is_shown_unless_it_is_today() {
        let shown = |text| show(parse(text, &now()).unwrap(), &now());
        assert_eq!(shown("14:30"), "14:30:00");
        assert_eq!(shown("13:30"), "2026-11-21 13:30:00");
    }
}
