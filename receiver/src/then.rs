//! What the machine does once it holds the image.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// What follows a verified image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Then {
    /// The program just ends
    None,
    /// The machine starts again
    Reboot,
    /// The machine switches off
    Poweroff,
}

/// There is only such a directory where systemd is the init (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";

impl Then {
    /// The command lines to try, one after the other until one succeeds.
    fn commands(self, systemd: bool) -> Vec<Vec<&'static str>> {
        let (verb, path) = match self {
            Then::None => return Vec::new(),
            Then::Reboot => ("reboot", "/sbin/reboot"),
            Then::Poweroff => ("poweroff", "/sbin/poweroff"),
        };
        if systemd {
            vec![vec!["systemctl", verb]]
        } else {
            // The small systems that machines boot from the network keep it in different places,
            // and where a script is the init nobody answers the orderly request: the last one
            // goes to the kernel. The target was flushed before.
            vec![vec![verb], vec![path], vec![verb, "-f"]]
        }
    }

    /// Does it; `tell` hears each command line before it is run.
    ///
    /// # Errors
    ///
    /// When no command succeeded; names each with its reason.
    pub(crate) fn carry_out(self, tell: impl FnMut(&str)) -> Result<(), String> {
        try_each(&self.commands(Path::new(SYSTEMD).is_dir()), tell)
    }
}

fn try_each(commands: &[Vec<&str>], mut tell: impl FnMut(&str)) -> Result<(), String> {
    let mut failures = Vec::new();
    for words in commands {
        let line = words.join(" ");
        tell(&line);
        match run(words) {
            Ok(()) => return Ok(()),
            Err(error) => failures.push(format!("{line}: {error}")),
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("; "))
    }
}

fn run(words: &[&str]) -> io::Result<()> {
    let (program, arguments) = words.split_first().expect("a command has a name");
    // Standard output may be the image's way out.
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_init_that_runs_is_asked() {
        assert_eq!(Then::Reboot.commands(true), [["systemctl", "reboot"]]);
        assert_eq!(Then::Poweroff.commands(true), [["systemctl", "poweroff"]]);
        assert!(Then::None.commands(true).is_empty() && Then::None.commands(false).is_empty());
        assert_eq!(
            Then::Poweroff.commands(false),
            [
                vec!["poweroff"],
                vec!["/sbin/poweroff"],
                vec!["poweroff", "-f"]
            ]
        );
        assert_eq!(Then::Reboot.commands(false)[1], ["/sbin/reboot"]);
    }

    fn attempt(commands: &[Vec<&str>]) -> (Result<(), String>, Vec<String>) {
        let mut told = Vec::new();
        let result = try_each(commands, |line| told.push(line.to_owned()));
        (result, told)
    }

    #[test]
    fn commands_are_tried_until_one_succeeds() {
        let commands = [
            vec!["/nonexistent/x"],
            vec!["false"],
            vec!["true"],
            vec!["x"],
        ];
        let (result, told) = attempt(&commands);
        assert_eq!(result, Ok(()));
        assert_eq!(told, ["/nonexistent/x", "false", "true"]);
        assert_eq!(attempt(&[]), (Ok(()), Vec::new()));
    }

    #[test]
    fn every_failure_is_named() {
        let (result, told) = attempt(&[vec!["/nonexistent/x"], vec!["false", "-f"]]);
        let error = result.unwrap_err();
        assert!(error.contains("/nonexistent/x: No such file"), "{error}");
        assert!(error.contains("false -f: exit status: 1"), "{error}");
        assert_eq!(told.len(), 2);
    }
}
