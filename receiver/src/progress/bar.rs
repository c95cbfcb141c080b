//! The receiver as a picture: what goes where, and how far it is.

use super::screen::Size;
use super::{doing, figures};
use crate::human;
use crate::progress::trend::Trend;
use crate::status::{Phase, Status};

/// Cells of the longest bar; more would not show more.
const LONGEST_BAR: usize = 40;

/// The lines, none wider than the terminal.
pub(crate) fn block(status: &Status, trend: &Trend, size: Size) -> Vec<String> {
    let mut lines = vec![
        format!("target: {}", human::clean(&status.target)),
        doing(status),
    ];
    let figures = figures(status, trend);
    if !figures.is_empty() {
        let cells = (size.columns / 3).min(LONGEST_BAR);
        let bar = status
            .image_len
            .map(|len| human::bar(status.bytes_written, len, cells));
        let parts: Vec<String> = bar.into_iter().chain(figures).collect();
        lines.push(parts.join("  "));
    }
    if status.phase == Phase::Receiving && status.socket_drops > 0 {
        lines.push(format!(
            "this machine was too slow for {} datagrams",
            status.socket_drops
        ));
    }
    // The last row stays free: the cursor rests there.
    lines.truncate(size.rows.saturating_sub(1).max(1));
    for line in &mut lines {
        // A terminal may wrap a line that fills its last cell.
        *line = human::fit(line, size.columns.saturating_sub(1));
    }
    lines
}
