//! Why no interface was chosen, in words an operator can act on.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

/// What keeps an interface from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is administratively down.
    Down,
    /// It is up but has no carrier.
    NoLink,
    /// It lacks the kernel's multicast flag.
    NoMulticast,
    /// It has no usable IP address.
    NoAddress,
    /// It is wireless and was not named.
    Wireless,
    /// It is a point-to-point link and was not named.
    Tunnel,
    /// It is `lo` and was not named.
    Loopback,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "is down (bring it up: ip link set dev NAME up)",
            Self::NoLink => "has no link (check the cable and the switch port)",
            Self::NoMulticast => {
                "cannot do multicast (turn it on: ip link set dev NAME multicast on)"
            }
            Self::NoAddress => "has no IP address (wait for DHCP or give it one: ip address add)",
            Self::Wireless => "is wireless, where multicast crawls (insist: --interface NAME)",
            Self::Tunnel => {
                "is a point-to-point link with no room behind it (insist: --interface NAME)"
            }
            Self::Loopback => "reaches this machine only (insist: --interface NAME)",
        })
    }
}

/// An interface that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The interface's name.
    pub name: String,
    /// What speaks against it.
    pub obstacle: Obstacle,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.obstacle.to_string().replace("NAME", &self.name);
        write!(f, "{} {text}", self.name)
    }
}

/// Why [`Interface::choose`](super::Interface::choose) chose none.
#[derive(Debug, Error)]
pub enum InterfaceError {
    /// No interface has the name that was asked for.
    #[error("no interface is called {name}; this machine has: {}", list(.existing))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        existing: Vec<String>,
    },
    /// The interface that was asked for cannot be used.
    #[error("interface {0}")]
    Unusable(Refusal),
    /// Several interfaces qualify.
    #[error(
        "several interfaces could be meant: {}; name the one that leads to the room with --interface NAME",
        list(.usable)
    )]
    Ambiguous {
        /// The names of those that qualify.
        usable: Vec<String>,
    },
    /// The default route leads only through interfaces that are not taken
    /// without being named.
    #[error(
        "the interface with the default route is not suitable: {}; {}",
        list(.refused),
        remedy(.alternatives)
    )]
    DefaultRoute {
        /// The interfaces with a default route and what speaks against each.
        refused: Vec<Refusal>,
        /// Other interfaces that would do when named.
        alternatives: Vec<String>,
    },
    /// There is no default route, and no interface qualifies.
    #[error("no interface is suitable: {}", list(.refused))]
    NoneUsable {
        /// Every interface and what speaks against it.
        refused: Vec<Refusal>,
    },
    /// The machine's interfaces could not be read.
    #[error("cannot read {}: {source}; the choice of an interface needs /sys and /proc", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The addresses of the interfaces could not be listed.
    #[error("cannot list the addresses of this machine's interfaces: {0}")]
    Addresses(io::Error),
}

/// Joins `items` for a message; an empty list reads "none".
fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".into();
    }
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    items.join(", ")
}

/// What to do when the default route leads nowhere useful.
fn remedy(alternatives: &[String]) -> String {
    if alternatives.is_empty() {
        "no other interface is ready".into()
    } else {
        format!("or name another with --interface: {}", list(alternatives))
    }
}
