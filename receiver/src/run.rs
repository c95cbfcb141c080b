//! Runs a receiver from its configuration to its outcome.

use std::ffi::OsStr;
use std::sync::mpsc;
use std::time::Instant;

use mimeo_console::Admission;
use mimeo_image::ByteSize;
use mimeo_image::fit::{Last, Needs};
use mimeo_image::target::{self, Target, TargetError};
use mimeo_net::Waiter;
use mimeo_protocol::keys::{Secret, derive};
use mimeo_protocol::receiver::{
    Admitted, BUFFER_SIZE, Endpoint, RendezvousConfig, Resume, SearchAgain, SessionConfig, Unused,
};
use mimeo_protocol::wire::{Auth, FailCode, TargetNeeds, WelcomeBody};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::config::Config;
use crate::engine::{Again, Engine, NotJoined, Parts, Pictures, Room, Search, seed_of};
use crate::exit::Exit;
use crate::status::{Command, Outcome, Phase, Severity, Status, Update};

/// Receives the image onto the target. Returns when it is verified and flushed, or has failed;
/// `updates` hears of everything in between.
pub async fn run(
    config: Config,
    updates: UnboundedSender<Update>,
    commands: UnboundedReceiver<Command>,
) -> Outcome {
    let waiter = match Waiter::new() {
        Ok(waiter) => waiter,
        Err(error) => return failed(Exit::Failure, &error),
    };
    let waker = waiter.waker();
    let run = move |commands| session(&config, waiter, commands, updates);
    mimeo_console::session::run(commands, move || waker.wake(), run)
        .await
        .unwrap_or_else(|error| failed(Exit::Failure, &error))
}

fn failed(exit: Exit, error: &dyn ToString) -> Outcome {
    let status = Status {
        phase: Phase::Failed,
        ..Status::default()
    };
    Outcome {
        exit,
        status,
        error: Some(error.to_string()),
    }
}

/// Everything that the session's thread does.
fn session(
    config: &Config,
    waiter: Waiter,
    commands: mpsc::Receiver<Command>,
    updates: UnboundedSender<Update>,
) -> Outcome {
    let (target, unused) = match open(config) {
        Ok(opened) => opened,
        Err(error) => return failed(exit_of(&error), &error),
    };
    let mut pictures = Pictures::new(target_name(&config.target), unused);
    let line = format!("writing to {}", described(&target, config.resume));
    let _ = updates.send(Update::Line(Severity::Info, line));
    let mut room = match Room::open(config.interface.as_deref(), config.port, config.sender) {
        Ok(room) => room,
        Err(error) => return failed(Exit::Failure, &error),
    };
    let line = format!("listening on {}", room.describe());
    let _ = updates.send(Update::Line(Severity::Info, line));
    warn_if_open(config, &updates);
    let _ = updates.send(Update::Status(pictures.before(Phase::Searching)));
    let search = Search {
        room: &room,
        waiter: &waiter,
        commands: &commands,
        updates: &updates,
        timeout: config.start_timeout,
        is_open: config.admission == Admission::Open,
    };
    let joined = join(config, &room, &target, &search);
    let (admitted, again) = match joined {
        Ok(joined) => joined,
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
    let (sender, image) = (admitted.sender, Image::of(&admitted.body));
    let session = session_config(config, &admitted, window, &target, unused);
    let again = Again::new(again, session.clone());
    let endpoint = Endpoint::new(Instant::now(), session, *admitted);
    let mut engine = Engine::new(Parts {
        endpoint,
        window,
        room,
        sender,
        waiter,
        commands,
        updates,
        pictures,
        again,
    });
    prepare(&mut engine, target, &image, config);
    let (exit, error, status) = engine.run();
    Outcome {
        exit,
        status,
        error,
    }
}

/// Says what it means to take whatever comes.
fn warn_if_open(config: &Config, updates: &UnboundedSender<Update>) {
    if config.admission == Admission::Open && config.sender_key.is_none() {
        let text = "--open: what is written is what anybody on this network sends; --code, --key-file or \
                    --sender-key take it from one sender only";
        let _ = updates.send(Update::Line(Severity::Warn, text.to_owned()));
    }
}

/// Looks at the target, and decides what becomes of what it holds where the image is unused.
fn open(config: &Config) -> Result<(Target, Unused), TargetError> {
    let target = Target::open(&config.target, &config.target_options)?;
    let unused = match target.unused(config.unused)? {
        target::Unused::Keep => Unused::Keep,
        target::Unused::Discard => Unused::Discard,
        target::Unused::Zero => Unused::Zero,
    };
    Ok((target, unused))
}

/// Joins a session, and prepares the search for its sender should that fall silent.
fn join(
    config: &Config,
    room: &Room,
    target: &Target,
    search: &Search<'_>,
) -> Result<(Box<Admitted>, SearchAgain), NotJoined> {
    let rendezvous = rendezvous_config(config, room, target)?;
    let admitted = search.run(rendezvous.clone())?;
    let again = SearchAgain::new(rendezvous, Secret::new(random()?), &admitted);
    Ok((admitted, again))
}

/// The target's size is checked here, before a byte of it is changed; what it cannot hold is told
/// to the sender.
fn prepare(engine: &mut Engine, mut target: Target, image: &Image, config: &Config) {
    let (capacity, image_len) = (target.capacity(), image.len);
    let fits = image.needs().map_or(Ok(()), |needs| target.check(&needs));
    let prepared = fits.and_then(|()| match config.resume {
        true => target.resume(image_len, config.target_options.yes),
        false => target.prepare(image_len),
    });
    if prepared.is_ok()
        && let (Some(capacity), Some(len)) = (capacity, image_len)
        && len > capacity
    {
        let left = ByteSize(len - capacity);
        let text = format!(
            "this disk is shorter than the image: the last {left} of it, behind all partitions, \
             are not written"
        );
        engine.tell(Severity::Info, text);
    }
    match prepared {
        Ok(writer) => {
            if let Err(error) = engine.set_target(writer, image_len, config.resume, config.verify) {
                let text = format!("cannot start to work on the target: {error}");
                engine.give_up(Exit::Failure, FailCode::Internal, &text);
            }
        }
        Err(error) => {
            engine.give_up(exit_of(&error), FailCode::TargetRefused, &error.to_string());
        }
    }
}

/// What the welcome tells of the image.
struct Image {
    len: Option<u64>,
    needs: Option<TargetNeeds>,
}

impl Image {
    fn of(body: &WelcomeBody) -> Self {
        Self {
            len: body.image_len,
            needs: body.needs,
        }
    }

    /// What a target must have; `None` of a stream.
    fn needs(&self) -> Option<Needs> {
        let len = self.len?;
        let Some(TargetNeeds {
            least,
            sector,
            last,
        }) = self.needs
        else {
            return Some(Needs::exactly(len));
        };
        Some(Needs {
            len,
            least,
            sector,
            last: last.map(|last| Last {
                number: last.number,
                end: last.end,
            }),
        })
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
    let (auth, secret) = match &config.admission {
        Admission::Open => (Auth::Open, None),
        Admission::Key(key) => (Auth::KeyFile, Some(Secret::new(*key.bytes()))),
        Admission::Code(code) => (Auth::Code, Some(Secret::of_code(code))),
    };
    Ok(RendezvousConfig {
        session_name: config.session_name.clone(),
        auth,
        secret,
        sender_key: config.sender_key,
        seed: Secret::new(random()?),
        mac: room.mac(),
        target_id: target_id(&config.target),
        link_speed: room.link_speed(),
        capacity: target.capacity(),
        resumes: config.resume,
        piped: target.is_sequential(),
        host_name: host_name(),
        sender: config.sender,
        instead_of: None,
    })
}

fn random<const N: usize>() -> Result<[u8; N], NotJoined> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| (Exit::Failure, format!("no random numbers: {error}")))?;
    Ok(bytes)
}

/// What the target is called in the course of the session; what it was before does not matter then.
fn target_name(target: &OsStr) -> String {
    match target.to_string_lossy().as_ref() {
        "-" => "standard output".to_owned(),
        name => name.to_owned(),
    }
}

/// What the target is, and what becomes of what it holds.
fn described(target: &Target, resume: bool) -> String {
    if resume {
        target.describe_resumed()
    } else {
        target.describe()
    }
}

/// The same for the same target, whenever and wherever.
fn target_id(target: &OsStr) -> u64 {
    let digest = derive(target.as_encoded_bytes(), b"", &[b"mimeo 1 target"]);
    let (id, _) = digest.bytes().split_first_chunk().expect("32 bytes hold 8");
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

fn session_config(
    config: &Config,
    admitted: &Admitted,
    window: u32,
    target: &Target,
    unused: Unused,
) -> SessionConfig {
    let buffers = config.memory / BUFFER_SIZE as u64;
    // Who says yes to overwriting what is there says yes to overwriting another image.
    let resume = match (config.resume, config.target_options.yes) {
        (false, _) => Resume::Off,
        (true, false) => Resume::IfPart,
        (true, true) => Resume::Always,
    };
    SessionConfig {
        resume,
        buffers: u32::try_from(buffers).unwrap_or(u32::MAX),
        window,
        in_order: target.is_sequential(),
        target_len: target.capacity(),
        idle_timeout: config.idle_timeout,
        seed: seed_of(admitted),
        image_len: admitted.body.image_len,
        verify: config.verify,
        unused,
    }
}
