//! `netlab`: measures imaging tools on a virtual network.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use mimeo_benches::fixture::random_file;
use mimeo_benches::netlab::{Direction, Loss, Room, RoomConfig, Snooping, clean};
use mimeo_benches::peers::{Job, PeerRun, Targets, udpcast, uftp};

/// Measures imaging tools on a virtual network. Needs root.
#[derive(Parser)]
#[command(
    version,
    after_help = "Broken off, a run leaves its network: see `netlab clean`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Remove networks that killed runs have left.
    Clean,
    /// Send a random image with udpcast.
    Udpcast(Trial),
    /// Send a random image with UFTP.
    Uftp {
        #[command(flatten)]
        trial: Trial,
        /// Sending rate in kbit/s.
        #[arg(long, default_value_t = 1_000_000)]
        kilobits: u64,
    },
}

#[derive(Args)]
struct Trial {
    /// How many receivers take part.
    #[arg(long, default_value_t = 1)]
    receivers: u16,
    /// Length of the image in MiB.
    #[arg(long, default_value_t = 64)]
    mebibytes: u64,
    /// Datagrams in a thousand that are lost on each receiver's port.
    #[arg(long, default_value_t = 0)]
    loss: u16,
    /// Let the sender's kernel segment, as for a network card without offload.
    #[arg(long)]
    segmented: bool,
    /// Receivers throw away what they receive.
    #[arg(long)]
    discard: bool,
    /// Where image and targets are kept while the run lasts.
    #[arg(long, default_value = "/dev/shm")]
    directory: PathBuf,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("netlab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when all went well.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Clean => {
            println!("{} namespaces removed", clean()?);
            Ok(true)
        }
        Command::Udpcast(trial) => trial.run(udpcast),
        Command::Uftp { trial, kilobits } => trial.run(|job| uftp(job, kilobits)),
    }
}

impl Trial {
    /// Runs one tool and prints its row, then the same as JSON.
    fn run(&self, runner: impl FnOnce(&Job<'_>) -> Result<PeerRun>) -> Result<bool> {
        let room = Room::build(&RoomConfig {
            receivers: self.receivers,
            snooping: Snooping::Off,
        })?;
        room.segmented(self.segmented)?;
        for host in room.receivers() {
            room.loss(
                host,
                Direction::ToHost,
                Loss::Random {
                    permille: self.loss,
                },
            )?;
        }
        let directory = tempfile::tempdir_in(&self.directory)
            .with_context(|| format!("cannot work in {:?}", self.directory))?;
        let image = directory.path().join("image");
        random_file(&image, self.mebibytes << 20, 1)
            .with_context(|| format!("cannot write {image:?}"))?;
        let targets = if self.discard {
            Targets::Discard
        } else {
            Targets::Files(directory.path().to_owned())
        };
        let timeout = Duration::from_secs(self.timeout);
        let run = runner(&Job {
            room: &room,
            image: &image,
            targets: &targets,
            timeout,
        })?;
        print(&run);
        println!("{}", serde_json::to_string(&run)?);
        Ok(run.ok)
    }
}

fn print(run: &PeerRun) {
    println!(
        "| tool | receivers | MiB | s | Gbit/s | CPU s sender | CPU s receivers | peak MiB | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    println!(
        "| {} | {} | {} | {} | {} | {:.2} | {:.2} | {} | {} |",
        run.tool,
        run.receivers,
        run.bytes >> 20,
        number(run.seconds),
        number(run.gigabits_per_second()),
        run.sender_cpu_seconds,
        run.receivers_cpu_seconds,
        run.max_rss >> 20,
        if run.ok { "ok" } else { &run.note },
    );
}
