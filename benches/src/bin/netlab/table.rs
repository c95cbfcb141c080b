//! Runs as a table: one row for a tool and a number of receivers.

use std::collections::BTreeMap;
use std::fmt::Write;

use mimeo_benches::peers::PeerRun;

/// The tool that the others are compared with.
const YARDSTICK: &str = "udpcast";

const HEAD: &str = "\
| receivers | tool | ok | Gbit/s | ratio to udpcast | wire bytes / image byte | sent / needed | CPU s / GB | peak MiB |
|---|---|---|---|---|---|---|---|---|
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

/// The medians of the runs that were all right, in Markdown.
pub(crate) fn table(runs: &[PeerRun]) -> String {
    let mut rows: BTreeMap<(u16, &str), Vec<&PeerRun>> = BTreeMap::new();
    for run in runs {
        rows.entry((run.receivers, run.tool)).or_default().push(run);
    }
    let rate = |key: &(u16, &str)| median(rows.get(key)?, PeerRun::gigabits_per_second);
    let mut text = HEAD.to_owned();
    for (key @ (receivers, tool), runs) in &rows {
        let ok = runs.iter().filter(|run| run.ok).count();
        let ratio = rate(key)
            .zip(rate(&(*receivers, YARDSTICK)))
            .map(|(own, other)| own / other);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {receivers} | {tool} | {ok} of {} | {} | {} | {} | {} | {} | {} |",
            runs.len(),
            number(rate(key)),
            number(ratio),
            precise(median(runs, |run| Some(per_byte(run)))),
            precise(median(runs, |run| run.sent_per_needed)),
            number(median(runs, |run| Some(run.cpu_seconds_per_gigabyte()))),
            runs.iter().map(|run| run.max_rss >> 20).max().unwrap_or(0),
        );
    }
    for run in runs.iter().filter(|run| !run.ok) {
        let _ = writeln!(text, "{} to {}: {}", run.tool, run.receivers, run.note);
    }
    text
}

#[allow(clippy::cast_precision_loss, reason = "only for display")]
fn per_byte(run: &PeerRun) -> f64 {
    run.wire_bytes as f64 / run.bytes as f64
}

/// The middle of the values of good runs, the lower one of two.
fn median(runs: &[&PeerRun], value: impl Fn(&PeerRun) -> Option<f64>) -> Option<f64> {
    let good = runs.iter().filter(|run| run.ok);
    let mut values: Vec<f64> = good.filter_map(|run| value(run)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

fn precise(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tool: &'static str, seconds: f64, ok: bool) -> PeerRun {
        PeerRun {
            tool,
            receivers: 4,
            bytes: 1_000_000_000,
            seconds: Some(seconds),
            sender_cpu_seconds: 1.0,
            receivers_cpu_seconds: 2.0,
            max_rss: 5 << 20,
            wire_bytes: 1_100_000_000,
            sent_per_needed: (tool == "mimeo").then_some(1.0123),
            ok,
            note: if ok {
                String::new()
            } else {
                "it hung".to_owned()
            },
        }
    }

    #[test]
    fn rows_are_medians_of_good_runs_and_failures_are_told() {
        let runs = [
            run("mimeo", 2.0, true),
            run("mimeo", 1.0, true),
            run("mimeo", 4.0, true),
            run("udpcast", 8.0, true),
            run("udpcast", 0.5, false),
        ];
        let text = table(&runs);
        let rows: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            rows[0],
            "| 4 | mimeo | 3 of 3 | 4.00 | 4.00 | 1.1000 | 1.0123 | 3.00 | 5 |"
        );
        assert_eq!(
            rows[1],
            "| 4 | udpcast | 1 of 2 | 1.00 | 1.00 | 1.1000 | - | 3.00 | 5 |"
        );
        assert_eq!(rows[2], "udpcast to 4: it hung");
    }

    #[test]
    fn without_a_yardstick_there_is_no_ratio() {
        assert!(table(&[run("mimeo", 1.0, true)]).contains("| 8.00 | - |"));
        assert!(table(&[run("mimeo", 1.0, false)]).contains("| 0 of 1 | - | - |"));
    }
}
