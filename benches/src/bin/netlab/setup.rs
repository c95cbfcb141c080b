//! What the commands have in common: image, targets, network, mimeo's arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use mimeo_benches::netlab::fresh_name;
use mimeo_benches::peers::Targets;
use mimeo_benches::units::parse_rate;
use tempfile::TempDir;

use crate::image::{Image, ensure_space, is_in_memory};
use crate::wires::Wires;

/// Files and network.
#[derive(Args)]
pub(crate) struct Setup {
    #[command(flatten)]
    pub(crate) image: Image,
    #[command(flatten)]
    pub(crate) wires: Wires,
    #[command(flatten)]
    pub(crate) sender: SenderArgs,
    /// Where receivers put what they receive
    #[arg(long, value_enum, default_value_t = Where::Tmpfs)]
    targets: Where,
    /// Where the files of --targets disk are kept while a run lasts
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    target_directory: PathBuf,
    /// Where the image and the files of --targets tmpfs are kept while a run lasts
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    directory: PathBuf,
    /// Give a run up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,
}

/// Where receivers put what they receive.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Where {
    /// Files in memory
    Tmpfs,
    /// Files on a disk. A figure holds what the tool itself does: mimeo and the limit are done
    /// when the disk has everything, the others leave that to the kernel
    Disk,
    /// Nowhere. UFTP cannot do that
    Null,
}

/// What mimeo's sender is told.
#[derive(Args)]
pub(crate) struct SenderArgs {
    /// mimeo's --rate, in bit/s
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    rate: Option<u64>,
    /// An argument for mimeo's sender, one at a time, such as
    /// --mimeo-arg=--compress --mimeo-arg=none
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    mimeo_arg: Vec<OsString>,
}

impl SenderArgs {
    /// `--rate` in bit/s, or `default` where it is not given.
    pub(crate) fn rate_or(&self, default: u64) -> u64 {
        self.rate.unwrap_or(default)
    }

    /// All but `--rate`.
    pub(crate) fn extra(&self) -> Vec<OsString> {
        self.mimeo_arg.clone()
    }

    /// All of them.
    pub(crate) fn list(&self) -> Vec<OsString> {
        let rate = self
            .rate
            .iter()
            .flat_map(|rate| ["--rate".into(), rate.to_string().into()]);
        rate.chain(self.mimeo_arg.iter().cloned()).collect()
    }
}

/// The directories of a whole command, removed at its end.
pub(crate) struct Workspace {
    files: TempDir,
    disk: Option<TempDir>,
}

impl Workspace {
    /// Where image and reports are kept.
    pub(crate) fn path(&self) -> &Path {
        self.files.path()
    }
}

impl Setup {
    /// Makes the directories, if the image and a copy for each of the receivers fit.
    pub(crate) fn workspace(&self, receivers: u16) -> Result<Workspace> {
        let (len, made) = self.image.lengths()?;
        let copies = len.saturating_mul(receivers.into());
        let beside = if matches!(self.targets, Where::Tmpfs) {
            copies
        } else {
            0
        };
        ensure_space(&self.directory, made.saturating_add(beside))?;
        if matches!(self.targets, Where::Disk) {
            ensure_space(&self.target_directory, copies)?;
        }
        let disk = match self.targets {
            Where::Disk => {
                let directory = &self.target_directory;
                ensure!(
                    !is_in_memory(directory)?,
                    "{directory:?} is in memory: name a disk with --target-directory"
                );
                Some(temporary(directory)?)
            }
            Where::Tmpfs | Where::Null => None,
        };
        Ok(Workspace {
            files: temporary(&self.directory)?,
            disk,
        })
    }

    /// Whether nothing is written.
    pub(crate) fn discards(&self) -> bool {
        matches!(self.targets, Where::Null)
    }

    /// The targets below the workspace.
    pub(crate) fn targets(&self, workspace: &Workspace) -> Targets {
        match self.targets {
            Where::Null => Targets::Discard,
            Where::Tmpfs | Where::Disk => {
                let directory = workspace.disk.as_ref().unwrap_or(&workspace.files);
                Targets::Files(directory.path().to_owned())
            }
        }
    }

    /// What a reader of figures should know.
    pub(crate) fn describe(&self) -> String {
        let targets = match self.targets {
            Where::Tmpfs => "files in memory",
            Where::Disk => "files on a disk",
            Where::Null => "discarded",
        };
        let mut words = vec![self.image.describe(), targets.to_owned()];
        words.extend(Some(self.wires.describe()).filter(|words| !words.is_empty()));
        words.join(", ")
    }
}

/// A directory in `parent` for as long as it is held.
pub(crate) fn temporary(parent: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&fresh_name()?)
        .tempdir_in(parent)
        .with_context(|| format!("cannot work in {parent:?}"))
}
