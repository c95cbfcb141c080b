//! mimeo's own programs, run out of the program at hand.
//!
//! Cargo builds no other package's binaries, and a script that starts programs by
//! their names might start old ones. So a program that wants senders and receivers as
//! processes holds both, and starts itself with a word that says which one to be.

use std::env;
use std::ffi::OsString;
use std::io;
use std::iter;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::netlab::{Host, Room};

/// The word that makes a program the sender.
const AS_SENDER: &str = "as-sender";

/// The word that makes a program the receiver.
const AS_RECEIVER: &str = "as-receiver";

/// Runs the sender or the receiver if this process was started to be one, with the
/// arguments behind the word. To be called before anything else.
#[must_use]
pub fn play_role() -> Option<ExitCode> {
    let mut args = env::args_os().skip(1);
    let role = args.next()?;
    let named = |name: &str| iter::once(OsString::from(name)).chain(args);
    if role == AS_SENDER {
        Some(mimeo_sender::cli::main(named("mimeo-sender")))
    } else if role == AS_RECEIVER {
        Some(mimeo_receiver::cli::main(named("mimeo-receiver")))
    } else {
        None
    }
}

/// A UDP port on `lo` that no program has.
///
/// It is below those that the kernel hands out (`ip_local_port_range`, 32768 on), so that
/// no receiver's own socket takes it before the sender does.
///
/// # Errors
///
/// `lo` has no IPv4, or every port is taken.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    // Programs that run at the same time begin at different ports.
    let start = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    let start = u16::try_from(start).expect("it is below COUNT");
    let mut result = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        result = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).map(|_free| port);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Starts senders and receivers.
#[derive(Clone, Debug)]
pub struct Programs {
    /// A program that calls [`play_role`].
    host: PathBuf,
}

impl Programs {
    /// Of the running program, which must have called [`play_role`].
    ///
    /// # Errors
    ///
    /// The system does not tell which file this program is.
    pub fn own() -> io::Result<Self> {
        Ok(Self {
            host: env::current_exe()?,
        })
    }

    /// Of another program.
    #[must_use]
    pub fn at(host: &Path) -> Self {
        Self {
            host: host.to_owned(),
        }
    }

    /// A sender without arguments.
    #[must_use]
    pub fn sender(&self) -> Command {
        self.play(AS_SENDER)
    }

    /// A receiver without arguments.
    #[must_use]
    pub fn receiver(&self) -> Command {
        self.play(AS_RECEIVER)
    }

    /// A sender on the first machine of a virtual network.
    #[must_use]
    pub fn sender_in(&self, room: &Room) -> Command {
        let mut command = room.command(Host::SENDER, &self.host);
        command.arg(AS_SENDER);
        command
    }

    /// A receiver on a machine of a virtual network.
    #[must_use]
    pub fn receiver_in(&self, room: &Room, host: Host) -> Command {
        let mut command = room.command(host, &self.host);
        command.arg(AS_RECEIVER);
        command
    }

    fn play(&self, role: &str) -> Command {
        let mut command = Command::new(&self.host);
        command.arg(role);
        command
    }
}
