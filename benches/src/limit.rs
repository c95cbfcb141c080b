//! The bare limit: multicasts a file in bursts, receives and writes it, and does nothing
//! else.
//!
//! There is no check, no encryption, no repair and no congestion control. What is left is
//! what every tool has to pay: the sender reads the file and hands bursts of datagrams to
//! the kernel, receivers take them in batches and write them to their places. The sockets
//! are mimeo's own ([`mimeo_net`]), so that its distance from this limit is that of its
//! protocol.
//!
//! ```text
//! sender                                   receiver
//!   hello (length of the file)  ------->     joins, answers with 0
//!   datagrams, at most WINDOW   ------->     writes each to its place
//!     ahead of the slowest      <-------     every REPORT bytes: how many it has
//!   ends                        <-------     has all, and has flushed
//! ```
//!
//! The window is there because a figure with losses in it says nothing. A receiver that
//! misses something says so and fails, and so does the sender.

mod datagram;
mod receive;
mod send;
mod target;

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use mimeo_net::Interface;
use serde::{Deserialize, Serialize};

/// Where the datagrams go: a group of organization-local scope (RFC 2365).
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 77, 77, 77);

/// How far the sender runs ahead of the slowest receiver, in bytes. Small enough that
/// what is sent is still in the processor's cache when it is written.
const WINDOW: u64 = 4 << 20;

/// How many bytes a receiver takes between two reports.
const REPORT: u64 = 1 << 20;

/// What the sockets hold: the window, with what the kernel counts for its bookkeeping.
const SOCKET_BUFFER: usize = 64 << 20;

/// After this long without a word from the other side nothing more is expected. A
/// disk may take its time to flush.
const SILENCE: Duration = Duration::from_secs(30);

/// What a sender writes with `--report`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Report {
    /// From the first datagram to the last receiver's word that it has everything.
    pub seconds: f64,
}

/// Multicasts a file without any protocol, to see what network and kernel allow.
#[derive(Parser)]
#[command(name = "mimeo-limit", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send a file to a number of receivers
    Send(Send),
    /// Receive it
    Receive(Receive),
}

#[derive(Args)]
struct Network {
    /// Network interface
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// UDP port of the group
    #[arg(long, default_value_t = 64_640)]
    port: u16,
}

#[derive(Args)]
struct Send {
    #[command(flatten)]
    network: Network,
    /// How many receivers are waited for
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    receivers: u16,
    /// Write how long it took to this file (JSON)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// What to send
    image: PathBuf,
}

#[derive(Args)]
struct Receive {
    #[command(flatten)]
    network: Network,
    /// File to write, or null: to discard
    target: PathBuf,
}

impl Network {
    fn choose(&self) -> Result<Interface> {
        Interface::choose(self.interface.as_deref()).context("cannot choose an interface")
    }
}

/// Runs the program with its arguments, the first of which is its name.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match Cli::parse_from(args).command {
        Command::Send(send) => send::run(&send),
        Command::Receive(receive) => receive::run(&receive),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mimeo-limit: {error:#}");
            ExitCode::FAILURE
        }
    }
}
