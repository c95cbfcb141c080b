//! The programs that build the network, and what to do without them.

use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Programs, each with the Debian package that brings it.
const TOOLS: [(&str, &str); 4] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("ethtool", "ethtool"),
];

/// What a virtual network lacks on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing(Vec<String>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a virtual network needs {}", self.0.join(", "))
    }
}

impl std::error::Error for Missing {}

/// Says whether this process can build a virtual network.
///
/// # Errors
///
/// Names everything that is missing: root's rights, programs.
pub fn available() -> Result<(), Missing> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("root's rights".to_owned());
    }
    for (program, package) in TOOLS.iter().filter(|(program, _)| !is_installed(program)) {
        missing.push(format!("{program} in the search path (package {package})"));
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Missing(missing))
    }
}

/// For a test that needs the virtual network: true when it can be built, otherwise
/// prints that `test` is skipped and why.
///
/// # Panics
///
/// When something is missing although `MIMEO_REQUIRE_ALL=1` is set.
#[must_use]
pub fn usable(test: &str) -> bool {
    let Err(missing) = available() else {
        return true;
    };
    skip(test, &missing);
    false
}

/// Prints that `test` is skipped and why.
///
/// # Panics
///
/// When `MIMEO_REQUIRE_ALL=1` is set: where everything is said to be installed, a
/// skipped test is a failed one.
pub fn skip(test: &str, reason: &dyn fmt::Display) {
    let required = std::env::var_os("MIMEO_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "{test} cannot run: {reason}");
    eprintln!("{test}: skipped, {reason}");
}

/// True when `program` is in the search path.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    })
}

/// Runs a program to its end and returns what it printed.
pub(super) fn run(program: &str, args: &[&str]) -> Result<String> {
    finish(program, args, "")
}

/// Runs a program that reads `script` from its standard input.
pub(super) fn feed(program: &str, args: &[&str], script: &str) -> Result<()> {
    finish(program, args, script).map(drop)
}

fn finish(program: &str, args: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    // A program that stops early at a bad line closes the pipe: its message is the
    // error worth showing. Scripts are far smaller than what it may print meanwhile.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{program} {} failed ({}): {}",
            args.join(" "),
            output.status,
            message.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_quoted() {
        let error = run("sh", &["-c", "echo no such wire >&2; exit 3"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no such wire") && error.contains("exit status: 3"),
            "{error}"
        );
    }

    #[test]
    fn a_script_is_read() {
        feed("sh", &["-s"], "exit 0").unwrap();
        feed("sh", &["-s"], "exit 1").unwrap_err();
    }

    #[test]
    fn knows_what_is_installed() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program"));
    }

    #[test]
    fn says_everything_that_is_missing() {
        let missing = Missing(vec![
            "root's rights".to_owned(),
            "the program nft".to_owned(),
        ]);
        assert_eq!(
            missing.to_string(),
            "a virtual network needs root's rights, the program nft"
        );
    }
}
