//! Sizes and hosts on the command line.

use std::net::{Ipv6Addr, SocketAddr};

use mimeo_protocol::keys::{KEY_LEN, VerifyingKey};

/// Below this a receiver could not hold the groups of blocks that are under way: two of 4 MiB
/// on their way in and as much on its way to the disk.
pub(crate) const MIN_MEMORY: u64 = 16 << 20;

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("K", 1 << 10),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
];

/// Reads a number of bytes: `64MiB` and `64M` are binary, `64MB` is decimal, as `dd` has it.
///
/// # Errors
///
/// Says what is expected, for everything else.
fn size(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = UNITS.iter().find(|(name, _)| *name == unit);
    match (number.parse::<u64>(), factor) {
        (Ok(number), Some((_, factor))) => number.checked_mul(*factor),
        _ => None,
    }
    .ok_or_else(|| format!("expected a size such as 64MiB, 1GiB or 67108864, found {text:?}"))
}

/// Reads the size of the buffers.
///
/// # Errors
///
/// When it is no size, or too small to receive with.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes < MIN_MEMORY => Err(format!("expected at least 16MiB, found {text:?}")),
        bytes => Ok(bytes),
    }
}

/// Reads the key that a sender signs with.
///
/// # Errors
///
/// When it is not 64 hexadecimal digits, or no key.
pub(crate) fn sender_key(text: &str) -> Result<VerifyingKey, String> {
    let wrong = || {
        format!(
            "expected the {} hexadecimal digits that mimeo-sender --sign-key shows, found {text:?}",
            2 * KEY_LEN
        )
    };
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let bytes: Vec<u8> = digits
        .ok_or_else(wrong)?
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    let bytes: [u8; KEY_LEN] = match bytes.try_into() {
        Ok(bytes) if text.len() == 2 * KEY_LEN => bytes,
        _ => return Err(wrong()),
    };
    VerifyingKey::from_bytes(&bytes).map_err(|error| error.to_string())
}

/// A host on the command line, with a port where one was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name or an address, without brackets.
    pub(crate) name: String,
    /// Not 0.
    pub(crate) port: Option<u16>,
}

/// Reads `HOST` or `HOST:PORT`; an IPv6 address with a port is in brackets.
///
/// # Errors
///
/// Says what is expected, for everything else.
pub(crate) fn host(text: &str) -> Result<Host, String> {
    let wrong = || {
        format!(
            "expected a name or an address, such as server, 10.0.0.5, 10.0.0.5:64636 or \
             [fe80::5%eth0]:64636, found {text:?}"
        )
    };
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
        if !is_ipv6(address) {
            return Err(wrong());
        }
        match port {
            "" => (address, None),
            port => (address, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
        }
    } else if is_ipv6(text) {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        }
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(wrong());
    }
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return Err(wrong()),
    };
    let name = name.to_owned();
    Ok(Host { name, port })
}

/// Whether it is an address of IPv6, with or without a zone.
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

impl Host {
    /// Asks the system for the host's address; IPv4 first, which every network of PCs has.
    ///
    /// # Errors
    ///
    /// What the resolver says.
    pub(crate) fn resolve(&self, default_port: u16) -> std::io::Result<SocketAddr> {
        use std::net::ToSocketAddrs as _;
        let port = self.port.unwrap_or(default_port);
        let all: Vec<SocketAddr> = (self.name.as_str(), port).to_socket_addrs()?.collect();
        all.iter()
            .find(|address| address.is_ipv4())
            .or(all.first())
            .copied()
            .ok_or_else(|| std::io::Error::other("the name has no address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_binary_and_decimal_units() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("67108864"), Ok(64 << 20));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("64MB"), Ok(64_000_000));
        assert_eq!(size("65536K"), Ok(64 << 20));
        assert_eq!(size("1G"), Ok(1 << 30));
        assert_eq!(size("2GB"), Ok(2_000_000_000));
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for text in [
            "",
            "M",
            "64 MiB",
            "64m",
            "1.5G",
            "-1",
            "64MiBs",
            "99999999999G",
            "9é",
            "18446744073709551616",
        ] {
            let error = size(text).unwrap_err();
            assert!(
                error.contains("64MiB") && error.contains(&format!("{text:?}")),
                "{error}"
            );
        }
    }

    #[test]
    fn memory_has_a_least_size() {
        assert_eq!(memory("16MiB"), Ok(MIN_MEMORY));
        assert!(memory("16383K").unwrap_err().contains("at least 16MiB"));
        assert!(memory("64Q").unwrap_err().contains("64MiB"));
    }

    #[test]
    fn hosts_are_read_with_and_without_a_port() {
        let read = |text| host(text).map(|host| (host.name, host.port)).unwrap();
        assert_eq!(read("server"), ("server".into(), None));
        assert_eq!(
            read("lab-1.example:7000"),
            ("lab-1.example".into(), Some(7000))
        );
        assert_eq!(read("10.0.0.5"), ("10.0.0.5".into(), None));
        assert_eq!(read("10.0.0.5:1"), ("10.0.0.5".into(), Some(1)));
        assert_eq!(read("fd00::5"), ("fd00::5".into(), None));
        assert_eq!(read("[fd00::5]"), ("fd00::5".into(), None));
        assert_eq!(read("[fe80::5%eth0]:7"), ("fe80::5%eth0".into(), Some(7)));
    }

    #[test]
    fn what_is_no_host_is_refused_with_an_example() {
        for text in [
            "",
            ":7000",
            "server:",
            "server:0",
            "server:65536",
            "server:7:8",
            "[server]:7",
            "[fd00::5",
            "[fd00::5]7",
            "a b",
            "http://server",
            "x\n",
        ] {
            let error = host(text).unwrap_err();
            assert!(
                error.contains("10.0.0.5:64636") && error.contains(&format!("{text:?}")),
                "{error}"
            );
        }
    }

    #[test]
    fn addresses_resolve_without_a_name_server_and_take_the_default_port() {
        let resolve = |text| host(text).unwrap().resolve(64636).unwrap().to_string();
        assert_eq!(resolve("10.77.0.5"), "10.77.0.5:64636");
        assert_eq!(resolve("10.77.0.5:7000"), "10.77.0.5:7000");
        assert_eq!(resolve("[fd00::5]:7000"), "[fd00::5]:7000");
    }
}
