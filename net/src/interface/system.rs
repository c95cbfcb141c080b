//! What interfaces, addresses and default routes this machine has, read from
//! sysfs, procfs and the kernel's address list.

use std::{
    fs, io,
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
};

use super::{Interface, InterfaceError, InterfaceKind, choice::Candidate};

/// One directory per interface: `Documentation/ABI/testing/sysfs-class-net`.
const SYSFS: &str = "/sys/class/net";
const IPV4_ROUTES: &str = "/proc/net/route";
const IPV6_ROUTES: &str = "/proc/net/ipv6_route";

// Interface flags, include/uapi/linux/if.h.
const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_POINTOPOINT: u32 = 0x10;
const IFF_MULTICAST: u32 = 0x1000;

// Route flags, include/uapi/linux/route.h.
const RTF_UP: u32 = 0x1;
const RTF_REJECT: u32 = 0x200;

/// An address and the name of the interface that has it.
type Address = (String, IpAddr);

/// All interfaces of this network namespace, by index.
pub(super) fn candidates() -> Result<Vec<Candidate>, InterfaceError> {
    let addresses: Vec<Address> = if_addrs::get_if_addrs()
        .map_err(InterfaceError::Addresses)?
        .into_iter()
        .map(|found| (found.name.clone(), found.ip()))
        .collect();
    read_interfaces(Path::new(SYSFS), &addresses)
}

/// The names of the interfaces that have a default route, IPv4 first.
pub(super) fn default_routes() -> Result<Vec<String>, InterfaceError> {
    let mut names = parse_ipv4_routes(&read_table(IPV4_ROUTES)?);
    names.extend(parse_ipv6_routes(&read_table(IPV6_ROUTES)?));
    Ok(names)
}

/// Reads a routing table; a kernel without that family has none.
fn read_table(path: &str) -> Result<String, InterfaceError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result.map_err(|source| InterfaceError::Read {
            path: path.into(),
            source,
        }),
    }
}

/// Default routes in the format of `/proc/net/route`: interface, destination,
/// gateway, flags, reference count, use, metric, mask, all numbers in hex.
fn parse_ipv4_routes(table: &str) -> Vec<String> {
    let default = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, destination, _, flags, _, _, _, mask, ..] = fields[..] else {
            return None;
        };
        let everything = hex(destination)? == 0 && hex(mask)? == 0;
        (everything && is_live(hex(flags)?)).then(|| name.to_owned())
    };
    table.lines().filter_map(default).collect()
}

/// Default routes in the format of `/proc/net/ipv6_route`: destination and its
/// prefix length, source and its prefix length, next hop, metric, reference
/// count, use, flags, interface.
fn parse_ipv6_routes(table: &str) -> Vec<String> {
    let default = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, prefix, _, source_prefix, _, _, _, _, flags, name] = fields[..] else {
            return None;
        };
        let everything = hex(prefix)? == 0 && hex(source_prefix)? == 0;
        (everything && is_live(hex(flags)?)).then(|| name.to_owned())
    };
    table.lines().filter_map(default).collect()
}

fn is_live(flags: u32) -> bool {
    flags & RTF_UP != 0 && flags & RTF_REJECT == 0
}

fn hex(field: &str) -> Option<u32> {
    u32::from_str_radix(field, 16).ok()
}

/// Reads every interface below `root`, ordered by index.
fn read_interfaces(root: &Path, addresses: &[Address]) -> Result<Vec<Candidate>, InterfaceError> {
    let failed = |source| InterfaceError::Read {
        path: root.into(),
        source,
    };
    let mut candidates = Vec::new();
    for entry in fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Names are at most 15 bytes of almost anything; one that is not UTF-8
        // could not be given on the command line either.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let directory = Directory { path: entry.path() };
        candidates.extend(directory.read(&name, addresses)?);
    }
    candidates.sort_by_key(|candidate| candidate.interface.index);
    Ok(candidates)
}

/// The directory of one interface in sysfs.
struct Directory {
    path: PathBuf,
}

impl Directory {
    /// `None` if this is no interface (`bonding_masters` is a file) or if it
    /// vanished meanwhile.
    fn read(&self, name: &str, addresses: &[Address]) -> Result<Option<Candidate>, InterfaceError> {
        let Some(index) = self.text("ifindex")?.and_then(|text| text.parse().ok()) else {
            return Ok(None);
        };
        let flags = self
            .text("flags")?
            .and_then(|text| hex(text.strip_prefix("0x")?));
        let Some(flags) = flags else { return Ok(None) };
        let Some(mtu) = self.text("mtu")?.and_then(|text| text.parse().ok()) else {
            return Ok(None);
        };
        let operstate = self.text("operstate")?.unwrap_or_default();
        let kind = self.kind(flags);
        let of_this = || {
            addresses
                .iter()
                .filter(|(owner, _)| owner == name)
                .map(|(_, ip)| *ip)
        };
        let interface = Interface {
            name: name.into(),
            index,
            ipv4: of_this().find_map(|ip| match ip {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            }),
            ipv6: if kind == InterfaceKind::Loopback {
                None
            } else {
                preferred_ipv6(of_this())
            },
            mac: self.text("address")?.and_then(|text| parse_mac(&text)),
            link_speed: self.link_speed(),
            mtu,
            kind,
        };
        Ok(Some(Candidate {
            interface,
            up: flags & IFF_UP != 0,
            link: self.link(&operstate),
            multicast: flags & IFF_MULTICAST != 0,
        }))
    }

    fn kind(&self, flags: u32) -> InterfaceKind {
        if flags & IFF_LOOPBACK != 0 {
            InterfaceKind::Loopback
        } else if self.has("wireless") || self.has("phy80211") {
            InterfaceKind::Wireless
        } else if flags & IFF_POINTOPOINT != 0 {
            InterfaceKind::Tunnel
        } else if self.has("device") {
            InterfaceKind::Wired
        } else {
            InterfaceKind::Virtual
        }
    }

    /// Whether the link is there. The state is that of RFC 2863; links that do not
    /// tell (lo, tun) say "unknown". The kernel updates it up to a second late; the
    /// carrier is up to date, but cannot be read while the interface is down.
    fn link(&self, operstate: &str) -> bool {
        let carrier = fs::read_to_string(self.path.join("carrier"));
        let cut = carrier.is_ok_and(|carrier| carrier.trim() == "0");
        matches!(operstate, "up" | "unknown") && !cut
    }

    /// In Mbit/s. Drivers say -1, or refuse to be read, when they do not know.
    fn link_speed(&self) -> Option<u32> {
        let text = fs::read_to_string(self.path.join("speed")).ok()?;
        text.trim().parse().ok().filter(|speed| *speed > 0)
    }

    fn has(&self, entry: &str) -> bool {
        self.path.join(entry).exists()
    }

    /// The trimmed content of an attribute; `None` if it does not exist.
    fn text(&self, attribute: &str) -> Result<Option<String>, InterfaceError> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let path = self.path.join(attribute);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
            // sysfs answers ENODEV for an interface that is being removed.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(source) => Err(InterfaceError::Read { path, source }),
        }
    }
}

/// The link-local address, else any.
fn preferred_ipv6(addresses: impl Iterator<Item = IpAddr>) -> Option<Ipv6Addr> {
    let mut preferred: Option<Ipv6Addr> = None;
    for address in addresses {
        let IpAddr::V6(address) = address else {
            continue;
        };
        if address.is_unicast_link_local() {
            return Some(address);
        }
        preferred = preferred.or(Some(address));
    }
    preferred
}

/// Parses `02:00:00:00:00:01`. All zeros, as `lo` has it, is no address; neither
/// is one of another length (InfiniBand has 20 bytes).
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    (parts.next().is_none() && mac != [0; 6]).then_some(mac)
}

#[cfg(test)]
#[path = "system_tests.rs"]
mod tests;
