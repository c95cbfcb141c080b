//! `--background`: a process of its own serves the files, and the prompt comes back when they can be read.
//!
//! The program starts itself again. The new process tells the names of the files on a pipe and closes
//! it when they are there; if it ends before, its exit code is ours. It keeps nothing of ours open
//! after that, so whoever reads our output to its end does not wait for it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use crate::outcome::{Done, Error};

const BACKGROUND: &str = "--background";
const DETACHED: &str = "--detached";

/// Starts the process, and waits until it has mounted.
pub(super) fn start() -> Result<Done, Error> {
    let failed =
        |error: io::Error| Error::Failure(format!("cannot go into the background: {error}"));
    let mut child = Command::new("/proc/self/exe")
        .args(detached(std::env::args_os().skip(1)))
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut output = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut output).map_err(failed)?;
    }
    if output.is_empty() {
        let status = child.wait().map_err(failed)?;
        return Err(Error::Told(
            status.code().and_then(|code| code.try_into().ok()),
        ));
    }
    Ok(Done {
        output: Some(output.trim_end().to_owned()),
        note: None,
    })
}

/// The same arguments for the process that serves.
fn detached(args: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    // What follows it are names, whatever they look like.
    let mut names = false;
    args.map(move |arg| {
        names |= arg == "--";
        if !names && arg == BACKGROUND {
            DETACHED.into()
        } else {
            arg
        }
    })
}

/// Takes the process out of the session of the terminal, whose signals are not meant for it.
pub(super) fn leave_session() {
    // It fails only of who leads a group, and has a session of its own then or is started by hand.
    let _ = rustix::process::setsid();
}

/// Lets go of everything that whoever started it waits for.
pub(super) fn let_go() -> Result<(), Error> {
    let failed =
        |error: io::Error| Error::Failure(format!("cannot go into the background: {error}"));
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(failed)?;
    // Not the directory either, which somebody may want to unmount.
    std::env::set_current_dir("/").map_err(failed)?;
    rustix::stdio::dup2_stdin(null.as_fd())
        .and_then(|()| rustix::stdio::dup2_stderr(null.as_fd()))
        .and_then(|()| rustix::stdio::dup2_stdout(null.as_fd()))
        .map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_option_is_replaced() {
        let args = ["mount", "--background", "a", "--", "--background"];
        let args: Vec<_> = detached(args.into_iter().map(OsString::from)).collect();
        assert_eq!(args, ["mount", "--detached", "a", "--", "--background"]);
    }
}
