//! Runs a receiver from its configuration to its outcome.

use std::ffi::OsStr;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use mimeo_image::target::{Target, TargetError};
use mimeo_net::Waiter;
use mimeo_protocol::ids::Nonce;
use mimeo_protocol::keys::derive;
use mimeo_protocol::receiver::{Admitted, BUFFER_SIZE, Endpoint, RendezvousConfig, SessionConfig};
use mimeo_protocol::wire::{Auth, FailCode};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use crate::config::{Admission, Config};
use crate::engine::{Engine, NotJoined, Parts, Pictures, Room, Search};
use crate::exit::Exit;
use crate::status::{Phase, Status};

/// What a person can do while a receiver runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Give up and tell the sender.
    Interrupt,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Needs a look.
    Warn,
    /// This machine does not get the image.
    Error,
}

/// What a running receiver tells.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every update is a picture"
)]
pub enum Update {
    /// A picture, several times a second.
    Status(Status),
    /// Something happened.
    Line(Severity, String),
}

/// How a receiver ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code.
    pub exit: Exit,
    /// The last picture.
    pub status: Status,
    /// What went wrong.
    pub error: Option<String>,
}

impl Outcome {
    fn failed(exit: Exit, error: &dyn ToString) -> Self {
        let status = Status {
            phase: Phase::Failed,
            ..Status::default()
        };
        Self {
            exit,
            status,
            error: Some(error.to_string()),
        }
    }
}

/// Receives the image onto the target. Returns when it is verified and flushed, or has failed;
/// `updates` hears of everything in between.
pub async fn run(
    config: Config,
    updates: UnboundedSender<Update>,
    commands: UnboundedReceiver<Command>,
) -> Outcome {
    let (command_in, command_out) = mpsc::channel();
    let waiter = match Waiter::new() {
        Ok(waiter) => waiter,
        Err(error) => return Outcome::failed(Exit::Failure, &error),
    };
    let waker = waiter.waker();
    let (done, ended) = oneshot::channel();
    let session = thread::Builder::new()
        .name("session".into())
        .spawn(move || {
            // The caller waits for the answer; if it is gone, nobody needs it.
            let _ = done.send(session(&config, waiter, command_out, updates));
        });
    if let Err(error) = session {
        return Outcome::failed(Exit::Failure, &format!("cannot start a thread: {error}"));
    }
    tokio::select! {
        ended = ended => ended.unwrap_or_else(|_| {
            Outcome::failed(Exit::Failure, &"the session ended by a fault of the program")
        }),
        () = forward(commands, command_in, waker) => {
            unreachable!("forwarding goes on until the session has ended")
        }
    }
}

async fn forward(
    mut commands: UnboundedReceiver<Command>,
    session: mpsc::Sender<Command>,
    waker: mimeo_net::Waker,
) {
    while let Some(command) = commands.recv().await {
        // A session that is over takes no commands; its answer is on its way.
        if session.send(command).is_ok() {
            waker.wake();
        }
    }
    std::future::pending::<()>().await;
}

/// Everything that the session's thread does.
fn session(
    config: &Config,
    waiter: Waiter,
    commands: mpsc::Receiver<Command>,
    updates: UnboundedSender<Update>,
) -> Outcome {
    let target = match Target::open(&config.target, &config.target_options) {
        Ok(target) => target,
        Err(error) => return Outcome::failed(exit_of(&error), &error),
    };
    let mut pictures = Pictures::new(target.describe());
    let line = format!("writing to {}", target.describe());
    let _ = updates.send(Update::Line(Severity::Info, line));
    let mut room = match Room::open(config.interface.as_deref(), config.port, config.sender) {
        Ok(room) => room,
        Err(error) => return Outcome::failed(Exit::Failure, &error),
    };
    let line = format!("listening on {}", room.describe());
    let _ = updates.send(Update::Line(Severity::Info, line));
    let _ = updates.send(Update::Status(pictures.before(Phase::Searching)));
    let search = Search {
        room: &room,
        waiter: &waiter,
        commands: &commands,
        updates: &updates,
        timeout: config.start_timeout,
    };
    let joined = rendezvous_config(config, &room, &target).and_then(|config| search.run(config));
    let admitted = match joined {
        Ok(admitted) => admitted,
        Err((exit, text)) => return not_joined(&pictures, exit, text),
    };
    pictures.on_joined(&admitted.session_name, admitted.sender);
    let window = match room.join(admitted.body.group) {
        Ok((window, warning)) => {
            if let Some(text) = warning {
                let _ = updates.send(Update::Line(Severity::Warn, text));
            }
            window
        }
        Err(error) => return not_joined(&pictures, Exit::Failure, error.to_string()),
    };
    let (sender, image_len) = (admitted.sender, admitted.body.image_len);
    let endpoint = endpoint(config, *admitted, window, target.is_sequential());
    let mut engine = Engine::new(Parts {
        endpoint,
        room,
        sender,
        waiter,
        commands,
        updates,
        pictures,
    });
    prepare(&mut engine, target, image_len);
    let (exit, error, status) = engine.run();
    Outcome {
        exit,
        status,
        error,
    }
}

/// The target's size is checked here, before a byte of it is changed; what it cannot hold is told
/// to the sender.
fn prepare(engine: &mut Engine, target: Target, image_len: Option<u64>) {
    match target.prepare(image_len) {
        Ok(writer) => {
            if let Err(error) = engine.set_target(writer, image_len) {
                let text = format!("cannot start a thread: {error}");
                engine.give_up(Exit::Failure, FailCode::Internal, &text);
            }
        }
        Err(error) => {
            engine.give_up(exit_of(&error), FailCode::TargetRefused, &error.to_string());
        }
    }
}

fn not_joined(pictures: &Pictures, exit: Exit, text: String) -> Outcome {
    Outcome {
        exit,
        status: pictures.before(Phase::Failed),
        error: Some(text),
    }
}

fn exit_of(error: &TargetError) -> Exit {
    if error.is_refusal() {
        Exit::Refused
    } else {
        Exit::Failure
    }
}

fn rendezvous_config(
    config: &Config,
    room: &Room,
    target: &Target,
) -> Result<RendezvousConfig, NotJoined> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| (Exit::Failure, format!("no random numbers: {error}")))?;
    let (auth, secret) = match &config.admission {
        Admission::Open => (Auth::Open, None),
        Admission::Key(secret) => (Auth::KeyFile, Some(secret.clone())),
    };
    Ok(RendezvousConfig {
        session_name: config.session_name.clone(),
        auth,
        secret,
        nonce: Nonce(nonce),
        mac: room.mac(),
        target_id: target_id(&config.target),
        link_speed: room.link_speed(),
        capacity: target.capacity(),
        host_name: host_name(),
        sender: config.sender,
    })
}

/// The same for the same target, whenever and wherever.
fn target_id(target: &OsStr) -> u64 {
    let digest = derive(target.as_encoded_bytes(), b"", &[b"mimeo 1 target"]);
    let (id, _) = digest.split_first_chunk().expect("32 bytes hold 8");
    u64::from_be_bytes(*id)
}

/// The machine's name, as its kernel knows it.
fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    }
}

fn endpoint(config: &Config, admitted: Admitted, window: u32, in_order: bool) -> Endpoint {
    let buffers = config.memory / BUFFER_SIZE as u64;
    let seed = u64::from(admitted.number.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let session = SessionConfig {
        buffers: u32::try_from(buffers).unwrap_or(u32::MAX),
        window,
        in_order,
        idle_timeout: config.idle_timeout,
        seed,
        image_len: admitted.body.image_len,
    };
    Endpoint::new(Instant::now(), session, admitted)
}
