//! What ends a mount: signals, and whoever unmounts it.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use signal_hook::iterator::Signals;

use crate::outcome::Error;
use crate::signals;

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody wants it to end.
    Signal,
    /// It is unmounted, or cannot be served.
    Ended(io::Result<()>),
}

/// Waits for events.
#[derive(Debug)]
pub(super) struct Events {
    sender: mpsc::Sender<Event>,
    receiver: mpsc::Receiver<Event>,
}

impl Events {
    /// From here on signals that would end the program are events.
    pub(super) fn start() -> Result<Self, Error> {
        let failed =
            |error: io::Error| Error::Failure(format!("signals cannot be caught: {error}"));
        let mut signals = Signals::new(signals::ending()).map_err(failed)?;
        let (sender, receiver) = mpsc::channel();
        let told = sender.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for _ in signals.forever() {
                    if told.send(Event::Signal).is_err() {
                        return;
                    }
                }
            })
            .map_err(failed)?;
        Ok(Self { sender, receiver })
    }

    /// Tells of an event, once, from another thread.
    pub(super) fn teller(&self) -> impl FnOnce(Event) + Send + 'static {
        let sender = self.sender.clone();
        move |event| {
            // When nobody waits any more the program is about to end.
            let _ = sender.send(event);
        }
    }

    /// Waits for the next one.
    pub(super) fn next(&self) -> Event {
        self.receiver
            .recv()
            .expect("the channel has a sender of its own")
    }

    /// The same, for some time.
    pub(super) fn next_within(&self, time: Duration) -> Option<Event> {
        self.receiver.recv_timeout(time).ok()
    }
}
