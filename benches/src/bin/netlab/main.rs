//! `netlab`: measures imaging tools on a virtual network.

mod compare;
mod image;
mod plot;
mod scale;
mod setup;
mod summary;
mod table;
mod trouble;
mod wires;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use mimeo_benches::netlab::{clean, clean_directory};
use mimeo_benches::programs::play_role;

/// Measures imaging tools on a virtual network. Needs root.
#[derive(Parser)]
#[command(
    version,
    after_help = "Broken off, a run leaves its network and its files: see `netlab clean`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send an image with mimeo and with other tools, one after the other in the same room
    Compare(Box<compare::Compare>),
    /// What mimeo costs as images grow and receivers become more, nothing being written
    Scale(Box<scale::Scale>),
    /// Receivers that die, stand still, come late or are slow, senders that are started again, floods:
    /// what does it cost the others?
    Trouble(Box<trouble::Trouble>),
    /// Remove networks and files that killed runs have left
    Clean {
        /// Where those runs kept images and targets
        #[arg(long, value_name = "DIR", default_values = ["/dev/shm", "/var/tmp", "/tmp"])]
        directory: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    if let Some(exit) = play_role() {
        return exit;
    }
    match run(&Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("netlab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when all went well.
fn run(command: &Command) -> Result<bool> {
    match command {
        Command::Clean { directory } => {
            let namespaces = clean()?;
            let mut directories = 0;
            for parent in directory {
                directories += clean_directory(parent)?;
            }
            println!("{namespaces} namespaces and {directories} directories removed");
            Ok(true)
        }
        Command::Compare(compare) => compare.run(),
        Command::Trouble(trouble) => trouble.run(),
        Command::Scale(scale) => scale.run(),
    }
}
