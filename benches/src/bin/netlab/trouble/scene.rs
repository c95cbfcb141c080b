//! What goes wrong, and what should come of it.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use mimeo_benches::flood::{Flood, ports};
use mimeo_benches::netlab::{Direction, Host, Loss, Room};
use mimeo_benches::report::ReceiverReport;
use mimeo_benches::session::End;
use rustix::process::Signal;

use super::play::{Ended, Play, Stage};

/// A pause of the sender that looks like none to its receivers.
const RESTART: Duration = Duration::from_secs(2);

/// How long a receiver stands still.
const STANDSTILL: Duration = Duration::from_secs(10);

/// How long a sender stands still.
const SLEEP: Duration = Duration::from_secs(30);

/// bit/s of a stranger.
const FLOOD: u64 = 200_000_000;

/// Rates on the wire are means over this time.
const WINDOW: Duration = Duration::from_millis(100);

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Scene {
    /// One receiver is killed half-way
    Kill,
    /// One receiver stands still for 10 s half-way
    Stop,
    /// One receiver is killed at 80 % and started again with --resume
    Resume,
    /// One receiver starts half-way
    Late,
    /// The sender is killed half-way and started again
    RestartSender,
    /// The sender stands still for 30 s half-way
    SuspendSender,
    /// One port carries a third of the rate; --slow demote
    SlowPort,
    /// One port carries a third of the rate; --slow wait
    SlowPortWait,
    /// Every port loses 5 % at random
    Loss,
    /// A stranger throws 200 Mbit/s of random datagrams at all addresses and ports of the session
    Flood,
    /// The same at the control group alone
    FloodControl,
    /// The same at the data's group alone
    FloodData,
    /// The same at the sender's own address alone
    FloodSender,
    /// The same at the receivers' own addresses alone
    FloodReceivers,
}

/// What is to be told of a scene.
pub(crate) struct Told {
    pub(crate) line: String,
    pub(crate) well: bool,
}

/// A room in which nothing goes wrong: the seconds until the last receiver is done.
pub(crate) fn calm(stage: &Stage<'_>) -> Result<f64> {
    let ended = stage.begin(stage.receivers, &[], |_| Ok(()))?.end()?;
    anyhow::ensure!(
        ended.all_have_it(),
        "a calm room fails:\n{}",
        ended.outcome.sender.log
    );
    Ok(ended.last_of(stage.receivers))
}

impl Scene {
    /// Plays the scene; `calm` is what a room takes in which nothing goes wrong, in seconds.
    pub(crate) fn play(self, stage: &Stage<'_>, calm: f64) -> Result<Told> {
        let others = stage.receivers - 1;
        let (ended, more) = match self {
            Self::Kill => kill(stage)?,
            Self::Stop => stop(stage)?,
            Self::Resume => resume(stage)?,
            Self::Late => late(stage)?,
            Self::RestartSender => restart_sender(stage)?,
            Self::SuspendSender => suspend_sender(stage)?,
            Self::SlowPort => slow_port(stage)?,
            Self::SlowPortWait => slow_port_wait(stage)?,
            Self::Loss => loss(stage)?,
            Self::Flood => flood(stage, |_| true)?,
            Self::FloodControl => flood(stage, is_control)?,
            Self::FloodData => flood(stage, |to| to.is_multicast() && !is_control(to))?,
            Self::FloodSender => flood(stage, |to| to == Host::SENDER.address())?,
            Self::FloodReceivers => flood(stage, |to| {
                !to.is_multicast() && to != Host::SENDER.address()
            })?,
        };
        let well = match self {
            Self::Kill => ended.identical[..usize::from(others)]
                .iter()
                .all(|&same| same),
            _ => ended.all_have_it(),
        };
        let last = ended.last_of(others);
        let verdict = if well {
            "identical"
        } else {
            "NOT ALL IDENTICAL"
        };
        let line = format!(
            "{verdict}; the {others} others are done after {last:.2} s, {:.3} of a calm room; {more}",
            last / calm
        );
        Ok(Told { line, well })
    }
}

impl Ended {
    /// Whether every target is the image.
    fn all_have_it(&self) -> bool {
        self.identical.iter().all(|&same| same)
    }

    /// When the last of the first `count` receivers was done.
    fn last_of(&self, count: u16) -> f64 {
        let seconds = self.seconds.iter().take(usize::from(count));
        seconds.copied().fold(0.0, f64::max)
    }

    /// The receiver that things happened to, in its last life.
    fn victim(&self) -> Result<(&End<ReceiverReport>, f64)> {
        let last = self.outcome.receivers.last().zip(self.seconds.last());
        let (end, &seconds) = last.context("there is a receiver")?;
        Ok((end, seconds))
    }

    /// How much of the image the receiver that things happened to has written in its last life.
    fn taken(&self, stage: &Stage<'_>) -> Result<String> {
        let (end, seconds) = self.victim()?;
        let report = end.report.as_ref().context("it wrote no report")?;
        let share = report.bytes_written as f64 / stage.image_len as f64;
        Ok(format!(
            "it is done after {seconds:.2} s with code {:?} and wrote {:.1} % of the image",
            end.code(),
            100.0 * share
        ))
    }
}

fn nothing(_: &Room) -> Result<()> {
    Ok(())
}

fn kill(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let mut play = stage.begin(stage.receivers, &[], nothing)?;
    play.until(0.5)?;
    play.victim()?.running.kill()?;
    let ended = play.end()?;
    let code = ended.outcome.sender.code();
    Ok((ended, format!("the sender exits with code {code:?}")))
}

fn stop(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let mut play = stage.begin(stage.receivers, &[], nothing)?;
    play.until(0.5)?;
    play.victim()?.running.signal(Signal::STOP)?;
    sleep(STANDSTILL);
    play.victim()?.running.signal(Signal::CONT)?;
    let ended = play.end()?;
    let more = ended.taken(stage)?;
    Ok((ended, more))
}

fn resume(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let mut play = stage.begin(stage.receivers, &[], nothing)?;
    play.until(0.8)?;
    play.victim()?.running.kill()?;
    play.start_victim(&["--resume"], "resumed")?;
    let ended = play.end()?;
    let more = ended.taken(stage)?;
    Ok((ended, more))
}

fn late(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let mut play = stage.begin(stage.receivers - 1, &[], nothing)?;
    play.until(0.5)?;
    play.start_victim(&[], "late")?;
    let ended = play.end()?;
    let more = ended.taken(stage)?;
    Ok((ended, more))
}

fn restart_sender(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let mut play = stage.begin(stage.receivers, &[], nothing)?;
    play.until(0.5)?;
    let before = play.sent()?;
    play.restart_sender(RESTART)?;
    let ended = play.end()?;
    let share = (ended.sent - before) as f64 / stage.image_len as f64;
    let code = ended.outcome.sender.code();
    Ok((
        ended,
        format!(
            "the second sender sent {:.1} % of the image and exits with code {code:?}",
            100.0 * share
        ),
    ))
}

fn suspend_sender(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let mut play = stage.begin(stage.receivers, &[], nothing)?;
    play.until(0.5)?;
    play.session.sender.running.signal(Signal::STOP)?;
    sleep(SLEEP);
    play.session.sender.running.signal(Signal::CONT)?;
    let ended = play.end()?;
    let code = ended.outcome.sender.code();
    Ok((ended, format!("the sender exits with code {code:?}")))
}

fn slow(stage: &Stage<'_>) -> impl FnOnce(&Room) -> Result<()> + use<> {
    let (host, rate) = (Host::new(stage.receivers), stage.rate / 3);
    move |room| room.port_rate(host, Some(rate))
}

fn slow_port(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let play = stage.begin(stage.receivers, &["--slow", "demote"], slow(stage))?;
    let ended = play.end()?;
    let more = ended.taken(stage)?;
    Ok((ended, more))
}

fn slow_port_wait(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let mut play = stage.begin(stage.receivers, &["--slow", "wait"], slow(stage))?;
    let found = found_after(&mut play, stage.rate / 3)?;
    let ended = play.end()?;
    let lines = ended.outcome.sender.report.as_ref().context("no report")?;
    let address = format!("{}:", Host::new(stage.receivers).address());
    let mut lines = lines.receivers.iter();
    let line = lines.find(|line| line.address.starts_with(&address));
    let lost = line.context("the sender does not know it")?.loss;
    let found = found.map_or("not within 5 s".to_owned(), |found| {
        format!("after {found:.2} s")
    });
    let more = format!(
        "the port's rate is found {found}, and it loses {:.2} %",
        100.0 * lost
    );
    Ok((ended, more))
}

/// Seconds after which the sender stays below what a port carries for half a second.
fn found_after(play: &mut Play<'_>, port: u64) -> Result<Option<f64>> {
    let start = Instant::now();
    let (mut last, mut calm_since) = ((start, play.sent()?), None);
    while start.elapsed() < Duration::from_secs(5) {
        sleep(WINDOW);
        let (now, sent) = (Instant::now(), play.sent()?);
        let rate = (sent - last.1) as f64 * 8.0 / (now - last.0).as_secs_f64();
        let began: &mut Option<Instant> = &mut calm_since;
        if rate > 1.1 * port as f64 {
            *began = None;
        } else {
            let since = *began.get_or_insert(last.0);
            if now - since > Duration::from_millis(500) {
                return Ok(Some((since - start).as_secs_f64()));
            }
        }
        last = (now, sent);
    }
    Ok(None)
}

fn loss(stage: &Stage<'_>) -> Result<(Ended, String)> {
    let play = stage.begin(stage.receivers, &[], |room| {
        let loss = Loss::Random { permille: 50 };
        let mut hosts = room.receivers();
        hosts.try_for_each(|host| room.loss(host, Direction::ToHost, loss))
    })?;
    let ended = play.end()?;
    let report = ended.outcome.sender.report.as_ref().context("no report")?;
    let sent = report.counters.sent_per_needed().unwrap_or(1.0);
    Ok((ended, format!("{sent:.4} sent for each that is needed")))
}

/// Whether it is the group where senders and receivers find each other.
fn is_control(to: Ipv4Addr) -> bool {
    to == Ipv4Addr::new(239, 255, 77, 77)
}

/// Floods those ports of the session whose addresses are meant.
fn flood(stage: &Stage<'_>, is_meant: impl Fn(Ipv4Addr) -> bool) -> Result<(Ended, String)> {
    let play = stage.begin_beside(1, stage.receivers, &[], nothing)?;
    let mut to = ports(&play.room, (0..=stage.receivers).map(Host::new))?;
    to.retain(|to| is_meant(*to.ip()));
    let count = to.len();
    let flood = Flood {
        to,
        rate: FLOOD,
        most: stage.timeout,
    };
    let flooding = flood.begin(&play.room, Host::new(stage.receivers + 1))?;
    let ended = play.end()?;
    let sent = flooding.end();
    let outcome = &ended.outcome;
    let receivers = outcome.receivers.iter().map(|end| end.usage.max_rss);
    let peak = receivers.chain([outcome.sender.usage.max_rss]).max();
    let peak = peak.context("there is a sender")? >> 20;
    Ok((
        ended,
        format!("{sent} datagrams, ports: {count}; no process took more than {peak} MiB"),
    ))
}
