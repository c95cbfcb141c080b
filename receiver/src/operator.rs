//! The program: takes part in a session with an operator in front of it, and does what is to follow.

use std::ffi::OsString;
use std::process::ExitCode;

use mimeo_console::{Operator, Program as _, Progress, args};

use crate::config::{Config, Presentation};
use crate::exit::Exit;
use crate::progress::Receiver;
use crate::status::{Severity, Update};
use crate::then::Then;
use crate::{cli, config, run};

/// The whole program: arguments in, exit code out.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match cli::parse_args(args) {
        Ok(args) => args,
        Err(error) => return args::show(&error).into(),
    };
    match config::resolve(args) {
        Ok((config, presentation)) => with_operator(config, &presentation).into(),
        Err(error) => {
            Receiver::complain(&error.to_string());
            error.exit().into()
        }
    }
}

/// Receives as `config` says, to the end.
fn with_operator(config: Config, presentation: &Presentation) -> Exit {
    let operator = Operator {
        program: Receiver::default(),
        progress: presentation.progress,
        report: presentation.report.as_ref(),
        keys: None,
    };
    match operator.run(|updates, commands| run::run(config, updates, commands)) {
        Ok((exit, mut progress)) => follow(exit, presentation.then, &mut progress),
        Err(exit) => exit,
    }
}

/// What follows an exit: a machine with a failure stays as it is, so that somebody can look.
fn due(exit: Exit, then: Then) -> Then {
    if exit == Exit::Verified {
        then
    } else {
        Then::None
    }
}

/// Reboots or switches off where that is due.
fn follow(exit: Exit, then: Then, progress: &mut Progress<Receiver>) -> Exit {
    let tell = |command: &str| {
        let text = format!("the image is verified, running: {command}");
        progress.handle_update(Update::Line(Severity::Info, text));
    };
    match due(exit, then).carry_out(tell) {
        Ok(()) => exit,
        Err(error) => {
            Receiver::complain(&format!(
                "--then: the image is verified, but no command succeeded: {error}"
            ));
            Exit::Failure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_refuses_before_it_touches_anything() {
        let exit = |args: &[&str]| format!("{:?}", main(args.iter().map(OsString::from)));
        let usage = format!("{:?}", ExitCode::from(2));
        assert_eq!(exit(&["mimeo-receiver"]), usage);
        assert_eq!(exit(&["mimeo-receiver", "null:"]), usage);
    }

    #[test]
    fn a_machine_with_a_failure_is_not_restarted() {
        for exit in Exit::ALL.into_iter().filter(|exit| *exit != Exit::Verified) {
            assert_eq!(due(exit, Then::Reboot), Then::None, "{exit:?}");
            assert_eq!(due(exit, Then::Poweroff), Then::None, "{exit:?}");
        }
        assert_eq!(due(Exit::Verified, Then::Reboot), Then::Reboot);
        assert_eq!(due(Exit::Verified, Then::Poweroff), Then::Poweroff);
    }
}
