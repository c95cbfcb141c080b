//! The frame of a command line: help, version, mistakes.

use std::ffi::OsString;

use clap::Parser;

use crate::Exit;

/// Reads arguments, the program's name first. `exits` ends every help text, `examples` stand
/// before it in the long one.
///
/// # Errors
///
/// Those of `clap`, which include the requests for help and the version.
pub fn parse<A: Parser>(
    args: impl IntoIterator<Item = OsString>,
    examples: &str,
    exits: &'static str,
) -> Result<A, clap::Error> {
    let command = A::command()
        .after_help(exits)
        .after_long_help(format!("{examples}\n\n{exits}"));
    A::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// Shows what [`parse`] did not turn into arguments: a mistake, the help or the version.
#[must_use]
pub fn show(error: &clap::Error) -> Exit {
    // A closed standard error is no reason for another exit code.
    let _ = error.print();
    match error.exit_code() {
        0 => Exit::Verified,
        _ => Exit::Usage,
    }
}
