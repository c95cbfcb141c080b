//! What all tools have in common: start, clock, end, account, comparison.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Cpu, Job, PeerRun, Targets};
use crate::files::is_same;
use crate::measure::{self, Running, Usage};
use crate::netlab::Host;

/// How much has to leave the sender to count as data: more than any tool's
/// rendezvous, and 5 ms of the slowest stream worth measuring.
const FIRST_DATA: u64 = 64 << 10;

/// How often the sender's interface is looked at until data flows.
const GLANCE: Duration = Duration::from_millis(1);

/// A tool's programs for one job.
pub(super) struct Cast {
    /// Name of the tool.
    pub(super) tool: &'static str,
    /// The sending program.
    pub(super) sender: Command,
    /// The receiving programs, one for each host.
    pub(super) receivers: Vec<Command>,
    /// How a receiver says that it has everything.
    pub(super) done: Done,
    /// What they are.
    pub(super) nature: Nature,
}

/// What the programs are, which decides how they are ended.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Nature {
    /// Each is one process that ends by itself.
    Programs,
    /// The receivers wait for the next sender instead of ending.
    Daemons,
    /// Each is a shell with a pipeline, which is ended as a whole.
    Pipelines,
}

/// How a receiver says that it has everything.
#[derive(Clone, Copy)]
pub(super) enum Done {
    /// It prints these words.
    Says(&'static str),
    /// It ends.
    Ends,
}

/// A program whose output is followed.
struct Player {
    process: Running,
    nature: Nature,
    /// The moment it printed what was waited for, and everything it printed.
    output: Receiver<Event>,
}

enum Event {
    Spoke,
    Said(Instant),
    Ended(String),
}

/// Runs the programs to their end and takes stock.
pub(super) fn run(job: &Job<'_>, cast: Cast) -> Result<PeerRun> {
    prepare(job)?;
    let deadline = Instant::now() + job.timeout;
    let sent_before = job.room.traffic(Host::SENDER)?.sent_bytes;
    let daemons = cast.nature == Nature::Daemons;
    let start = |command| Player::start(command, cast.done, cast.nature);
    let receivers: Result<Vec<_>> = cast.receivers.into_iter().map(start).collect();
    let mut receivers = receivers?;
    for receiver in &receivers {
        // A program that ends at once has spoken, too: the account tells.
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = receiver.output.recv_timeout(left);
    }
    let mut sender = start(cast.sender)?;
    let started = first_data(job, &mut sender, sent_before, deadline)?;

    let mut notes = Vec::new();
    let left = deadline.saturating_duration_since(Instant::now());
    let waited_for = receivers
        .iter_mut()
        .filter(|_| !daemons)
        .chain([&mut sender]);
    if !measure::wait_all(waited_for.map(|player| &mut player.process), left)? {
        notes.push(format!("not over after {} s", job.timeout.as_secs_f64()));
    }
    let stopped_here = |player: &Player, daemon| daemon && player.process.usage().is_none();
    let forgiven: Vec<_> = receivers.iter().map(|r| stopped_here(r, daemons)).collect();

    let sender = sender.finish()?;
    let ends: Result<Vec<_>> = receivers.into_iter().map(Player::finish).collect();
    let ends = ends?;
    notes.extend(sender.complaint("the sender"));
    for ((end, host), forgiven) in ends.iter().zip(job.room.receivers()).zip(forgiven) {
        let name = format!("receiver {}", host.number());
        if end.done(cast.done).is_none() {
            notes.push(format!("{name} did not say that it is done"));
        }
        notes.extend(end.complaint(&name).filter(|_| !forgiven));
    }
    notes.extend(compare_targets(job)?);
    let done: Option<Vec<_>> = ends.iter().map(|end| end.done(cast.done)).collect();
    let last = done.and_then(|all| all.into_iter().max());
    let all = || ends.iter().chain([&sender]);
    Ok(PeerRun {
        tool: cast.tool,
        receivers: u16::try_from(ends.len()).context("more receivers than a room has")?,
        bytes: fs::metadata(job.image)?.len(),
        seconds: started
            .zip(last)
            .map(|(start, end)| (end - start).as_secs_f64()),
        sender_cpu: cpu([&sender]),
        receivers_cpu: cpu(&ends),
        max_rss: all().map(|end| end.usage.max_rss).max().unwrap_or(0),
        wire_bytes: job.room.traffic(Host::SENDER)?.sent_bytes - sent_before,
        sent_per_needed: None,
        ok: notes.is_empty(),
        note: notes.join("; "),
    })
}

/// CPU time of programs together.
fn cpu<'a>(ends: impl IntoIterator<Item = &'a End>) -> Cpu {
    let add = |sum: Cpu, end: &End| Cpu {
        user: sum.user + end.usage.user.as_secs_f64(),
        system: sum.system + end.usage.system.as_secs_f64(),
    };
    ends.into_iter().fold(Cpu::default(), add)
}

/// The moment when the sender has put data on the wire; `None` when it ended, or
/// time ran out, before it did.
fn first_data(
    job: &Job<'_>,
    sender: &mut Player,
    before: u64,
    deadline: Instant,
) -> Result<Option<Instant>> {
    while Instant::now() < deadline {
        // Asked before the counter is read: a small image may have gone in between.
        let ended = sender.process.wait(GLANCE)?.is_some();
        if job.room.traffic(Host::SENDER)?.sent_bytes >= before + FIRST_DATA {
            return Ok(Some(Instant::now()));
        }
        if ended {
            break;
        }
    }
    Ok(None)
}

/// How a program ended.
struct End {
    usage: Usage,
    said: Option<Instant>,
    output: String,
}

impl End {
    /// When it had everything.
    fn done(&self, done: Done) -> Option<Instant> {
        match done {
            Done::Says(_) => self.said,
            Done::Ends => self.usage.status.success().then_some(self.usage.ended),
        }
    }

    /// What is wrong about it.
    fn complaint(&self, name: &str) -> Option<String> {
        let status = self.usage.status;
        let last = self.output.trim().rsplit(['\n', '\r']).next().unwrap_or("");
        (!status.success()).then(|| format!("{name} ended with {status} after \"{last}\""))
    }
}

impl Player {
    fn start(mut command: Command, done: Done, nature: Nature) -> Result<Self> {
        if nature == Nature::Pipelines {
            command.process_group(0);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let name = format!("{command:?}");
        let mut process =
            measure::spawn(command).with_context(|| format!("cannot start {name}"))?;
        let stderr = process.stderr.take().expect("it was asked for");
        let (events, output) = channel();
        let words = match done {
            Done::Says(words) => Some(words),
            Done::Ends => None,
        };
        thread::spawn(move || follow(stderr, words, &events));
        Ok(Self {
            process,
            nature,
            output,
        })
    }

    /// Ends the program if it still runs.
    fn finish(mut self) -> Result<End> {
        if self.nature == Nature::Pipelines {
            self.process.kill_group()?;
        }
        let usage = self.process.kill()?;
        let mut said = None;
        for event in self.output {
            match event {
                Event::Spoke => {}
                Event::Said(moment) => said = Some(moment),
                Event::Ended(output) => {
                    return Ok(End {
                        usage,
                        said,
                        output,
                    });
                }
            }
        }
        bail!("a program's output was not followed to its end")
    }
}

/// Reports when a program speaks first, and when it prints `words`.
fn follow(mut from: impl Read, words: Option<&str>, events: &Sender<Event>) {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    let mut awaited = words;
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        // Nobody listens any more when the run was broken off; that is no fault.
        if text.is_empty() {
            let _ = events.send(Event::Spoke);
        }
        let before = text.len();
        text.extend_from_slice(&buffer[..size]);
        if let Some(words) = awaited {
            // The words may be cut in two by the pipe: look at what is new and a bit back.
            let new = &text[before.saturating_sub(words.len())..];
            if new
                .windows(words.len())
                .any(|seen| seen == words.as_bytes())
            {
                awaited = None;
                let _ = events.send(Event::Said(Instant::now()));
            }
        }
    }
    let _ = events.send(Event::Ended(String::from_utf8_lossy(&text).into_owned()));
}

/// Makes each receiver's directory, without what an earlier run may have left, neither
/// files nor writing that the kernel still has to do.
pub fn prepare(job: &Job<'_>) -> Result<()> {
    if let Targets::Files(directory) = job.targets {
        let opened = File::open(directory).with_context(|| format!("cannot use {directory:?}"))?;
        rustix::fs::syncfs(opened).with_context(|| format!("cannot flush {directory:?}"))?;
    }
    for file in job
        .room
        .receivers()
        .filter_map(|host| job.targets.file(host))
    {
        let directory = file.parent().expect("a target is in its host's directory");
        fs::create_dir_all(directory).with_context(|| format!("cannot make {directory:?}"))?;
        remove(&file)?;
    }
    Ok(())
}

/// Says which files are not the image, and removes them all.
fn compare_targets(job: &Job<'_>) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if let Targets::Files(_) = job.targets {
        for host in job.room.receivers() {
            let file = job.targets.file(host).expect("targets are files");
            if !is_same(job.image, &file).with_context(|| format!("cannot compare {file:?}"))? {
                notes.push(format!("receiver {} has another image", host.number()));
            }
            remove(&file)?;
        }
    }
    Ok(notes)
}

/// Removes a file that may not exist.
pub(super) fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {file:?}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_across_reads_and_the_end_is_told() {
        let (events, output) = channel();
        let pieces = io::Cursor::new("begin Transfer com").chain(io::Cursor::new("plete. end"));
        follow(pieces, Some("Transfer complete"), &events);
        let kinds: Vec<_> = output.try_iter().collect();
        assert!(matches!(
            &kinds[..],
            [Event::Spoke, Event::Said(_), Event::Ended(text)] if text.ends_with("end")
        ));
    }
}
