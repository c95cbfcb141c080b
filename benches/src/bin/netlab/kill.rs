//! `netlab kill`: does a dead receiver hold up the others?

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use mimeo_benches::netlab::Host;
use mimeo_benches::peers::{Job, mimeo_commands};
use mimeo_benches::programs::Programs;
use mimeo_benches::session::Session;

use crate::setup::Setup;

/// How often the sender's interface is looked at for the moment to kill.
const GLANCE: Duration = Duration::from_millis(2);

/// The arguments.
#[derive(Args)]
pub(crate) struct Kill {
    /// How many receivers take part
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(2..=253))]
    receivers: u16,
    #[command(flatten)]
    setup: Setup,
}

impl Kill {
    /// Measures once without and once with a death, prints the ratio. True when everybody
    /// who lived got the image.
    pub(crate) fn run(&self) -> Result<bool> {
        let (whole, all) = self.once(false)?;
        let (with_death, rest) = self.once(true)?;
        println!(
            "all {} receivers live:  the last one is done after {whole:.3} s",
            all
        );
        println!("one is killed half-way: the last of {rest} is done after {with_death:.3} s");
        println!("ratio {:.3}", with_death / whole);
        Ok(all == self.receivers && rest == self.receivers - 1)
    }

    /// Returns when the last receiver was done, and how many were.
    fn once(&self, kill: bool) -> Result<(f64, u16)> {
        let workspace = self.setup.workspace()?;
        let image = self.setup.image.provide(workspace.path())?;
        let room = self.setup.wires.room(self.receivers)?;
        let targets = self.setup.targets(&workspace);
        let programs = Programs::own()?;
        let job = Job {
            room: &room,
            image: &image,
            targets: &targets,
            timeout: Duration::from_secs(self.setup.timeout),
        };
        let deadline = Instant::now() + job.timeout;
        let before = room.traffic(Host::SENDER)?.sent_bytes;
        let (sender, receivers) = mimeo_commands(&job, &programs, &self.setup.sender.list())?;
        let mut session = Session::start(sender, receivers, workspace.path())?;
        if kill {
            let half = image.metadata()?.len() / 2;
            while room.traffic(Host::SENDER)?.sent_bytes < before + half {
                ensure!(
                    Instant::now() < deadline,
                    "the sender does not get half-way"
                );
                let over = session.sender.running.wait(GLANCE)?.is_some();
                ensure!(!over, "the session was over before anybody could be killed");
            }
            let victim = session
                .receivers
                .last_mut()
                .context("there is no receiver")?;
            victim.running.kill()?;
        }
        let over = session.wait(deadline.saturating_duration_since(Instant::now()))?;
        let outcome = session.finish()?;
        ensure!(
            over,
            "the session did not end in time:\n{}",
            outcome.sender.log
        );
        let report = outcome
            .sender
            .report
            .context("the sender wrote no report")?;
        let done = report
            .receivers
            .iter()
            .filter(|receiver| receiver.state == "confirmed");
        let times: Vec<f64> = done
            .filter_map(|receiver| receiver.finished_seconds)
            .collect();
        let last = times
            .iter()
            .copied()
            .max_by(f64::total_cmp)
            .context("nobody was done")?;
        Ok((last, u16::try_from(times.len())?))
    }
}
