//! What all tools have in common: start, clock, end, account, comparison.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Job, PeerRun, Targets};
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
    /// What a receiver prints when it has everything.
    pub(super) done: &'static str,
    /// True when receivers wait for the next sender instead of ending.
    pub(super) daemons: bool,
}

/// A program whose output is followed.
struct Player {
    process: Running,
    /// The moment it printed what was waited for, and everything it printed.
    output: Receiver<Event>,
}

enum Event {
    Spoke,
    Done(Instant),
    Ended(String),
}

/// Runs the programs to their end and takes stock.
pub(super) fn run(job: &Job<'_>, cast: Cast) -> Result<PeerRun> {
    prepare(job)?;
    let deadline = Instant::now() + job.timeout;
    let sent_before = job.room.traffic(Host::SENDER)?.sent_bytes;
    let mut receivers = Vec::new();
    for command in cast.receivers {
        receivers.push(Player::start(command, cast.done)?);
    }
    for receiver in &receivers {
        // A program that ends at once has spoken, too: the account tells.
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = receiver.output.recv_timeout(left);
    }
    let mut sender = Player::start(cast.sender, cast.done)?;
    let started = first_data(job, &mut sender, sent_before, deadline)?;

    let mut notes = Vec::new();
    let left = deadline.saturating_duration_since(Instant::now());
    let waited_for = receivers
        .iter_mut()
        .filter(|_| !cast.daemons)
        .chain([&mut sender]);
    if !measure::wait_all(waited_for.map(|player| &mut player.process), left)? {
        notes.push(format!("not over after {} s", job.timeout.as_secs_f64()));
    }
    let stopped_here = |player: &Player, daemon| daemon && player.process.usage().is_none();
    let forgiven: Vec<_> = receivers
        .iter()
        .map(|r| stopped_here(r, cast.daemons))
        .collect();

    let sender = sender.finish()?;
    let ends: Result<Vec<_>> = receivers.into_iter().map(Player::finish).collect();
    let ends = ends?;
    notes.extend(sender.complaint("the sender"));
    for ((end, host), forgiven) in ends.iter().zip(job.room.receivers()).zip(forgiven) {
        let name = format!("receiver {}", host.number());
        if end.done.is_none() {
            notes.push(format!("{name} did not say that it is done"));
        }
        notes.extend(end.complaint(&name).filter(|_| !forgiven));
    }
    notes.extend(compare_targets(job)?);
    let done: Option<Vec<_>> = ends.iter().map(|end| end.done).collect();
    let last = done.and_then(|all| all.into_iter().max());
    let all = || ends.iter().chain([&sender]);
    Ok(PeerRun {
        tool: cast.tool,
        receivers: u16::try_from(ends.len()).context("more receivers than a room has")?,
        bytes: fs::metadata(job.image)?.len(),
        seconds: started
            .zip(last)
            .map(|(start, end)| (end - start).as_secs_f64()),
        sender_cpu_seconds: sender.usage.cpu.as_secs_f64(),
        receivers_cpu_seconds: ends.iter().map(|end| end.usage.cpu.as_secs_f64()).sum(),
        max_rss: all().map(|end| end.usage.max_rss).max().unwrap_or(0),
        ok: notes.is_empty(),
        note: notes.join("; "),
    })
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
    done: Option<Instant>,
    output: String,
}

impl End {
    /// What is wrong about it.
    fn complaint(&self, name: &str) -> Option<String> {
        let status = self.usage.status;
        let last = self.output.trim().rsplit(['\n', '\r']).next().unwrap_or("");
        (!status.success()).then(|| format!("{name} ended with {status} after \"{last}\""))
    }
}

impl Player {
    fn start(mut command: Command, done: &'static str) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let name = format!("{command:?}");
        let mut process =
            measure::spawn(command).with_context(|| format!("cannot start {name}"))?;
        let stderr = process.stderr.take().expect("it was asked for");
        let (events, output) = channel();
        thread::spawn(move || follow(stderr, done, &events));
        Ok(Self { process, output })
    }

    /// Ends the program if it still runs.
    fn finish(mut self) -> Result<End> {
        let usage = self.process.kill()?;
        let mut done = None;
        for event in self.output {
            match event {
                Event::Spoke => {}
                Event::Done(moment) => done = Some(moment),
                Event::Ended(output) => {
                    return Ok(End {
                        usage,
                        done,
                        output,
                    });
                }
            }
        }
        bail!("a program's output was not followed to its end")
    }
}

/// Reports when a program speaks first, and when it prints `done`.
fn follow(mut from: impl Read, done: &str, events: &Sender<Event>) {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    let mut is_done = false;
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        // Nobody listens any more when the run was broken off; that is no fault.
        if text.is_empty() {
            let _ = events.send(Event::Spoke);
        }
        // The words may be cut in two by the pipe: look at what is new and a bit back.
        let back = text.len().saturating_sub(done.len());
        text.extend_from_slice(&buffer[..size]);
        if !is_done
            && text[back..]
                .windows(done.len())
                .any(|words| words == done.as_bytes())
        {
            is_done = true;
            let _ = events.send(Event::Done(Instant::now()));
        }
    }
    let _ = events.send(Event::Ended(String::from_utf8_lossy(&text).into_owned()));
}

/// Makes each receiver's directory, without what an earlier run may have left.
fn prepare(job: &Job<'_>) -> Result<()> {
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

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {file:?}"))
        }
        _ => Ok(()),
    }
}

/// True when `copy` exists and has the same bytes.
fn is_same(original: &Path, copy: &Path) -> io::Result<bool> {
    let mut copy = match File::open(copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result?,
    };
    let mut original = File::open(original)?;
    let mut left = original.metadata()?.len();
    if copy.metadata()?.len() != left {
        return Ok(false);
    }
    let mut buffers = (vec![0; 1 << 20], vec![0; 1 << 20]);
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(1 << 20);
        original.read_exact(&mut buffers.0[..size])?;
        copy.read_exact(&mut buffers.1[..size])?;
        if buffers.0[..size] != buffers.1[..size] {
            return Ok(false);
        }
        left -= size as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_across_reads_and_the_end_is_told() {
        let (events, output) = channel();
        let pieces = io::Cursor::new("begin Transfer com").chain(io::Cursor::new("plete. end"));
        follow(pieces, "Transfer complete", &events);
        let kinds: Vec<_> = output.try_iter().collect();
        assert!(matches!(
            &kinds[..],
            [Event::Spoke, Event::Done(_), Event::Ended(text)] if text.ends_with("end")
        ));
    }

    #[test]
    fn files_are_the_same_only_byte_by_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut bytes = vec![1; (1 << 20) + 5];
        fs::write(path("original"), &bytes).unwrap();
        fs::write(path("same"), &bytes).unwrap();
        *bytes.last_mut().unwrap() = 2;
        fs::write(path("last"), &bytes).unwrap();
        bytes.pop();
        fs::write(path("short"), &bytes).unwrap();
        let same = |name: &str| is_same(&path("original"), &path(name)).unwrap();
        assert!(same("same"));
        assert!(!same("last") && !same("short") && !same("absent"));
    }
}
