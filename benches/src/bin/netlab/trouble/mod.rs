//! `netlab trouble`: rooms in which something goes wrong, beside one in which nothing does.

mod play;
mod scene;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use mimeo_benches::programs::Programs;

use crate::setup::Setup;
use play::Stage;
use scene::Scene;

/// A transfer lasts about this long unless `--rate` says otherwise.
const SECONDS: u64 = 30;

/// Bytes on the wire for 100 bytes of an image that cannot be compressed, and some to spare.
const WIRE_PERCENT: u64 = 107;

/// How many times what the image takes at the rate a scene may take, beyond the general timeout.
const PATIENCE: u64 = 5;

/// The arguments.
#[derive(Args)]
pub(crate) struct Trouble {
    /// What goes wrong: one room after the other; everything where nothing is named
    #[arg(value_enum, value_name = "TROUBLE")]
    scenes: Vec<Scene>,
    /// How many receivers take part
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(2..=253))]
    receivers: u16,
    #[command(flatten)]
    setup: Setup,
}

impl Trouble {
    /// Plays every scene and prints what it cost those that nothing happened to. True when each
    /// ended as it should.
    pub(crate) fn run(&self) -> Result<bool> {
        let workspace = self.setup.workspace(self.receivers)?;
        let image = self.setup.image.provide(workspace.path())?;
        let image_len = image.metadata()?.len();
        let default_rate = image_len * 8 * WIRE_PERCENT / 100 / SECONDS;
        let rate = self.setup.sender.rate_or(default_rate);
        let stage = Stage {
            setup: &self.setup,
            receivers: self.receivers,
            directory: workspace.path().to_owned(),
            targets: self.setup.targets(&workspace),
            programs: Programs::own()?,
            rate,
            timeout: self.timeout(image_len, rate),
            image,
            image_len,
        };
        let calm = scene::calm(&stage)?;
        println!(
            "{} at {} Mbit/s to {} receivers; nothing goes wrong: done after {calm:.2} s",
            self.setup.image.describe(),
            stage.rate as f64 / 1e6,
            self.receivers,
        );
        let mut well = true;
        for &scene in self.chosen() {
            let told = scene.play(&stage, calm)?;
            let name = scene.to_possible_value().expect("none is hidden");
            println!("{}: {}", name.get_name(), told.line);
            well &= told.well;
        }
        Ok(well)
    }

    /// A scene may take several times what the image takes, as behind a port of a third of the rate.
    fn timeout(&self, image_len: u64, rate: u64) -> Duration {
        let longest = PATIENCE * (image_len * 8) / rate;
        Duration::from_secs(self.setup.timeout + longest)
    }

    fn chosen(&self) -> &[Scene] {
        match &self.scenes[..] {
            [] => Scene::value_variants(),
            named => named,
        }
    }
}
