//! A room in which mimeo runs while things are done to it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mimeo_benches::files::is_same;
use mimeo_benches::netlab::{Host, Room};
use mimeo_benches::peers::{Job, Targets, mimeo_receiver, mimeo_sender, prepare};
use mimeo_benches::programs::Programs;
use mimeo_benches::session::{Outcome, Process, Session};

use crate::setup::Setup;

/// How often the sender's interface is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// So many bytes are data: announces and welcomes are fewer.
const DATA: u64 = 100_000;

/// What all scenes have in common.
pub(crate) struct Stage<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) receivers: u16,
    /// For reports and output.
    pub(crate) directory: PathBuf,
    pub(crate) targets: Targets,
    pub(crate) programs: Programs,
    pub(crate) image: PathBuf,
    pub(crate) image_len: u64,
    /// bit/s.
    pub(crate) rate: u64,
    pub(crate) timeout: Duration,
}

/// A session under way.
pub(crate) struct Play<'a> {
    stage: &'a Stage<'a>,
    pub(crate) room: Room,
    pub(crate) session: Session,
    sender_args: Vec<OsString>,
    /// When the first data was sent.
    began: Instant,
    sent_before: u64,
    deadline: Instant,
}

/// A session that is over.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// Seconds from the first data to the end of each receiver.
    pub(crate) seconds: Vec<f64>,
    /// Bytes that left the sender's machine.
    pub(crate) sent: u64,
    /// Whether each target is the image; true where nothing was to be kept.
    pub(crate) identical: Vec<bool>,
}

impl<'a> Stage<'a> {
    fn job<'j>(&'j self, room: &'j Room) -> Job<'j> {
        Job {
            room,
            image: &self.image,
            targets: &self.targets,
            timeout: self.timeout,
        }
    }

    /// Starts a session with the first `present` receivers, in a room that `shape` has changed, and
    /// waits for the first data.
    pub(crate) fn begin(
        &'a self,
        present: u16,
        sender_args: &[&str],
        shape: impl FnOnce(&Room) -> Result<()>,
    ) -> Result<Play<'a>> {
        self.begin_beside(0, present, sender_args, shape)
    }

    /// The same beside so many strangers, on the machines behind those of the receivers.
    pub(crate) fn begin_beside(
        &'a self,
        strangers: u16,
        present: u16,
        sender_args: &[&str],
        shape: impl FnOnce(&Room) -> Result<()>,
    ) -> Result<Play<'a>> {
        let room = self.setup.wires.room(self.receivers + strangers)?;
        shape(&room)?;
        let job = self.job(&room);
        prepare(&job)?;
        let mut all_args = self.setup.sender.extra();
        all_args.extend(["--rate".into(), self.rate.to_string().into()]);
        all_args.extend(sender_args.iter().map(OsString::from));
        let receivers = (1..=present).map(|number| {
            let host = Host::new(number);
            mimeo_receiver(&job, &self.programs, host, &[])
        });
        let sender = mimeo_sender(&job, &self.programs, present, &all_args);
        let sent_before = room.traffic(Host::SENDER)?.sent_bytes;
        let session = Session::start(sender, receivers, &self.directory)?;
        let mut play = Play {
            stage: self,
            session,
            sender_args: all_args,
            began: Instant::now(),
            sent_before,
            deadline: Instant::now() + self.timeout,
            room,
        };
        play.wait_for(DATA)?;
        play.began = Instant::now();
        Ok(play)
    }
}

impl Play<'_> {
    /// Bytes that left the sender's machine so far.
    pub(crate) fn sent(&self) -> Result<u64> {
        Ok(self.room.traffic(Host::SENDER)?.sent_bytes - self.sent_before)
    }

    /// Waits until the sender has sent as much as this share of the image.
    pub(crate) fn until(&mut self, share: f64) -> Result<()> {
        self.wait_for((self.stage.image_len as f64 * share) as u64)
    }

    fn wait_for(&mut self, bytes: u64) -> Result<()> {
        while self.sent()? < bytes {
            let late = Instant::now() >= self.deadline;
            ensure!(!late, "the sender does not get that far in time");
            let over = self.session.sender.running.wait(GLANCE)?.is_some();
            ensure!(
                !over,
                "the session was over before anything happened:\n{}",
                self.session.sender.log()?
            );
        }
        Ok(())
    }

    /// The last receiver: the one that things happen to.
    pub(crate) fn victim(&mut self) -> Result<&mut Process> {
        self.session
            .receivers
            .last_mut()
            .context("there is a receiver")
    }

    /// Starts a receiver on the last machine.
    pub(crate) fn start_victim(&mut self, args: &[&str], name: &str) -> Result<()> {
        let job = self.stage.job(&self.room);
        let host = Host::new(self.stage.receivers);
        let command = mimeo_receiver(&job, &self.stage.programs, host, args);
        let process = Process::start(command, &self.stage.directory, name)?;
        self.session.receivers.push(process);
        Ok(())
    }

    /// Ends the sender at once and starts it anew.
    pub(crate) fn restart_sender(&mut self, pause: Duration) -> Result<()> {
        self.session.sender.running.kill()?;
        sleep(pause);
        let (job, stage) = (self.stage.job(&self.room), self.stage);
        let command = mimeo_sender(&job, &stage.programs, stage.receivers, &self.sender_args);
        self.session.sender = Process::start(command, &stage.directory, "sender2")?;
        Ok(())
    }

    /// Waits for the end and looks at what everybody left.
    pub(crate) fn end(mut self) -> Result<Ended> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let over = self.session.wait(left)?;
        let log = self.session.sender.log()?;
        ensure!(over, "the session did not end in time:\n{log}");
        let sent = self.sent()?;
        let outcome = self.session.finish()?;
        let seconds = outcome.receivers.iter().map(|end| {
            let ended = end.usage.ended;
            ended.saturating_duration_since(self.began).as_secs_f64()
        });
        let mut identical = Vec::new();
        for host in (1..=self.stage.receivers).map(Host::new) {
            let file = self.stage.targets.file(host);
            identical.push(file.map_or(Ok(true), |file| is_same(&self.stage.image, &file))?);
        }
        Ok(Ended {
            seconds: seconds.collect(),
            sent,
            identical,
            outcome,
        })
    }
}
