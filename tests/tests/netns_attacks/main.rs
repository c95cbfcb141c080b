//! Attacks on real sessions on a virtual network: what they come to is promised in SECURITY.md.
//!
//! Attackers stand on a host of their own and send what [`mimeo_tests::attack`] makes. Needs root
//! and the network tools; without them the tests say so and do nothing, unless
//! MIMEO_REQUIRE_ALL=1.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod codes;
mod flooded;
mod forged;
mod members;
mod replayed;
mod rogues;
mod secrecy;
mod spoofed;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use mimeo_benches::netlab::{Host, Room, RoomConfig, Snooping, usable};
use mimeo_benches::session::{End, Outcome, Process, Session};
use mimeo_protocol::wire::CONTROL_GROUP_V4;
use mimeo_tests::attack::{Known, Mirror};
use mimeo_tests::host::{Place, assert_code, assert_same, assert_success, until};

/// What is shown to the people in the room.
const CODE: [&str; 2] = ["--code", "7-amateur-trumpet"];

/// Takes 1 s for 4 MiB, which is one group of blocks.
const SLOWLY: [&str; 2] = ["--rate", "36M"];

/// A room with receivers and an attacker.
struct Scene {
    place: Place,
    room: Room,
    receivers: u16,
}

impl Scene {
    fn new(test: &str, receivers: u16) -> Option<Self> {
        if !usable(test) {
            return None;
        }
        let config = RoomConfig {
            receivers: receivers + 1,
            snooping: Snooping::Off,
        };
        let room = Room::build(&config).unwrap();
        // Every datagram by itself, for those who record.
        room.segmented(true).unwrap();
        Some(Self {
            place: Place::new(env!("CARGO_BIN_EXE_mimeo-host")),
            room,
            receivers,
        })
    }

    /// The last host.
    fn attacker(&self) -> Host {
        Host::new(self.receivers + 1)
    }

    fn target(&self, number: u16) -> PathBuf {
        self.place.path(&format!("target{number}"))
    }

    fn sender(&self, image: &str, options: &[&str]) -> Command {
        let image = self.place.path(image);
        self.place.sender_in(&self.room, image, options)
    }

    /// The receiver of this number, which writes its target.
    fn receiver(&self, number: u16, options: &[&str]) -> Command {
        let target = self.target(number);
        self.place
            .receiver_in(&self.room, Host::new(number), target, options)
    }

    fn run(&self, command: Command, name: &str) -> Process {
        Process::start(command, self.place.directory(), name).unwrap()
    }

    /// A session of `image`, to be there with all receivers, with the same options for all.
    fn start(&self, image: &str, sender: &[&str], all: &[&str]) -> Session {
        let count = self.receivers.to_string();
        let sender = [&["--min-receivers", &count][..], sender, all].concat();
        let receivers = (1..=self.receivers).map(|number| self.receiver(number, all));
        self.place.start(self.sender(image, &sender), receivers)
    }

    fn sender_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Host::SENDER.address(), self.place.port())
    }

    fn control(&self) -> SocketAddrV4 {
        SocketAddrV4::new(CONTROL_GROUP_V4, self.place.port())
    }

    /// Waits until somebody who hears everything knows where the data flows, and the numbers of
    /// all receivers.
    fn until_known(&self, mirror: &Mirror, known: &mut Known) {
        until("the data flows", || {
            known.learn(&mirror.take());
            let receivers = &known.receivers;
            known.data.is_some()
                && receivers.len() == usize::from(self.receivers)
                && receivers.iter().all(|one| one.number > 0 && one.sent > 0)
        });
    }

    /// Everybody has the image and knows it.
    fn assert_all_have(&self, outcome: &Outcome, image: &str) {
        let image = self.place.path(image);
        assert_success(outcome, &image);
        for number in 1..=self.receivers {
            assert_same(&image, &self.target(number));
        }
    }

    /// A receiver was not admitted, and so touched nothing.
    fn assert_not_admitted<R: std::fmt::Debug>(&self, end: &End<R>, number: u16) {
        assert_code(end, 7);
        assert!(!self.target(number).exists(), "{:?}", self.target(number));
    }

    /// Every block of the target is that of the image, or was never written.
    fn assert_nothing_but(&self, image: &str, number: u16) {
        let image = std::fs::read(self.place.path(image)).unwrap();
        let target = std::fs::read(self.target(number)).unwrap_or_default();
        assert!(target.len() <= image.len());
        for (number, block) in target.chunks(256 << 10).enumerate() {
            let from = number * (256 << 10);
            let is_image = *block == image[from..from + block.len()];
            assert!(is_image || block.iter().all(|&byte| byte == 0), "{number}");
        }
    }
}

/// Waits for a process that ends by itself.
fn ends(process: &mut Process) {
    until("it ends", || {
        process.running.wait(Duration::ZERO).unwrap().is_some()
    });
}

/// Whether anybody still runs.
fn goes_on(session: &mut Session) -> bool {
    !session.wait(Duration::ZERO).unwrap()
}

fn length(path: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    path.metadata().map_or(0, |about| about.blocks() * 512)
}
