//! Runs a session with an operator in front of it: shows what happens, passes on what is wanted,
//! and leaves a summary, a report and an exit code.

use std::ffi::OsStr;
use std::future::Future;
use std::io::{self, Write as _};

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::config::{Config, Presentation};
use crate::exit::Exit;
use crate::progress::{Mode, Plan, Progress, Screen};
use crate::report::{Report, ReportFile};
use crate::run::{Outcome, Update};
use crate::{log, run as engine, terminal};

/// Runs the session that `config` describes, to its end.
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
            complain(&format!("the system refused to start the session: {error}"));
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
    let keys = config.source != OsStr::new("-") && terminal::has_keys();
    let plan = Plan {
        start: config.start.clone(),
        keys,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    terminal::watch_signals(commands.clone(), updates_in.clone(), screen.clone())?;
    if keys {
        terminal::watch_enter(commands, screen.clone())?;
    }
    let mut progress = Progress::new(mode, screen.clone(), plan);
    let started = Timestamp::now();
    let session = engine::run(config, updates_in, commands_out);
    let outcome = runtime.block_on(show(session, updates, &mut progress));
    // Work of the engine that is stuck in the kernel is not waited for.
    runtime.shutdown_background();
    let report = Report::new(&outcome, started, Timestamp::now());
    progress.finish(&outcome, &report);
    Ok(keep(&report, presentation.report.as_ref(), outcome.exit))
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

/// Writes the report; a session whose report is missing has not done all it was asked for.
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

/// Tells an error that ends the program.
pub(crate) fn complain(message: &str) {
    // A closed standard error must not turn an exit code into a panic's.
    let _ = writeln!(io::stderr(), "mimeo-sender: error: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::example::plan;
    use crate::progress::screen_sink;
    use crate::run::Severity;
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
        let mut progress = Progress::new(Mode::Plain, screen, plan());
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
    fn a_report_that_cannot_be_written_fails_a_session_that_did_not_fail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        let file = ReportFile::check(&path, Path::new("-")).unwrap();
        for exit in [Exit::Verified, Exit::ReceiversFailed] {
            let outcome = outcome(exit);
            let report = Report::new(&outcome, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
            assert_eq!(keep(&report, Some(&file), exit), exit);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        for (exit, kept) in [
            (Exit::Verified, Exit::Failure),
            (Exit::ReceiversFailed, Exit::ReceiversFailed),
        ] {
            let outcome = outcome(exit);
            let report = Report::new(&outcome, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
            assert_eq!(keep(&report, Some(&file), exit), kept);
            assert_eq!(keep(&report, None, exit), exit);
        }
    }
}
