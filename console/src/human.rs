//! Numbers and names for people: rates, times, shares, and text from the network made safe for
//! a terminal.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Bits per second in decimal units: `941.2 Mbit/s`.
#[must_use]
pub fn rate(bits_per_second: u64) -> String {
    let value = bits_per_second as f64;
    // From here on one more digit of the unit below would show as "1000.0".
    match bits_per_second {
        999_950_000.. => format!("{:.2} Gbit/s", value / 1e9),
        999_950.. => format!("{:.1} Mbit/s", value / 1e6),
        1000.. => format!("{:.1} kbit/s", value / 1e3),
        _ => format!("{bits_per_second} bit/s"),
    }
}

/// Minutes and seconds, with hours where there are any: `7:05`, `1:07:05`.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// Whole seconds, and tenths where there are few: `10 s`, `0.5 s`.
#[must_use]
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        few if few < 9.95 => format!("{few:.1} s"),
        many => format!("{many:.0} s"),
    }
}

/// A share from 0 to 1 in per cent: `1.2 %`.
#[must_use]
pub fn share(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// How much of a known whole is there, cut to tenths: only all of it is `100.0 %`.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part.min(whole)) * 1000 / u128::from(whole.max(1));
    let tenths = if whole == 0 { 1000 } else { tenths };
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Text from elsewhere without what could steer or confuse a terminal: control characters, those
/// without a width of their own, such as the ones that turn the writing direction, and line breaks
/// of Unicode.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c.width() {
            Some(1..) if !matches!(c, '\u{2028}' | '\u{2029}') => c,
            _ => '?',
        })
        .collect()
}

/// Cells that a text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Cuts a text to a number of cells; a cut is marked by `~`.
#[must_use]
pub fn fit(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > cells {
            break;
        }
        out.push(c);
    }
    if cells > 0 {
        out.push('~');
    }
    out
}

/// Cuts or fills a text to exactly a number of cells.
#[must_use]
pub fn pad(text: &str, cells: usize) -> String {
    let mut out = fit(text, cells);
    let missing = cells.saturating_sub(width(&out));
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// A bar in plain characters, which every console's font has.
#[must_use]
pub fn bar(part: u64, whole: u64, cells: usize) -> String {
    let inner = cells.saturating_sub(2);
    let filled = u128::from(part.min(whole)) * inner as u128 / u128::from(whole.max(1));
    let filled = usize::try_from(filled).unwrap_or(inner);
    let mut out = String::from("[");
    out.extend(std::iter::repeat_n('=', filled));
    if filled < inner {
        out.push('>');
    }
    out.extend(std::iter::repeat_n(' ', inner.saturating_sub(filled + 1)));
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shown_in_the_unit_that_fits() {
        assert_eq!(rate(0), "0 bit/s");
        assert_eq!(rate(999), "999 bit/s");
        assert_eq!(rate(64_000), "64.0 kbit/s");
        assert_eq!(rate(941_234_000), "941.2 Mbit/s");
        assert_eq!(rate(999_949_999), "999.9 Mbit/s");
        assert_eq!(rate(999_999_999), "1.00 Gbit/s");
        assert_eq!(rate(2_500_000_000), "2.50 Gbit/s");
    }

    #[test]
    fn times_are_shown_like_a_clock() {
        assert_eq!(clock(Duration::from_millis(999)), "0:00");
        assert_eq!(clock(Duration::from_secs(425)), "7:05");
        assert_eq!(clock(Duration::from_secs(4025)), "1:07:05");
    }

    #[test]
    fn few_seconds_have_tenths() {
        assert_eq!(seconds(Duration::from_millis(500)), "0.5 s");
        assert_eq!(seconds(Duration::from_millis(9949)), "9.9 s");
        assert_eq!(seconds(Duration::from_millis(10_007)), "10 s");
        assert_eq!(seconds(Duration::from_secs(125)), "125 s");
    }

    #[test]
    fn only_all_of_it_is_a_hundred_per_cent() {
        assert_eq!(percent(0, 10), "0.0 %");
        assert_eq!(percent(9_999_999, 10_000_000), "99.9 %");
        assert_eq!(percent(10, 10), "100.0 %");
        assert_eq!(percent(11, 10), "100.0 %");
        assert_eq!(percent(0, 0), "100.0 %");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0 %");
        assert_eq!(share(0.0123), "1.2 %");
    }

    #[test]
    fn text_from_the_network_cannot_steer_the_terminal() {
        assert_eq!(clean("pc\u{1b}[2J\u{7}-1\n"), "pc?[2J?-1?");
        assert_eq!(clean("a\u{202e}b\u{200b}\u{85}"), "a?b??");
        assert_eq!(clean("a\u{2028}b\u{2029}"), "a?b?");
        assert_eq!(clean("Prüfung 教室"), "Prüfung 教室");
    }

    #[test]
    fn text_is_cut_and_filled_by_cells() {
        assert_eq!(fit("classroom", 9), "classroom");
        assert_eq!(fit("classroom", 5), "clas~");
        assert_eq!(fit("教室教室", 5), "教室~");
        assert_eq!(fit("教室教室", 4), "教~");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(pad("教室教室", 4), "教~ ");
    }

    #[test]
    fn a_bar_fills_from_left_to_right() {
        assert_eq!(bar(0, 100, 12), "[>         ]");
        assert_eq!(bar(50, 100, 12), "[=====>    ]");
        assert_eq!(bar(99, 100, 12), "[=========>]");
        assert_eq!(bar(100, 100, 12), "[==========]");
    }
}
