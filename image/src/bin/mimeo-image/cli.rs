//! The command line: which subcommand is to be carried out, and what is told of it.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::outcome::{Done, Error};
use crate::{capture, check, export, info, keygen, mount, restore, sign, verify};

/// In front of errors.
const NAME: &str = "mimeo-image";

const EXITS: &str = "\
Exit codes:
  0  done
  1  failure; of check: something that is to be mended
  2  usage: the command line cannot be carried out
  3  the image, device or target was refused
  6  the image is damaged, or not signed as it should be; of restore --verify: the target holds
     something else than was written
  130  interrupted";

/// The arguments.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    about = "Captures disks into image files, restores, mounts and checks them, makes the keys of a room",
    after_help = EXITS,
    max_term_width = 100
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Capture(capture::Args),
    Restore(restore::Args),
    Info(info::Args),
    Verify(verify::Args),
    Export(export::Args),
    Mount(mount::Args),
    Keygen(keygen::Args),
    Sign(sign::Args),
}

/// The whole program: arguments in, exit code out.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // A closed standard error is no reason for another exit code.
            let _ = error.print();
            return ExitCode::from(if error.exit_code() == 0 { 0 } else { 2 });
        }
    };
    match run(&args.command).and_then(tell) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Failure(text)) => complain(&text, 1),
        Err(Error::Usage(text)) => complain(&text, 2),
        Err(Error::Refused(text)) => complain(&text, 3),
        Err(Error::Findings(output)) => {
            let _ = writeln!(io::stdout(), "{output}");
            ExitCode::from(1)
        }
        Err(Error::Damaged(text)) => complain(&text, 6),
        Err(Error::Interrupted(text)) => complain(&text, 130),
        Err(Error::Told(code)) => ExitCode::from(code.unwrap_or(1)),
    }
}

fn run(command: &Command) -> Result<Done, Error> {
    match command {
        Command::Check(args) => check::run(args),
        Command::Capture(args) => capture::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Info(args) => info::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Export(args) => export::run(args),
        Command::Mount(args) => mount::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Sign(args) => sign::run(args),
    }
}

fn tell(done: Done) -> Result<(), Error> {
    if let Some(note) = done.note {
        let _ = writeln!(io::stderr(), "{note}");
    }
    let Some(output) = done.output else {
        return Ok(());
    };
    writeln!(io::stdout(), "{output}")
        .map_err(|error| Error::Failure(format!("standard output cannot be written: {error}")))
}

fn complain(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{NAME}: error: {text}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn mistakes_are_usage_errors_and_help_is_none() {
        let code = |args: &[&str]| {
            let args = std::iter::once(&NAME).chain(args).map(OsString::from);
            format!("{:?}", main(args))
        };
        let usage = format!("{:?}", ExitCode::from(2));
        let wrong: [&[&str]; 6] = [
            &[],
            &["frobnicate"],
            &["keygen"],
            &["keygen", "--room", "--public", "x"],
            &["capture", "--level", "best", "x", "y"],
            &["capture", "--label", "x", "y", "z"],
        ];
        for args in wrong {
            assert_eq!(code(args), usage, "{args:?}");
        }
        assert_eq!(code(&["--help"]), format!("{:?}", ExitCode::SUCCESS));
    }
}
