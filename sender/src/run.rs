//! Runs a session from its configuration to its outcome.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use mimeo_console::Admission;
use mimeo_image::source::Source;
use mimeo_net::Waiter;
use mimeo_protocol::ids::SessionId;
use mimeo_protocol::keys::{Secret, SigningKey};
use mimeo_protocol::sender::{Endpoint, EndpointConfig, SessionConfig, StartPolicy};
use mimeo_protocol::wire::{Auth, FailCode, TargetNeeds};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::config::Config;
use crate::engine::{Ended, Engine, Parts, Room, shown_code};
use crate::exit::Exit;
use crate::fit::look_at;
use crate::golden;
use crate::open::open;
use crate::status::{Command, Outcome, ReceiverState, ReceiverStatus, Severity, Status, Update};
use crate::{SpilledPages, summary, unused};

/// Sends the image to the room. Returns when every receiver is done, failed or lost, or when the
/// session failed; `updates` hears of everything in between.
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
    let min_receivers = config.start.min_receivers;
    let run = move |commands| session(&config, waiter, commands, updates);
    match mimeo_console::session::run(commands, move || waker.wake(), run).await {
        Ok(Ok(ended)) => outcome(ended, min_receivers),
        Ok(Err(outcome)) => *outcome,
        Err(error) => failed(Exit::Failure, &error),
    }
}

fn failed(exit: Exit, error: &dyn ToString) -> Outcome {
    Outcome {
        exit,
        status: Status::default(),
        error: Some(error.to_string()),
    }
}

/// Everything that the session's thread does.
fn session(
    config: &Config,
    waiter: Waiter,
    commands: mpsc::Receiver<Command>,
    updates: UnboundedSender<Update>,
) -> Result<Ended, Box<Outcome>> {
    let failed = |exit, error: &dyn ToString| Box::new(failed(exit, error));
    let mut source = open(config).map_err(|(exit, text)| failed(exit, &text))?;
    let seed = random_bytes().map_err(|error| failed(Exit::Failure, &error))?;
    let (session_id, _) = seed.split_first_chunk().expect("32 bytes hold 16");
    let session_id = SessionId(*session_id);
    let room = Room::open(
        config.interface.as_deref(),
        config.port,
        config.ttl,
        session_id,
    )
    .map_err(|error| failed(Exit::Failure, &error))?;
    let line = format!("sending {} through {}", source.describe(), room.describe());
    let _ = updates.send(Update::Line(Severity::Info, line));
    for warning in golden::warnings(&source) {
        let _ = updates.send(Update::Line(Severity::Warn, warning));
    }
    if config.scrub {
        unused::scrub(&mut source, &updates);
    }
    unused::tell(&source, &config.source_options, &updates);
    say_how_to_join(config, &updates);
    let needs = look_at(&source, &updates);
    let endpoint_config = endpoint_config(config, session_id, room.data_group(), needs)
        .map_err(|error| failed(Exit::Failure, &error))?;
    let session = session_config(config, &source);
    let pages = Box::<SpilledPages>::default();
    let endpoint = Endpoint::with_page_store(Instant::now(), endpoint_config, session, pages);
    let parts = Parts {
        endpoint,
        room,
        waiter,
        source,
        commands,
        updates,
    };
    let engine = Engine::new(parts, config).map_err(|error| failed(Exit::Failure, &error))?;
    Ok(engine.run())
}

/// What receivers have to be given.
fn say_how_to_join(config: &Config, updates: &UnboundedSender<Update>) {
    // Nobody listening is no reason to stop.
    let say = |line| updates.send(Update::Line(Severity::Info, line)).ok();
    match &config.admission {
        Admission::Code(code) => {
            say(shown_code(code, &config.join_options()));
        }
        Admission::Key(_) => {}
        Admission::Open => {
            let text = "--open: every machine on this network can join, read the image, and send the others \
                        what they take for it; a join code or a key file keeps strangers out";
            let _ = updates.send(Update::Line(Severity::Warn, text.to_owned()));
        }
    }
    if let Some(key) = &config.signing_key {
        let key = key.verifying_key();
        say(format!(
            "signing with key {key} (mimeo-receiver --sender-key {key})"
        ));
    }
}

fn endpoint_config(
    config: &Config,
    session_id: SessionId,
    group: SocketAddr,
    needs: Option<TargetNeeds>,
) -> Result<EndpointConfig, String> {
    let (auth, secret) = match &config.admission {
        Admission::Open => (Auth::Open, random_secret()?),
        Admission::Key(key) => (Auth::KeyFile, Secret::new(*key.bytes())),
        Admission::Code(code) => (Auth::Code, Secret::of_code(code)),
    };
    let signing_key = match &config.signing_key {
        Some(key) => key.clone(),
        None => SigningKey::from_seed(random_secret()?.bytes()),
    };
    Ok(EndpointConfig {
        session_id,
        session_name: config.session_name.clone(),
        auth,
        secret,
        seed: random_secret()?,
        signing_key,
        group,
        needs,
    })
}

fn random_secret() -> Result<Secret, String> {
    random_bytes().map(Secret::new)
}

fn random_bytes() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(bytes)
}

fn session_config(config: &Config, source: &Source) -> SessionConfig {
    let rules = &config.start;
    let start_at = rules.start_at.map(|at| {
        let wait = at
            .duration_since(SystemTime::now())
            .unwrap_or(Duration::ZERO);
        Instant::now() + wait
    });
    SessionConfig {
        image_len: source.image_len(),
        seekable: !matches!(source, Source::Stream(_)),
        start: StartPolicy {
            min_receivers: rules.min_receivers,
            min_wait: rules.min_wait,
            max_wait: rules.max_wait,
            start_at,
            start_timeout: rules.start_timeout,
        },
        rate_cap: config.rate_cap,
        parity: config.parity,
        slow: config.slow,
        linger: config.linger,
        lost_timeout: config.lost_timeout,
    }
}

/// Success only if everybody who joined, and as many as were asked for, confirmed.
fn outcome(ended: Ended, min_receivers: usize) -> Outcome {
    let receivers = &ended.status.receivers;
    let confirmed = receivers
        .iter()
        .filter(|r| r.state == ReceiverState::Confirmed)
        .count();
    let (exit, error) = match ended.abort {
        Some((FailCode::Interrupted, text, _)) => (Exit::Interrupted, Some(text)),
        Some((FailCode::NotStarted, told, _)) => {
            let text = not_started(receivers, min_receivers, &told);
            (Exit::NobodyInTime, Some(text))
        }
        Some((_, text, true)) => (Exit::Refused, Some(text)),
        Some((_, text, false)) => (Exit::Failure, Some(text)),
        None if ended.mismatch => {
            let text = "a receiver holds something else than the image".to_owned();
            (Exit::DigestMismatch, Some(text))
        }
        None if confirmed < receivers.len() => {
            let text = summary::incomplete(receivers.len() - confirmed, receivers.len());
            (Exit::ReceiversFailed, Some(text))
        }
        None if confirmed < min_receivers => {
            let text = summary::too_few(confirmed, min_receivers);
            (Exit::ReceiversFailed, Some(text))
        }
        None => (Exit::Verified, None),
    };
    Outcome {
        exit,
        status: ended.status,
        error,
    }
}

/// Why the session did not start: who failed or went away before was not there. Those who were
/// have been told that it does not start, and failed for that reason.
fn not_started(receivers: &[ReceiverStatus], min_receivers: usize, told: &str) -> String {
    let gone = |r: &&ReceiverStatus| match &r.state {
        ReceiverState::Failed(reason) => reason != told,
        state => *state == ReceiverState::Lost,
    };
    let gone = receivers.iter().filter(gone).count();
    let mut text = match receivers.len() - gone {
        0 => "no receiver was there in time (--start-timeout)".to_owned(),
        n => format!(
            "only {n} of at least {min_receivers} receivers were there in time (--start-timeout)"
        ),
    };
    if gone > 0 {
        text += &format!("; {gone} joined and failed or went away");
    }
    text
}
