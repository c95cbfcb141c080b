//! Several runs of a tool in one row.

use mimeo_benches::peers::{Cpu, PeerRun};
use serde::Serialize;

/// The name of the runs of [`mimeo_benches::limit`].
const LIMIT: &str = "limit";

/// Tools that are no peers: the limit, and mimeo in its builds.
const NO_PEERS: [&str; 3] = [LIMIT, "mimeo", "base"];

/// What the runs of one tool came to: medians over those that were all right.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) receivers: u16,
    pub(crate) tool: &'static str,
    /// Length of the image.
    pub(crate) bytes: u64,
    pub(crate) runs: usize,
    /// How many of them were all right.
    pub(crate) good: usize,
    pub(crate) gigabits_per_second: Option<Spread>,
    /// The fastest of the established tools to the same receivers, by medians.
    pub(crate) faster_peer: Option<&'static str>,
    pub(crate) ratio_to_faster_peer: Option<f64>,
    pub(crate) ratio_to_limit: Option<f64>,
    pub(crate) sent_per_needed: Option<f64>,
    pub(crate) wire_bytes_per_image_byte: Option<f64>,
    pub(crate) sender_cpu_per_gigabyte: Option<Cost>,
    /// All of them together.
    pub(crate) receivers_cpu_per_gigabyte: Option<Cost>,
    pub(crate) one_receiver_cpu_per_gigabyte: Option<f64>,
    pub(crate) sender_and_one_receiver_cpu_per_gigabyte: Option<f64>,
    /// Bytes, of the largest process of all runs.
    pub(crate) max_rss: u64,
}

/// The middle and the ends of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// CPU seconds for each GB (10^9 bytes) of the image.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) total: f64,
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// One row for each number of receivers and each tool, in the order of the runs.
pub(crate) fn rows(runs: &[PeerRun]) -> Vec<Row> {
    let mut keys: Vec<(u16, &str, u64)> = Vec::new();
    let key = |run: &PeerRun| (run.receivers, run.tool, run.bytes);
    for run in runs {
        if !keys.contains(&key(run)) {
            keys.push(key(run));
        }
    }
    let of_key = |wanted| -> Vec<_> { runs.iter().filter(|run| key(run) == wanted).collect() };
    let mut rows: Vec<_> = keys
        .into_iter()
        .map(|key| Row::of(&of_key(key)).expect("the key is that of a run"))
        .collect();
    compare(&mut rows);
    rows
}

/// Sets the ratios.
fn compare(rows: &mut [Row]) {
    let rates: Vec<_> = rows
        .iter()
        .map(|row| (row.key(), row.tool, row.rate()))
        .collect();
    for row in rows {
        let same = rates.iter().filter(|(key, ..)| *key == row.key());
        let same = same.filter_map(|(_, tool, rate)| Some((*tool, (*rate)?)));
        let limit = same.clone().find(|(tool, _)| *tool == LIMIT);
        let peers = same.filter(|(tool, _)| !NO_PEERS.contains(tool));
        let peer = peers.max_by(|a, b| a.1.total_cmp(&b.1));
        let rate = row.rate();
        let ratio = |other: Option<(&str, f64)>| Some(rate? / other?.1);
        row.ratio_to_limit = ratio(limit);
        row.ratio_to_faster_peer = ratio(peer);
        row.faster_peer = peer.map(|(tool, _)| tool);
    }
}

impl Row {
    /// Of runs of one tool to the same receivers; [`None`] of no runs.
    fn of(runs: &[&PeerRun]) -> Option<Self> {
        let first = runs.first()?;
        let good: Vec<_> = runs.iter().copied().filter(|run| run.ok).collect();
        let median = |value: &dyn Fn(&PeerRun) -> Option<f64>| {
            Some(Spread::of(good.iter().filter_map(|run| value(run)))?.median)
        };
        let each = |run: &PeerRun| run.receivers_cpu.total() / f64::from(run.receivers);
        Some(Self {
            receivers: first.receivers,
            tool: first.tool,
            bytes: first.bytes,
            runs: runs.len(),
            good: good.len(),
            gigabits_per_second: Spread::of(
                good.iter().filter_map(|run| run.gigabits_per_second()),
            ),
            faster_peer: None,
            ratio_to_faster_peer: None,
            ratio_to_limit: None,
            sent_per_needed: median(&|run| run.sent_per_needed),
            wire_bytes_per_image_byte: median(&|run| Some(per_byte(run))),
            sender_cpu_per_gigabyte: Cost::of(&good, |run| run.sender_cpu),
            receivers_cpu_per_gigabyte: Cost::of(&good, |run| run.receivers_cpu),
            one_receiver_cpu_per_gigabyte: median(&|run| Some(each(run) / run.gigabytes())),
            sender_and_one_receiver_cpu_per_gigabyte: median(&|run| {
                Some((run.sender_cpu.total() + each(run)) / run.gigabytes())
            }),
            max_rss: runs.iter().map(|run| run.max_rss).max()?,
        })
    }

    /// Median rate in Gbit/s.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.gigabits_per_second.map(|spread| spread.median)
    }

    /// What rows have in common that are compared.
    fn key(&self) -> (u16, u64) {
        (self.receivers, self.bytes)
    }
}

impl Spread {
    /// [`None`] of no values. The middle of an even number is the lower one of two, which
    /// was measured.
    fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Some(Self {
            median: *values.get(values.len().checked_sub(1)? / 2)?,
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

impl Cost {
    fn of(runs: &[&PeerRun], cpu: impl Fn(&PeerRun) -> Cpu) -> Option<Self> {
        let median = |part: fn(Cpu) -> f64| {
            let values = runs.iter().map(|run| part(cpu(run)) / run.gigabytes());
            Some(Spread::of(values)?.median)
        };
        Some(Self {
            total: median(Cpu::total)?,
            user: median(|cpu| cpu.user)?,
            system: median(|cpu| cpu.system)?,
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "only for display")]
fn per_byte(run: &PeerRun) -> f64 {
    run.wire_bytes as f64 / run.bytes as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run of 1 GB to 4 receivers.
    pub(crate) fn run(tool: &'static str, seconds: f64, ok: bool) -> PeerRun {
        PeerRun {
            tool,
            receivers: 4,
            bytes: 1_000_000_000,
            seconds: Some(seconds),
            sender_cpu: Cpu {
                user: 1.0,
                system: 0.5,
            },
            receivers_cpu: Cpu {
                user: 2.0,
                system: 6.0,
            },
            max_rss: 5 << 20,
            wire_bytes: 1_100_000_000,
            sent_per_needed: (tool == "mimeo").then_some(1.0123),
            ok,
            note: if ok { "" } else { "it hung" }.to_owned(),
        }
    }

    #[test]
    fn the_middle_is_one_of_the_values() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        let of = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(spread(&[3.0]), of(3.0, 3.0, 3.0));
        assert_eq!(spread(&[9.0, 1.0, 4.0]), of(4.0, 1.0, 9.0));
        assert_eq!(spread(&[9.0, 1.0, 4.0, 5.0]), of(4.0, 1.0, 9.0));
    }

    #[test]
    fn rows_keep_the_order_and_only_good_runs_count() {
        let runs = [
            run("mimeo", 2.0, true),
            run("limit", 0.5, true),
            run("mimeo", 1.0, true),
            run("mimeo", 4.0, true),
            run("mimeo", 0.1, false),
        ];
        let rows = rows(&runs);
        assert_eq!(
            (rows[0].tool, rows[1].tool, rows.len()),
            ("mimeo", "limit", 2)
        );
        assert_eq!((rows[0].runs, rows[0].good), (4, 3));
        let spread = rows[0].gigabits_per_second.unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (2.0, 4.0, 8.0));
        let cost = rows[0].sender_cpu_per_gigabyte.unwrap();
        assert_eq!((cost.total, cost.user, cost.system), (1.5, 1.0, 0.5));
        assert_eq!(rows[0].one_receiver_cpu_per_gigabyte, Some(2.0));
        assert_eq!(rows[0].sender_and_one_receiver_cpu_per_gigabyte, Some(3.5));
    }

    #[test]
    fn ratios_are_those_of_medians_to_the_same_receivers() {
        let mut other = run("uftp", 0.5, true);
        other.receivers = 8;
        let runs = [
            run("mimeo", 1.0, true),
            run("udpcast", 8.0, true),
            run("uftp", 4.0, true),
            run("limit", 0.5, true),
            other,
        ];
        let rows = rows(&runs);
        assert_eq!(rows[0].ratio_to_faster_peer, Some(4.0));
        assert_eq!(rows[0].faster_peer, Some("uftp"));
        assert_eq!(rows[0].ratio_to_limit, Some(0.5));
        assert_eq!(rows[1].ratio_to_faster_peer, Some(0.5));
        assert_eq!(rows[4].ratio_to_faster_peer, Some(1.0));
        assert_eq!(rows[4].ratio_to_limit, None);
    }

    #[test]
    fn a_peer_that_failed_is_no_yardstick() {
        let runs = [run("mimeo", 1.0, true), run("udpcast", 8.0, false)];
        let rows = rows(&runs);
        assert_eq!(rows[0].ratio_to_faster_peer, None);
        assert!(rows[1].gigabits_per_second.is_none());
    }
}
