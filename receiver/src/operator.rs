//! Takes part in a session with an operator in front of it, and does what is to follow.

use mimeo_console::{Operator, Program as _, Progress};

use crate::config::{Config, Presentation};
use crate::exit::Exit;
use crate::progress::Receiver;
use crate::run::{self, Severity, Update};
use crate::then::Then;

/// Receives as `config` says, to the end.
pub(crate) fn run(config: Config, presentation: &Presentation) -> Exit {
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
    fn a_machine_with_a_failure_is_not_restarted() {
        for exit in Exit::ALL.into_iter().filter(|exit| *exit != Exit::Verified) {
            assert_eq!(due(exit, Then::Reboot), Then::None, "{exit:?}");
            assert_eq!(due(exit, Then::Poweroff), Then::None, "{exit:?}");
        }
        assert_eq!(due(Exit::Verified, Then::Reboot), Then::Reboot);
        assert_eq!(due(Exit::Verified, Then::Poweroff), Then::Poweroff);
    }
}
