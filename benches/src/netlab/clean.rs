//! Removing rooms: one's own at its end, and those of processes that were killed.

use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::{name, tool};

/// Removes the rooms whose process does not run any more and returns how many
/// namespaces there were. Programs that still run in them are killed.
///
/// # Errors
///
/// A namespace cannot be removed (it takes root).
pub fn clean() -> Result<usize> {
    remove_where(name::is_orphaned)
}

/// Removes what processes that do not run any more have left in a directory under a name made of
/// [`super::fresh_name`], and returns how much there was.
///
/// # Errors
///
/// The directory cannot be read, or something in it cannot be removed.
pub fn clean_directory(parent: &Path) -> Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(parent).with_context(|| format!("cannot list {parent:?}"))? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(name::is_orphaned) {
            let path = entry.path();
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {path:?}"))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes every namespace whose name begins with `prefix`.
pub(super) fn remove(prefix: &str) -> Result<usize> {
    remove_where(|namespace| namespace.starts_with(prefix))
}

fn remove_where(unwanted: impl Fn(&str) -> bool) -> Result<usize> {
    let entries = match fs::read_dir(name::DIRECTORY) {
        // The directory is made with the first namespace.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        result => result.with_context(|| format!("cannot list {}", name::DIRECTORY))?,
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut first_error = None;
    let mut removed = 0;
    for name in names.filter(|name| unwanted(name)) {
        match remove_one(&name).with_context(|| format!("cannot remove network namespace {name}")) {
            Ok(()) => removed += 1,
            // Someone else cleans up, too.
            Err(_) if !name::path(&name).exists() => {}
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    first_error.map_or(Ok(removed), Err)
}

/// A namespace outlives its name for as long as a process is in it.
fn remove_one(namespace: &str) -> Result<()> {
    for pid in tool::run("ip", &["netns", "pids", namespace])?.split_whitespace() {
        let pid = pid.parse().ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|pid| *pid != rustix::process::getpid()) {
            // It may have ended on its own meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    tool::run("ip", &["netns", "delete", namespace])?;
    Ok(())
}
