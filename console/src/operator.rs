//! Runs an engine with an operator in front of it: shows what happens, passes on what is wanted,
//! and leaves a summary, a report and an exit code.

use std::future::Future;
use std::io;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::program::Program;
use crate::progress::{Mode, Progress};
use crate::report::Report;
use crate::terminal::Keys;
use crate::update::{Outcome, Update};
use crate::{Exit, ReportFile, Screen, log, terminal};

/// How a program is shown and what may be pressed while it runs.
#[derive(Debug)]
pub struct Operator<'a, P: Program> {
    /// The program.
    pub program: P,
    /// How progress is shown.
    pub progress: Mode,
    /// Where the report goes.
    pub report: Option<&'a ReportFile>,
    /// What typed lines ask for, where they ask for something.
    pub keys: Option<Keys<P::Command>>,
}

impl<P: Program> Operator<'_, P> {
    /// Runs the engine to its end; `engine` gets the way of its updates and that of the commands.
    /// Returns the exit code, and the display for what follows the run.
    ///
    /// # Errors
    ///
    /// The exit code of a run that did not begin; the operator was told why.
    pub fn run<R>(
        self,
        engine: impl FnOnce(UnboundedSender<Update<P::Status>>, UnboundedReceiver<P::Command>) -> R,
    ) -> Result<(Exit, Progress<P>), Exit>
    where
        R: Future<Output = Outcome<P::Status>>,
    {
        let mode = self.progress.resolve();
        let screen = Screen::stderr();
        if let Err(error) = log::start(screen.clone(), mode == Mode::Json) {
            P::complain(&error);
            return Err(Exit::Usage);
        }
        self.with_engine(mode, screen, engine).map_err(|error| {
            P::complain(&format!("{}: {error}", P::NOT_STARTED));
            Exit::Failure
        })
    }

    fn with_engine<R>(
        self,
        mode: Mode,
        screen: Screen,
        engine: impl FnOnce(UnboundedSender<Update<P::Status>>, UnboundedReceiver<P::Command>) -> R,
    ) -> io::Result<(Exit, Progress<P>)>
    where
        R: Future<Output = Outcome<P::Status>>,
    {
        let (updates_in, updates) = unbounded_channel();
        let (commands, commands_out) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        terminal::watch_signals::<P>(commands.clone(), updates_in.clone(), screen.clone())?;
        if let Some(keys) = self.keys {
            terminal::watch_keys(keys, commands, screen.clone())?;
        }
        let mut progress = Progress::new(mode, screen, self.program);
        let started = Timestamp::now();
        let session = engine(updates_in, commands_out);
        let outcome = runtime.block_on(show(session, updates, &mut progress));
        // Work of the engine that is stuck in the kernel is not waited for.
        runtime.shutdown_background();
        let report = Report::new::<P>(&outcome, started, Timestamp::now());
        progress.finish(&outcome, &report);
        let exit = keep::<P>(&report, self.report, outcome.exit);
        Ok((exit, progress))
    }
}

/// Shows updates until the session is over, the last of them included.
async fn show<P: Program>(
    session: impl Future<Output = Outcome<P::Status>>,
    mut updates: UnboundedReceiver<Update<P::Status>>,
    progress: &mut Progress<P>,
) -> Outcome<P::Status> {
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
fn keep<P: Program>(
    report: &Report<'_, impl Serialize>,
    file: Option<&ReportFile>,
    exit: Exit,
) -> Exit {
    let Some(file) = file else { return exit };
    match file.write(report.to_json().as_bytes()) {
        Ok(()) => exit,
        Err(error) => {
            let path = file.path().display();
            P::complain(&format!(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::example::Counter;
    use crate::update::Severity;
    use std::path::Path;

    fn outcome(exit: Exit) -> Outcome<u32> {
        Outcome {
            exit,
            status: 0,
            error: None,
        }
    }

    #[test]
    fn updates_that_come_with_the_end_are_shown() {
        let (screen, shown) = Screen::captured();
        let mut progress = Progress::new(Mode::Plain, screen, Counter);
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
        assert_eq!(shown.take(), "first\nlast\n");
    }

    #[test]
    fn a_report_that_cannot_be_written_fails_a_run_that_did_not_fail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        let file = ReportFile::check(&path, Path::new("-"), "image").unwrap();
        let kept = |exit, file| {
            let outcome = outcome(exit);
            let moment = Timestamp::UNIX_EPOCH;
            let report = Report::new::<Counter>(&outcome, moment, moment);
            keep::<Counter>(&report, file, exit)
        };
        for exit in Exit::ALL {
            assert_eq!(kept(exit, Some(&file)), exit);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        for exit in Exit::ALL {
            let failed = match exit {
                Exit::Verified => Exit::Failure,
                failed => failed,
            };
            assert_eq!(kept(exit, Some(&file)), failed);
            assert_eq!(kept(exit, None), exit);
        }
        std::fs::remove_dir(&path).unwrap();
        assert_eq!(kept(Exit::Verified, Some(&file)), Exit::Verified);
        assert!(path.is_file());
    }
}
