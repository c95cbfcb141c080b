//! `netlab scale`: does mimeo cost the same for every GB and for every room?

use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use mimeo_benches::peers::{Job, Mimeo, PeerRun, Targets, mimeo};
use mimeo_benches::programs::Programs;
use mimeo_benches::units::parse_size;
use tempfile::TempDir;

use crate::compare::{ensure_writable, write};
use crate::image::{self, Kind};
use crate::setup::{SenderArgs, temporary};
use crate::summary::{self, Cost, Row};
use crate::table::{self, number, parts};
use crate::wires::Wires;

/// What is left of the memory for the programs when images are kept in it.
const SPARE: u64 = 4 << 30;

/// The arguments.
#[derive(Args)]
pub(crate) struct Scale {
    /// Lengths of the images, each sent to the first number of receivers
    #[arg(long, value_name = "SIZE,SIZE..", value_delimiter = ',', value_parser = parse_size,
          default_value = "256MiB,1GiB,8GiB")]
    size: Vec<u64>,
    /// Numbers of receivers, each sent the first image
    #[arg(long, value_name = "N,N..", value_delimiter = ',', default_value = "1,8,32",
          value_parser = clap::value_parser!(u16).range(1..=253))]
    receivers: Vec<u16>,
    /// What the images hold
    #[arg(long, value_enum, default_value_t = Kind::Random)]
    kind: Kind,
    /// How often everything is done, in turn; the tables show medians. A figure to be published
    /// needs at least 5
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Write the tables' rows and every run to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where images are kept; where they do not fit, they go to the directory for temporary files
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    directory: PathBuf,
    /// Give a run up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    #[command(flatten)]
    wires: Wires,
    #[command(flatten)]
    sender: SenderArgs,
}

impl Scale {
    /// Makes all runs, prints the tables. True when every run was all right.
    pub(crate) fn run(&self) -> Result<bool> {
        ensure!(
            all_differ(&self.size) && all_differ(&self.receivers),
            "a size or a number of receivers is given twice; --repeat measures again"
        );
        if let Some(path) = &self.json {
            ensure_writable(path)?;
        }
        let workspace = self.workspace()?;
        let mut images = Vec::new();
        for &size in &self.size {
            let path = workspace.path().join(size.to_string());
            images.push(self.kind.make(path, size)?);
        }
        let (first_image, first_room) = (&images[0], self.receivers[0]);
        let by_size = images.iter().map(|image| (image, first_room));
        let by_room = self.receivers[1..].iter().map(|&n| (first_image, n));
        let cases: Vec<_> = by_size.chain(by_room).collect();
        let sender_args = self.sender.list();
        let mut runs = Vec::new();
        for _ in 0..self.repeat {
            for &(image, receivers) in &cases {
                let run = self.once(image, receivers, workspace.path(), &sender_args)?;
                eprintln!("{}: {}", image::size(run.bytes), table::line(&run));
                runs.push(run);
            }
        }
        let rows = summary::rows(&runs);
        let (by_size, by_room) = rows.split_at(images.len());
        print!("{}\n{}", sizes(by_size), rooms(&rows[0], by_room));
        print!("{}", table::failures(&runs));
        if let Some(path) = &self.json {
            let json = serde_json::json!({
                "setup": self.wires.describe(),
                "by_size": by_size,
                "by_receivers": by_room,
                "runs": runs,
            });
            write(path, &serde_json::to_string_pretty(&json)?)?;
        }
        Ok(runs.iter().all(|run| run.ok))
    }

    /// In memory if all images fit into it.
    fn workspace(&self) -> Result<TempDir> {
        let needed = self.size.iter().sum::<u64>().saturating_add(SPARE);
        if !image::is_in_memory(&self.directory)? || image::free_space(&self.directory)? >= needed {
            return temporary(&self.directory);
        }
        let other = env::temp_dir();
        image::ensure_space(&other, needed)?;
        eprintln!("{:?} is too small, images go to {other:?}", self.directory);
        temporary(&other)
    }

    fn once(
        &self,
        image: &Path,
        receivers: u16,
        reports: &Path,
        sender_args: &[OsString],
    ) -> Result<PeerRun> {
        let room = self.wires.room(receivers)?;
        let job = Job {
            room: &room,
            image,
            targets: &Targets::Discard,
            timeout: Duration::from_secs(self.timeout),
        };
        mimeo(
            &job,
            &Mimeo {
                name: "mimeo",
                programs: &Programs::own()?,
                sender_args,
                reports,
            },
        )
    }
}

fn all_differ<T: PartialEq>(items: &[T]) -> bool {
    let mut rest = items;
    while let Some((first, others)) = rest.split_first() {
        if others.contains(first) {
            return false;
        }
        rest = others;
    }
    true
}

/// Cost for each GB over the length of the image.
fn sizes(rows: &[Row]) -> String {
    let mut text = "\
| image | receivers | ok | Gbit/s | sender CPU s/GB (user + system) | of the first | receivers CPU s/GB (user + system) | of the first | peak MiB |
|---|---|---|---|---|---|---|---|---|
"
    .to_owned();
    let ratio = |row: &Row, cost: fn(&Row) -> Option<Cost>| {
        Some(cost(row)?.total / cost(rows.first()?)?.total)
    };
    for row in rows {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} of {} | {} | {} | {} | {} | {} | {} |",
            image::size(row.bytes),
            row.receivers,
            row.good,
            row.runs,
            number(row.rate()),
            parts(row.sender_cpu_per_gigabyte),
            number(ratio(row, |row| row.sender_cpu_per_gigabyte)),
            parts(row.receivers_cpu_per_gigabyte),
            number(ratio(row, |row| row.receivers_cpu_per_gigabyte)),
            row.max_rss >> 20,
        );
    }
    text
}

/// Cost of each further receiver. The sender's own work is its user time: its system time on a
/// virtual network holds the delivery to every port, which a switch does otherwise.
fn rooms(first: &Row, others: &[Row]) -> String {
    let mut text = "\
| receivers | image | ok | Gbit/s | sender CPU s/GB (user + system) | each further receiver: user | system | one receiver CPU s/GB | peak MiB |
|---|---|---|---|---|---|---|---|---|
"
    .to_owned();
    for row in [first].into_iter().chain(others) {
        let further = |part: fn(&Cost) -> f64| {
            let own = part(row.sender_cpu_per_gigabyte.as_ref()?);
            let base = first.sender_cpu_per_gigabyte?;
            further(
                own - part(&base),
                base.total,
                row.receivers,
                first.receivers,
            )
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} of {} | {} | {} | {} | {} | {} | {} |",
            row.receivers,
            image::size(row.bytes),
            row.good,
            row.runs,
            number(row.rate()),
            parts(row.sender_cpu_per_gigabyte),
            percent(further(|cost| cost.user)),
            percent(further(|cost| cost.system)),
            number(row.one_receiver_cpu_per_gigabyte),
            row.max_rss >> 20,
        );
    }
    text
}

/// What each of the receivers beyond the first room's adds, as a share of `total`; [`None`]
/// where there are none.
fn further(added: f64, total: f64, receivers: u16, first: u16) -> Option<f64> {
    let count = i32::from(receivers) - i32::from(first);
    (count != 0).then(|| added / f64::from(count) / total)
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{rows, tests::run};

    #[test]
    fn further_receivers_are_shares_of_the_first_rooms_total() {
        let mut many = run("mimeo", 1.0, true);
        many.receivers = 14;
        many.sender_cpu.user += 0.15;
        many.sender_cpu.system += 1.5;
        let rows = rows(&[run("mimeo", 1.0, true), many]);
        let text = rooms(&rows[0], &rows[1..]);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[2].contains("| 1.50 (1.00 + 0.50) | - | - | 2.00 |"),
            "{text}"
        );
        assert!(
            lines[3].contains("| 3.15 (1.15 + 2.00) | 1.00 % | 10.00 % | 0.57 |"),
            "{text}"
        );
    }

    #[test]
    fn what_is_given_twice_is_noticed() {
        assert!(all_differ::<u16>(&[]) && all_differ(&[1, 2, 3]));
        assert!(!all_differ(&[1, 2, 1]) && !all_differ(&[1, 2, 2]));
    }

    #[test]
    fn sizes_are_compared_with_the_first() {
        let mut large = run("mimeo", 2.0, true);
        large.bytes *= 2;
        large.sender_cpu.user = 6.0;
        let rows = rows(&[run("mimeo", 1.0, true), large]);
        let text = sizes(&rows);
        let line = text.lines().nth(3).unwrap();
        assert!(
            line.contains("| 3.25 (3.00 + 0.25) | 2.17 | 4.00 (1.00 + 3.00) | 0.50 |"),
            "{text}"
        );
    }
}
