//! What the commands have in common: the image, the directory, the room.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use mimeo_benches::fixture::{make_disk, random_file};
use mimeo_benches::netlab::{Direction, Loss, Room, RoomConfig, Snooping};
use mimeo_benches::peers::Targets;
use mimeo_benches::units::parse_size;
use tempfile::TempDir;

/// Where the files of a disk come from.
const SOURCES: [&str; 2] = ["/usr/lib", "/usr/bin"];

/// Files and network.
#[derive(Args)]
pub(crate) struct Setup {
    /// Length of the image that is made
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = parse_size)]
    pub(crate) size: u64,
    /// What the image that is made holds
    #[arg(long, value_enum, default_value_t = Kind::Random)]
    pub(crate) kind: Kind,
    /// Send this file instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["size", "kind"])]
    pub(crate) image: Option<PathBuf>,
    /// Datagrams in a thousand that are lost on each receiver's port
    #[arg(long, value_name = "PERMILLE", default_value_t = 0,
          value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) loss: u16,
    /// Lose so many datagrams in a row out of so many, on each receiver's port
    #[arg(long, value_name = "LEN/EVERY", value_parser = parse_burst, conflicts_with = "loss")]
    pub(crate) burst: Option<(u32, u32)>,
    /// Let the sender's kernel segment, as for a network card without offload
    #[arg(long)]
    pub(crate) segmented: bool,
    /// mimeo's --rate
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// An argument for mimeo's sender, such as --mimeo-arg=--compress --mimeo-arg=none
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    mimeo_arg: Vec<OsString>,
    /// Where receivers put what they receive
    #[arg(long, value_enum, default_value_t = Where::Tmpfs)]
    pub(crate) targets: Where,
    /// Where image and targets are kept while a run lasts
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    pub(crate) directory: PathBuf,
    /// Give a run up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,
}

/// What an image holds.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Random bytes, which cannot be compressed
    Random,
    /// A partitioned disk with this machine's programs
    Disk,
}

/// Where receivers put what they receive.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Where {
    /// Files in the directory
    Tmpfs,
    /// Nowhere
    Null,
}

impl Setup {
    /// The directory of a whole command, removed at its end.
    pub(crate) fn workspace(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix("netlab-")
            .tempdir_in(&self.directory)
            .with_context(|| format!("cannot work in {:?}", self.directory))
    }

    /// The image, made where none is given.
    pub(crate) fn image(&self, workspace: &Path) -> Result<PathBuf> {
        let path = workspace.join("image");
        match (&self.image, self.kind) {
            (Some(given), _) => return given.canonicalize().with_context(|| format!("{given:?}")),
            (None, Kind::Random) => {
                random_file(&path, self.size, 1)
                    .with_context(|| format!("cannot write {path:?}"))?;
            }
            (None, Kind::Disk) => {
                make_disk(&path, self.size, &SOURCES.map(PathBuf::from), 1)?;
            }
        }
        Ok(path)
    }

    /// True when the room loses datagrams.
    pub(crate) fn loses(&self) -> bool {
        self.loss > 0 || self.burst.is_some()
    }

    /// The room, with its losses.
    pub(crate) fn room(&self, receivers: u16) -> Result<Room> {
        let room = Room::build(&RoomConfig {
            receivers,
            snooping: Snooping::Off,
        })?;
        room.segmented(self.segmented)?;
        let loss = match self.burst {
            Some((length, every)) => Loss::Bursts { length, every },
            None => Loss::Random {
                permille: self.loss,
            },
        };
        for host in room.receivers() {
            room.loss(host, Direction::ToHost, loss)?;
        }
        Ok(room)
    }

    /// Further arguments of mimeo's sender.
    pub(crate) fn sender_args(&self) -> Vec<OsString> {
        let rate = self.rate.iter().flat_map(|rate| ["--rate", rate]);
        let rate = rate.map(OsString::from);
        rate.chain(self.mimeo_arg.iter().cloned()).collect()
    }

    /// The targets below the workspace.
    pub(crate) fn targets(&self, workspace: &Path) -> Targets {
        match self.targets {
            Where::Tmpfs => Targets::Files(workspace.to_owned()),
            Where::Null => Targets::Discard,
        }
    }
}

/// Reads `LEN/EVERY`.
fn parse_burst(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once('/');
    let numbers = numbers.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers
        .filter(|&(length, every)| 1 <= length && length <= every)
        .ok_or_else(|| format!("expected a burst such as 200/20000, found {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::parse_burst;

    #[test]
    fn bursts_are_read() {
        assert_eq!(parse_burst("200/20000"), Ok((200, 20_000)));
        assert_eq!(parse_burst("5/5"), Ok((5, 5)));
        for text in ["", "5", "0/5", "6/5", "a/b", "1/2/3"] {
            assert!(parse_burst(text).is_err(), "{text}");
        }
    }
}
