//! `netlab compare`: the same image, the same room, one tool after the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use mimeo_benches::peers::{Job, Mimeo, PeerRun, mimeo, udpcast, uftp};
use mimeo_benches::programs::Programs;

use crate::setup::Setup;
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
    /// How often everything is done
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// UFTP's sending rate in kbit/s; it knows no other pace
    #[arg(long, value_name = "KBITS", default_value_t = 1_000_000)]
    uftp_rate: u64,
    /// Write every run to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    setup: Setup,
}

/// A program that distributes images.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Tool {
    Mimeo,
    Udpcast,
    Uftp,
}

impl Compare {
    /// Makes all runs, prints the table. True when every run was all right.
    pub(crate) fn run(&self) -> Result<bool> {
        let workspace = self.setup.workspace()?;
        let image = self.setup.image(workspace.path())?;
        let mut runs = Vec::new();
        for &receivers in &self.receivers {
            let room = self.setup.room(receivers)?;
            let targets = self.setup.targets(workspace.path());
            let job = Job {
                room: &room,
                image: &image,
                targets: &targets,
                timeout: Duration::from_secs(self.setup.timeout),
            };
            for _ in 0..self.repeat {
                for &tool in &self.tools {
                    let run = self.once(tool, &job, workspace.path())?;
                    eprintln!("{}", table::line(&run));
                    runs.push(run);
                }
            }
        }
        print!("{}", table::table(&runs));
        let json = serde_json::to_string_pretty(&runs)?;
        if let Some(path) = &self.json {
            fs::write(path, json).with_context(|| format!("cannot write {path:?}"))?;
        }
        Ok(runs.iter().all(|run| run.ok))
    }

    fn once(&self, tool: Tool, job: &Job<'_>, reports: &Path) -> Result<PeerRun> {
        match tool {
            Tool::Mimeo => {
                let programs = Programs::own()?;
                let rate = self.setup.rate.as_deref();
                mimeo(
                    job,
                    &Mimeo {
                        programs: &programs,
                        rate,
                        reports,
                    },
                )
            }
            Tool::Udpcast => udpcast(job),
            Tool::Uftp => uftp(job, self.uftp_rate),
        }
    }
}
