//! Rows in Markdown.

use std::fmt::Write;

use mimeo_benches::peers::PeerRun;

use crate::summary::{Cost, Row};

const HEAD: &str = "\
| receivers | tool | ok | Gbit/s | of the faster peer | of the limit | sent / needed | wire / image \
| sender CPU s/GB (user + system) | receivers CPU s/GB (each) | sender + 1 receiver | peak MiB |
|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// A run in a line, while others go on.
pub(crate) fn line(run: &PeerRun) -> String {
    let rate = number(run.gigabits_per_second());
    let verdict = if run.ok { "ok" } else { &run.note };
    format!(
        "{} to {}: {rate} Gbit/s, {verdict}",
        run.tool, run.receivers
    )
}

/// The rows.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for row in rows {
        let receivers = row.receivers_cpu_per_gigabyte.map(|cost| cost.total);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} of {} | {} | {} | {} | {} | {} | {} | {} ({}) | {} | {} |",
            row.receivers,
            row.tool,
            row.good,
            row.runs,
            number(row.rate()),
            number(row.ratio_to_faster_peer),
            number(row.ratio_to_limit),
            precise(row.sent_per_needed),
            precise(row.wire_bytes_per_image_byte),
            parts(row.sender_cpu_per_gigabyte),
            number(receivers),
            number(row.one_receiver_cpu_per_gigabyte),
            number(row.sender_and_one_receiver_cpu_per_gigabyte),
            row.max_rss >> 20,
        );
    }
    text
}

/// What went wrong, a line for each run.
pub(crate) fn failures(runs: &[PeerRun]) -> String {
    let bad = runs.iter().filter(|run| !run.ok);
    bad.map(|run| format!("{} to {}: {}\n", run.tool, run.receivers, run.note))
        .collect()
}

/// A sum with its parts.
pub(crate) fn parts(cost: Option<Cost>) -> String {
    cost.map_or("-".to_owned(), |cost| {
        format!("{:.2} ({:.2} + {:.2})", cost.total, cost.user, cost.system)
    })
}

pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

fn precise(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{rows, tests::run};

    #[test]
    fn a_row_says_everything() {
        let runs = [
            run("mimeo", 1.0, true),
            run("udpcast", 8.0, true),
            run("udpcast", 0.5, false),
            run("limit", 0.5, true),
        ];
        let text = table(&rows(&runs));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[2],
            "| 4 | mimeo | 1 of 1 | 8.00 | 8.00 | 0.50 | 1.0123 | 1.1000 \
             | 1.50 (1.00 + 0.50) | 8.00 (2.00) | 3.50 | 5 |"
        );
        assert_eq!(
            lines[3],
            "| 4 | udpcast | 1 of 2 | 1.00 | 1.00 | 0.06 | - | 1.1000 \
             | 1.50 (1.00 + 0.50) | 8.00 (2.00) | 3.50 | 5 |"
        );
        // Every line has as many columns as the head.
        for line in &lines {
            assert_eq!(
                line.matches('|').count(),
                lines[0].matches('|').count(),
                "{line}"
            );
        }
        assert_eq!(failures(&runs), "udpcast to 4: it hung\n");
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let text = table(&rows(&[run("mimeo", 1.0, false)]));
        assert!(
            text.ends_with("| 0 of 1 | - | - | - | - | - | - | - (-) | - | 5 |\n"),
            "{text}"
        );
    }
}
