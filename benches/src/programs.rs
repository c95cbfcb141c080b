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

use crate::limit;
use crate::netlab::{Host, Room};

/// The word that makes a program the sender.
const AS_SENDER: &str = "as-sender";

/// The word that makes a program the receiver.
const AS_RECEIVER: &str = "as-receiver";

/// The word that makes a program the bare limit.
const AS_LIMIT: &str = "as-limit";

/// Runs the sender, the receiver or the bare limit if this process was started to be one, with the
/// arguments behind the word. To be called before anything else.
#[must_use]
pub fn play_role() -> Option<ExitCode> {
    let mut args = env::args_os().skip(1);
    let role = args.next()?;
    let named = |name: &str| iter::once(OsString::from(name)).chain(args);
    if role == AS_SENDER {
        Some(mimeo_sender::main(named("mimeo-sender")))
    } else if role == AS_RECEIVER {
        Some(mimeo_receiver::main(named("mimeo-receiver")))
    } else if role == AS_LIMIT {
        Some(limit::main(named("mimeo-limit")))
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

/// A program of this workspace, and how it is started.
#[derive(Clone, Debug)]
struct Program {
    path: PathBuf,
    /// The word that makes it that program, for one that holds several.
    role: Option<&'static str>,
}

impl Program {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(self.role);
        command
    }

    fn command_in(&self, room: &Room, host: Host) -> Command {
        let mut command = room.command(host, &self.path);
        command.args(self.role);
        command
    }
}

/// Starts senders and receivers.
#[derive(Clone, Debug)]
pub struct Programs {
    sender: Program,
    receiver: Program,
}

impl Programs {
    /// Of the running program, which must have called [`play_role`].
    ///
    /// # Errors
    ///
    /// The system does not tell which file this program is.
    pub fn own() -> io::Result<Self> {
        Ok(Self::at(&env::current_exe()?))
    }

    /// Of another program that calls [`play_role`].
    #[must_use]
    pub fn at(host: &Path) -> Self {
        let program = |role| Program {
            path: host.to_owned(),
            role: Some(role),
        };
        Self {
            sender: program(AS_SENDER),
            receiver: program(AS_RECEIVER),
        }
    }

    /// `mimeo-sender` and `mimeo-receiver` in a directory, of whichever build.
    ///
    /// # Errors
    ///
    /// One of them is not there.
    pub fn in_directory(directory: &Path) -> io::Result<Self> {
        let program = |name| {
            // Absolute, because a bare name would be looked for in the search path.
            let path = directory.join(name).canonicalize().map_err(|error| {
                let text = format!("there is no {name} in {}: {error}", directory.display());
                io::Error::new(error.kind(), text)
            })?;
            io::Result::Ok(Program { path, role: None })
        };
        Ok(Self {
            sender: program("mimeo-sender")?,
            receiver: program("mimeo-receiver")?,
        })
    }

    /// A sender without arguments.
    #[must_use]
    pub fn sender(&self) -> Command {
        self.sender.command()
    }

    /// A receiver without arguments.
    #[must_use]
    pub fn receiver(&self) -> Command {
        self.receiver.command()
    }

    /// A sender on the first machine of a virtual network.
    #[must_use]
    pub fn sender_in(&self, room: &Room) -> Command {
        self.sender.command_in(room, Host::SENDER)
    }

    /// A sender on another machine of a virtual network: a second one, say.
    #[must_use]
    pub fn sender_on(&self, room: &Room, host: Host) -> Command {
        self.sender.command_in(room, host)
    }

    /// A receiver on a machine of a virtual network.
    #[must_use]
    pub fn receiver_in(&self, room: &Room, host: Host) -> Command {
        self.receiver.command_in(room, host)
    }
}

/// Starts [`crate::limit`].
#[derive(Clone, Debug)]
pub struct Limit(Program);

impl Limit {
    /// Of the running program, which must have called [`play_role`].
    ///
    /// # Errors
    ///
    /// As for [`Programs::own`].
    pub fn own() -> io::Result<Self> {
        Ok(Self::at(&env::current_exe()?))
    }

    /// Of another program that calls [`play_role`].
    #[must_use]
    pub fn at(host: &Path) -> Self {
        Self(Program {
            path: host.to_owned(),
            role: Some(AS_LIMIT),
        })
    }

    /// The program without arguments on a machine of a virtual network.
    #[must_use]
    pub fn command_in(&self, room: &Room, host: Host) -> Command {
        self.0.command_in(room, host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_build_needs_both_programs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::fs::write(path.join("mimeo-sender"), "").unwrap();
        let error = Programs::in_directory(path).unwrap_err().to_string();
        assert!(error.contains("no mimeo-receiver in"), "{error}");
        std::fs::write(path.join("mimeo-receiver"), "").unwrap();
        let programs = Programs::in_directory(path).unwrap();
        let command = programs.sender();
        assert!(
            command
                .get_program()
                .to_str()
                .unwrap()
                .ends_with("/mimeo-sender")
        );
        assert_eq!(command.get_args().count(), 0);
    }
}
