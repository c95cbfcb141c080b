//! Runs a session with an operator in front of it.

use mimeo_console::Operator;

use crate::config::{Config, Presentation};
use crate::exit::Exit;
use crate::progress::{Plan, Sender};
use crate::run::{self, Command};

/// What a line asks for.
fn command(line: &str) -> Option<Command> {
    match line {
        "" => Some(Command::StartNow),
        "c" | "code" => Some(Command::NewCode),
        _ => None,
    }
}

/// Runs the session that `config` describes, to its end.
pub(crate) fn run(config: Config, presentation: &Presentation) -> Exit {
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
