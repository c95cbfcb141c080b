//! Runs a session with an operator in front of it.

use std::ffi::OsStr;

use mimeo_console::{Operator, terminal};

use crate::config::{Config, Presentation};
use crate::exit::Exit;
use crate::progress::{Plan, Sender};
use crate::run::{self, Command};

/// Runs the session that `config` describes, to its end.
pub(crate) fn run(config: Config, presentation: &Presentation) -> Exit {
    let keys = config.source != OsStr::new("-") && terminal::has_keys();
    let plan = Plan {
        start: config.start.clone(),
        keys,
    };
    let operator = Operator {
        program: Sender::new(plan),
        progress: presentation.progress,
        report: presentation.report.as_ref(),
        enter: keys.then_some(Command::StartNow),
    };
    match operator.run(|updates, commands| run::run(config, updates, commands)) {
        Ok((exit, _)) | Err(exit) => exit,
    }
}
