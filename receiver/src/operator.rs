//! Takes part in a session with an operator in front of it: shows what happens, passes on what is
//! wanted, and leaves a summary, a report and an exit code.

use std::future::Future;
use std::io::{self, Write as _};

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::config::{Config, Presentation};
use crate::exit::Exit;
use crate::progress::{Mode, Progress, Screen};
use crate::report::{Report, ReportFile};
use crate::run::{Outcome, Severity, Update};
use crate::then::Then;
use crate::{log, run as engine, terminal};

/// Receives as `config` says, to the end.
pub(crate) fn run(config: Config, presentation: &Presentation) -> Exit {
    let mode = presentation.progress.resolve();
    let screen = Screen::stderr();
    if let Err(error) = log::start(screen.clone(), mode == Mode::Json) {
        complain(&error);
        return Exit::Usage;
    }
    match with_engine(config, presentation, mode, &screen) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&format!("the system refused to start: {error}"));
            Exit::Failure
        }
    }
}

fn with_engine(
    config: Config,
    presentation: &Presentation,
    mode: Mode,
    screen: &Screen,
) -> io::Result<Exit> {
    let (updates_in, updates) = unbounded_channel();
    let (commands, commands_out) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    terminal::watch_signals(commands, updates_in.clone(), screen.clone())?;
    let mut progress = Progress::new(mode, screen.clone());
    let started = Timestamp::now();
    let session = engine::run(config, updates_in, commands_out);
    let outcome = runtime.block_on(show(session, updates, &mut progress));
    // Work of the engine that is stuck in the kernel is not waited for.
    runtime.shutdown_background();
    let report = Report::new(&outcome, started, Timestamp::now());
    progress.finish(&outcome, &report);
    let exit = keep(&report, presentation.report.as_ref(), outcome.exit);
    Ok(follow(exit, presentation.then, &mut progress))
}

/// Shows updates until the session is over, the last of them included.
async fn show(
    session: impl Future<Output = Outcome>,
    mut updates: UnboundedReceiver<Update>,
    progress: &mut Progress,
) -> Outcome {
    tokio::pin!(session);
    let outcome = loop {
        tokio::select! {
            outcome = &mut session => break outcome,
            Some(update) = updates.recv() => progress.handle_update(update),
        }
    };
    while let Ok(update) = updates.try_recv() {
        progress.handle_update(update);
    }
    outcome
}

/// Writes the report; a run whose report is missing has not done all it was asked for.
fn keep(report: &Report<'_>, file: Option<&ReportFile>, exit: Exit) -> Exit {
    let Some(file) = file else { return exit };
    match file.write(report.to_json().as_bytes()) {
        Ok(()) => exit,
        Err(error) => {
            let path = file.path().display();
            complain(&format!(
                "--report {path}: it could not be written: {error}"
            ));
            if exit == Exit::Verified {
                Exit::Failure
            } else {
                exit
            }
        }
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
fn follow(exit: Exit, then: Then, progress: &mut Progress) -> Exit {
    let tell = |command: &str| {
        let text = format!("the image is verified, running: {command}");
        progress.handle_update(Update::Line(Severity::Info, text));
    };
    match due(exit, then).carry_out(tell) {
        Ok(()) => exit,
        Err(error) => {
            complain(&format!(
                "--then: the image is verified, but no command succeeded: {error}"
            ));
            Exit::Failure
        }
    }
}

/// Tells an error that ends the program.
pub(crate) fn complain(message: &str) {
    // A closed standard error must not turn an exit code into a panic's.
    let _ = writeln!(io::stderr(), "mimeo-receiver: error: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::screen_sink;
    use crate::status::Status;
    use std::path::Path;

    fn outcome(exit: Exit) -> Outcome {
        Outcome {
            exit,
            status: Status::default(),
            error: None,
        }
    }

    #[test]
    fn updates_that_come_with_the_end_are_shown() {
        let (screen, sink) = screen_sink();
        let mut progress = Progress::new(Mode::Plain, screen);
        let (sender, updates) = unbounded_channel();
        let session = async move {
            let line = |text: &str| Update::Line(Severity::Info, text.to_owned());
            sender.send(line("first")).unwrap();
            tokio::task::yield_now().await;
            sender.send(line("last")).unwrap();
            outcome(Exit::Verified)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let outcome = runtime.block_on(show(session, updates, &mut progress));
        assert_eq!(outcome.exit, Exit::Verified);
        assert_eq!(sink.take(), "first\nlast\n");
    }

    #[test]
    fn a_report_that_cannot_be_written_fails_a_run_that_did_not_fail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        let file = ReportFile::check(&path, Path::new("-")).unwrap();
        std::fs::create_dir(&path).unwrap();
        for (exit, kept) in [
            (Exit::Verified, Exit::Failure),
            (Exit::NotAdmitted, Exit::NotAdmitted),
        ] {
            let outcome = outcome(exit);
            let report = Report::new(&outcome, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
            assert_eq!(keep(&report, Some(&file), exit), kept);
            assert_eq!(keep(&report, None, exit), exit);
        }
        std::fs::remove_dir(&path).unwrap();
        let outcome = outcome(Exit::Verified);
        let report = Report::new(&outcome, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        assert_eq!(keep(&report, Some(&file), Exit::Verified), Exit::Verified);
        assert!(path.is_file());
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
