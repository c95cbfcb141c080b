//! The thread that a session has for itself, and the way of the operator's commands to it.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

/// Why a session has no end that it could tell of.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The system refused the thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The session panicked.
    #[error("the session ended by a fault of the program")]
    Fault,
}

/// Runs `session` on a thread of its own to its end. Every command is passed on to it, and `wake`
/// is called after each: the session may be asleep.
///
/// # Errors
///
/// When the thread cannot be started, or does not come to an end of its own.
pub async fn run<C, T>(
    commands: UnboundedReceiver<C>,
    wake: impl Fn(),
    session: impl FnOnce(mpsc::Receiver<C>) -> T + Send + 'static,
) -> Result<T, SessionError>
where
    C: Send + 'static,
    T: Send + 'static,
{
    let (command_in, command_out) = mpsc::channel();
    let (done, ended) = oneshot::channel();
    thread::Builder::new()
        .name("session".into())
        .spawn(move || {
            // The caller waits for the answer; if it is gone, nobody needs it.
            let _ = done.send(session(command_out));
        })
        .map_err(SessionError::Thread)?;
    tokio::select! {
        ended = ended => ended.map_err(|_| SessionError::Fault),
        () = forward(commands, command_in, wake) => {
            unreachable!("forwarding goes on until the session has ended")
        }
    }
}

async fn forward<C>(mut commands: UnboundedReceiver<C>, session: mpsc::Sender<C>, wake: impl Fn()) {
    while let Some(command) = commands.recv().await {
        // A session that is over takes no commands; its answer is on its way.
        if session.send(command).is_ok() {
            wake();
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc::unbounded_channel;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.build().unwrap().block_on(future)
    }

    #[test]
    fn commands_reach_the_session_and_wake_it() {
        let (operator, commands) = unbounded_channel();
        for command in ['a', 'b'] {
            operator.send(command).unwrap();
        }
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let heard = block_on(run(commands, wake, |commands| {
            [commands.recv().unwrap(), commands.recv().unwrap()]
        }));
        assert_eq!(heard.unwrap(), ['a', 'b']);
        assert_eq!(woken.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_session_goes_on_without_an_operator() {
        let (operator, commands) = unbounded_channel::<char>();
        drop(operator);
        let session = |_| {
            // Long enough for the caller to see that no command can come any more.
            thread::sleep(std::time::Duration::from_millis(20));
            "over"
        };
        assert_eq!(block_on(run(commands, || {}, session)).unwrap(), "over");
    }

    #[test]
    fn a_session_that_panics_is_told_from_one_that_ends() {
        let (_operator, commands) = unbounded_channel::<char>();
        let ended: Result<(), _> = block_on(run(commands, || {}, |_| panic!("on purpose")));
        assert!(matches!(ended, Err(SessionError::Fault)));
    }
}
