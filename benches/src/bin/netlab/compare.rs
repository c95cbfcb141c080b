//! `netlab compare`: the same image, the same room, one tool after the other.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use mimeo_benches::netlab::is_installed;
use mimeo_benches::peers::{Job, Mimeo, PeerRun, limit, mimeo, udpcast, uftp, zstd_udpcast};
use mimeo_benches::programs::{Limit, Programs};

use crate::plot::{self, Series};
use crate::setup::Setup;
use crate::summary::{self, Row};
use crate::table;

/// The arguments.
#[derive(Args)]
pub(crate) struct Compare {
    /// How many receivers take part: a list, one room for each number
    #[arg(long, value_name = "N,N..", value_delimiter = ',', default_value = "1,4,8",
          value_parser = clap::value_parser!(u16).range(1..=253))]
    receivers: Vec<u16>,
    /// The tools, in their order
    #[arg(
        long,
        value_name = "TOOL,TOOL..",
        value_delimiter = ',',
        value_enum,
        default_value = "mimeo,udpcast"
    )]
    tools: Vec<Tool>,
    /// How often everything is done, the tools in turn; the table shows medians. A figure to be
    /// published needs at least 5: single runs on a virtual network differ by a fifth
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// A directory with the mimeo-sender and mimeo-receiver of another build, measured first as
    /// the tool "base"
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// UFTP's sending rate in kbit/s; it knows no other pace
    #[arg(long, value_name = "KBITS", default_value_t = 1_000_000)]
    uftp_rate: u64,
    /// Write the table's rows and every run to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a plot of the rate over the number of receivers to this file (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    setup: Setup,
}

/// A program that distributes images.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Tool {
    /// mimeo, of this build
    Mimeo,
    /// udpcast
    Udpcast,
    /// udpcast between two zstd -1, as Clonezilla and FOG use it
    ZstdUdpcast,
    /// UFTP
    Uftp,
    /// No protocol at all: what the network and the kernel allow
    Limit,
}

impl Tool {
    /// What has to be installed for it.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Mimeo | Self::Limit => &[],
            Self::Udpcast => &["udp-sender", "udp-receiver"],
            Self::ZstdUdpcast => &["udp-sender", "udp-receiver", "zstd"],
            Self::Uftp => &["uftp", "uftpd"],
        }
    }

    /// Finds out before the first run what would make one of the last impossible.
    fn check(self, discard: bool) -> Result<()> {
        for program in self.programs() {
            ensure!(is_installed(program), "{program} is not installed");
        }
        ensure!(
            self != Self::Uftp || !discard,
            "UFTP cannot discard what it receives: leave it out of --tools"
        );
        Ok(())
    }
}

/// mimeo in one or two builds.
struct Builds {
    own: Programs,
    base: Option<Programs>,
    limit: Limit,
    sender_args: Vec<OsString>,
}

impl Compare {
    /// Makes all runs, prints the table. True when every run was all right.
    pub(crate) fn run(&self) -> Result<bool> {
        ensure!(
            !self.tools.contains(&Tool::Limit) || !self.setup.wires.lose(),
            "the limit mends no losses: measure it without --loss, --burst and limits of ports"
        );
        for path in self.json.iter().chain(&self.plot) {
            ensure_writable(path)?;
        }
        for tool in &self.tools {
            tool.check(self.setup.discards())?;
        }
        let base = self.base.as_deref().map(Programs::in_directory);
        let builds = Builds {
            own: Programs::own()?,
            base: base.transpose()?,
            limit: Limit::own()?,
            sender_args: self.setup.sender.list(),
        };
        let workspace = self
            .setup
            .workspace(self.receivers.iter().copied().max().unwrap_or(1))?;
        let image = self.setup.image.provide(workspace.path())?;
        let mut runs = Vec::new();
        for &receivers in &self.receivers {
            let room = self.setup.wires.room(receivers)?;
            let targets = self.setup.targets(&workspace);
            let job = Job {
                room: &room,
                image: &image,
                targets: &targets,
                timeout: Duration::from_secs(self.setup.timeout),
            };
            // One repetition after the other, so that a machine whose speed drifts is as
            // fast to all tools.
            for _ in 0..self.repeat {
                self.round(&job, &builds, workspace.path(), &mut runs)?;
            }
        }
        self.publish(&runs)?;
        Ok(runs.iter().all(|run| run.ok))
    }

    /// Prints the table and writes the files.
    fn publish(&self, runs: &[PeerRun]) -> Result<()> {
        let rows = summary::rows(runs);
        print!("{}{}", table::table(&rows), table::failures(runs));
        if let Some(path) = &self.json {
            let json = serde_json::json!({
                "setup": self.setup.describe(),
                "rows": rows,
                "runs": runs,
            });
            write(path, &serde_json::to_string_pretty(&json)?)?;
        }
        if let Some(path) = &self.plot {
            let repeat = match self.repeat {
                1 => "one run".to_owned(),
                many => format!("median of {many} runs"),
            };
            let subtitle = format!("{}; {repeat}", self.setup.describe());
            write(path, &plot::svg(&subtitle, &series(&rows)))?;
        }
        Ok(())
    }

    /// Every tool once.
    fn round(
        &self,
        job: &Job<'_>,
        builds: &Builds,
        reports: &Path,
        runs: &mut Vec<PeerRun>,
    ) -> Result<()> {
        let mut note = |run: PeerRun| {
            eprintln!("{}", table::line(&run));
            runs.push(run);
        };
        let of_build = |name, programs| Mimeo {
            name,
            programs,
            sender_args: &builds.sender_args,
            reports,
        };
        if let Some(base) = &builds.base {
            note(mimeo(job, &of_build("base", base))?);
        }
        for tool in &self.tools {
            note(match tool {
                Tool::Mimeo => mimeo(job, &of_build("mimeo", &builds.own))?,
                Tool::Udpcast => udpcast(job)?,
                Tool::ZstdUdpcast => zstd_udpcast(job)?,
                Tool::Uftp => uftp(job, self.uftp_rate)?,
                Tool::Limit => limit(job, &builds.limit, reports)?,
            });
        }
        Ok(())
    }
}

/// One line for each tool.
fn series(rows: &[Row]) -> Vec<Series<'_>> {
    let mut series: Vec<Series<'_>> = Vec::new();
    for row in rows {
        let Some(spread) = row.gigabits_per_second else {
            continue;
        };
        let point = (row.receivers, spread);
        match series.iter_mut().find(|series| series.name == row.tool) {
            Some(series) => series.points.push(point),
            None => series.push(Series {
                name: row.tool,
                points: vec![point],
            }),
        }
    }
    series
}

/// Finds out before the first run that a result could not be written.
pub(crate) fn ensure_writable(path: &Path) -> Result<()> {
    let opened = fs::OpenOptions::new().append(true).create(true).open(path);
    opened
        .map(drop)
        .with_context(|| format!("cannot write {path:?}"))
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {path:?}"))
}
