//! The receiver as a picture: what goes where, and how far it is.

use mimeo_console::{Size, human};

use super::{bytes_done, doing, figures};
use crate::progress::trend::Trend;
use crate::status::{Phase, Status};

/// The lines, none wider than the terminal.
pub(crate) fn block(status: &Status, trend: &Trend, size: Size) -> Vec<String> {
    let mut lines = vec![
        format!("target: {}", human::clean(&status.target)),
        doing(status),
    ];
    let figures = figures(status, trend);
    if !figures.is_empty() {
        let bar = status
            .image_len
            .map(|len| human::bar(bytes_done(status), len, size.bar_cells()));
        let parts: Vec<String> = bar.into_iter().chain(figures).collect();
        lines.push(parts.join("  "));
    }
    if status.phase == Phase::Receiving && status.socket_drops > 0 {
        lines.push(format!(
            "this machine was too slow for {} datagrams",
            status.socket_drops
        ));
    }
    size.fit(lines)
}
