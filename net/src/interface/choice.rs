//! The decision which interface to use: a pure function over what exists.

use super::{Interface, InterfaceError, InterfaceKind, Obstacle, Refusal};

/// An interface with everything the decision depends on.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// What will be handed out if it is chosen.
    pub(super) interface: Interface,
    /// Administratively up.
    pub(super) up: bool,
    /// The link is there (cable, carrier, or a link that does not tell).
    pub(super) link: bool,
    /// The kernel's multicast flag.
    pub(super) multicast: bool,
}

impl Candidate {
    /// What makes it useless even when the operator names it.
    fn obstacle(&self) -> Option<Obstacle> {
        // IPv4 multicast works over `lo` although the flag is missing there.
        let multicast = self.multicast || self.interface.kind == InterfaceKind::Loopback;
        if !self.up {
            Some(Obstacle::Down)
        } else if !self.link {
            Some(Obstacle::NoLink)
        } else if !multicast {
            Some(Obstacle::NoMulticast)
        } else if self.interface.ipv4.is_none() && self.interface.ipv6.is_none() {
            Some(Obstacle::NoAddress)
        } else {
            None
        }
    }

    /// What keeps it from being chosen without being named.
    fn objection(&self) -> Option<Obstacle> {
        match self.interface.kind {
            InterfaceKind::Wireless => Some(Obstacle::Wireless),
            InterfaceKind::Tunnel => Some(Obstacle::Tunnel),
            InterfaceKind::Loopback => Some(Obstacle::Loopback),
            InterfaceKind::Wired | InterfaceKind::Virtual => self.obstacle(),
        }
    }

    fn name(&self) -> String {
        self.interface.name.clone()
    }
}

/// Chooses by `name`, or by default route, or the only one that qualifies.
///
/// `default_routes` holds the names of the interfaces that have a default route
/// of either family, in any order, duplicates allowed.
pub(super) fn choose(
    name: Option<&str>,
    candidates: &[Candidate],
    default_routes: &[String],
) -> Result<Interface, InterfaceError> {
    if let Some(name) = name {
        return by_name(name, candidates);
    }
    let routed: Vec<&Candidate> = candidates
        .iter()
        .filter(|c| default_routes.contains(&c.interface.name))
        .collect();
    if routed.is_empty() {
        the_only_one(candidates)
    } else {
        by_route(&routed, candidates)
    }
}

fn by_name(name: &str, candidates: &[Candidate]) -> Result<Interface, InterfaceError> {
    let Some(candidate) = candidates.iter().find(|c| c.interface.name == name) else {
        let existing = candidates.iter().map(Candidate::name).collect();
        return Err(InterfaceError::Unknown {
            name: name.into(),
            existing,
        });
    };
    match candidate.obstacle() {
        None => Ok(candidate.interface.clone()),
        Some(obstacle) => Err(InterfaceError::Unusable(Refusal {
            name: candidate.name(),
            obstacle,
        })),
    }
}

fn by_route(routed: &[&Candidate], candidates: &[Candidate]) -> Result<Interface, InterfaceError> {
    let (usable, refused) = sort(routed.iter().copied());
    if usable.is_empty() {
        let (alternatives, _) = sort(candidates.iter());
        let alternatives = alternatives.into_iter().map(Candidate::name).collect();
        return Err(InterfaceError::DefaultRoute {
            refused,
            alternatives,
        });
    }
    single(&usable)
}

fn the_only_one(candidates: &[Candidate]) -> Result<Interface, InterfaceError> {
    let (usable, refused) = sort(candidates.iter());
    // Bridges of containers and virtual machines must not hide the one card.
    let (cards, links): (Vec<&Candidate>, Vec<&Candidate>) = usable
        .into_iter()
        .partition(|c| c.interface.kind == InterfaceKind::Wired);
    let pool = if cards.is_empty() { links } else { cards };
    if pool.is_empty() {
        return Err(InterfaceError::NoneUsable { refused });
    }
    single(&pool)
}

/// The one element of a list that is not empty; several are not guessed among.
fn single(usable: &[&Candidate]) -> Result<Interface, InterfaceError> {
    match usable {
        [one] => Ok(one.interface.clone()),
        several => {
            let usable = several.iter().map(|c| c.name()).collect();
            Err(InterfaceError::Ambiguous { usable })
        }
    }
}

/// Divides `candidates` into those that may be chosen unnamed and the others.
fn sort<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> (Vec<&'a Candidate>, Vec<Refusal>) {
    let mut usable = Vec::new();
    let mut refused = Vec::new();
    for candidate in candidates {
        match candidate.objection() {
            None => usable.push(candidate),
            Some(obstacle) => refused.push(Refusal {
                name: candidate.name(),
                obstacle,
            }),
        }
    }
    (usable, refused)
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
