//! The program: runs a session with an operator in front of it.

use std::ffi::OsString;
use std::process::ExitCode;

use jiff::Zoned;
use mimeo_console::{Operator, Program as _, args};

use crate::config::{Config, Presentation};
use crate::exit::Exit;
use crate::progress::{Plan, Sender};
use crate::status::Command;
use crate::{cli, config, run};

/// The whole program: arguments in, exit code out.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match cli::parse_args(args) {
        Ok(args) => args,
        Err(error) => return args::show(&error).into(),
    };
    match config::resolve(args, &Zoned::now()) {
        Ok((config, presentation)) => with_operator(config, &presentation).into(),
        Err(error) => {
            Sender::complain(&error.to_string());
            Exit::Usage.into()
        }
    }
}

/// What a line asks for.
fn command(line: &str) -> Option<Command> {
    match line {
        "" => Some(Command::StartNow),
        "c" | "code" => Some(Command::NewCode),
        _ => None,
    }
}

/// Runs the session that `config` describes, to its end.
fn with_operator(config: Config, presentation: &Presentation) -> Exit {
    let keys = config.has_keys();
    let plan = Plan {
        start: config.start.clone(),
        keys,
    };
    let operator = Operator {
        program: Sender::new(plan),
        progress: presentation.progress,
        report: presentation.report.as_ref(),
        keys: keys.then_some(command),
    };
    match operator.run(|updates, commands| run::run(config, updates, commands)) {
        Ok((exit, _)) | Err(exit) => exit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_refuses_before_it_touches_anything() {
        let exit = |args: &[&str]| main(args.iter().map(OsString::from));
        let usage = format!("{:?}", ExitCode::from(2));
        assert_eq!(format!("{:?}", exit(&["mimeo-sender"])), usage);
        assert_eq!(
            format!(
                "{:?}",
                exit(&["mimeo-sender", "--code", "7-zoo", "/nonexistent"])
            ),
            usage
        );
    }
}
