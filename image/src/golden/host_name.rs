//! A fixed host name that a Linux sends by DHCP, so that all clones ask for the same one.
//!
//! There are two ways: a client is told a name in its own configuration, or it sends the machine's
//! name, which `/etc/hostname` fixes. A machine that has a fixed name and sends it nowhere is left
//! alone, as is a client that is told not to. Sources: the man pages dhclient.conf(5), dhcpcd.conf(5),
//! systemd.network(5), nm-settings-keyfile(5), NetworkManager.conf(5), and netplan's YAML reference.

use super::linux::is_directory;
use super::{MAX_NAME, Problem, legible};
use crate::files::{Files, Kind};
use crate::used::Distrust;

/// Files of configuration: bytes of each, and how many of a directory.
const MAX_FILE: usize = 64 << 10;
const MAX_FILES: usize = 64;

/// Names that no clone takes from another.
const NO_NAMES: [&str; 4] = ["", "localhost", "localhost.localdomain", "(none)"];

/// What a file of a client's configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sends {
    /// A name of its own.
    own: Option<String>,
    /// It asks a server for an address, and sends the machine's name along.
    machines: bool,
}

/// Looks for a name that is sent.
pub(super) fn find(files: &Files) -> Result<Option<Problem>, Distrust> {
    let mut by = None;
    for (file, sends) in clients(files)? {
        let file = legible(&file, MAX_NAME);
        if let Some(name) = sends.own {
            return Ok(Some(Problem::HostName {
                name,
                by: format!("/{file}"),
                file,
            }));
        }
        if sends.machines && by.is_none() {
            by = Some(file);
        }
    }
    let Some(by) = by else {
        return Ok(None);
    };
    let text = read(files, "etc/hostname")?.unwrap_or_default();
    let lines = text.lines().map(str::trim);
    let name = lines
        .filter(|it| !it.starts_with('#'))
        .find(|it| !it.is_empty());
    let name = name.unwrap_or_default();
    Ok((!NO_NAMES.contains(&name)).then(|| Problem::HostName {
        name: legible(name, 64),
        file: "etc/hostname".to_owned(),
        by: format!("/etc/hostname, by /{by}"),
    }))
}

/// What each client's configuration says.
fn clients(files: &Files) -> Result<Vec<(String, Sends)>, Distrust> {
    let mut all = Vec::new();
    for path in ["etc/dhcp/dhclient.conf", "etc/dhclient.conf"] {
        if let Some(text) = read(files, path)? {
            all.push((path.to_owned(), dhclient(&text)));
        }
    }
    if let Some(text) = read(files, "etc/dhcpcd.conf")? {
        all.push(("etc/dhcpcd.conf".to_owned(), dhcpcd(&text)));
    }
    for (path, text) in directory(files, "etc/netplan", ".yaml")? {
        all.push((path, netplan(&text)));
    }
    for (path, text) in directory(files, "etc/systemd/network", ".network")? {
        all.push((path, networkd(&text)));
    }
    all.extend(network_manager(files)?);
    Ok(all)
}

/// A small text; `None` if there is no such file.
fn read(files: &Files, path: &str) -> Result<Option<String>, Distrust> {
    match files.find(path)? {
        Some(node) if node.kind == Kind::File => {
            let bytes = files.read(&node, MAX_FILE)?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        _ => Ok(None),
    }
}

/// All small texts of a directory whose names end so, by name.
fn directory(files: &Files, path: &str, end: &str) -> Result<Vec<(String, String)>, Distrust> {
    let Some(node) = files.find(path)?.filter(is_directory) else {
        return Ok(Vec::new());
    };
    let names = files.list(&node)?.into_iter().map(|entry| entry.name);
    let mut names: Vec<_> = names.filter(|name| name.ends_with(end)).collect();
    names.sort();
    names.truncate(MAX_FILES);
    let mut all = Vec::new();
    for name in names {
        let path = format!("{path}/{name}");
        if let Some(text) = read(files, &path)? {
            all.push((path, text));
        }
    }
    Ok(all)
}

/// `send host-name "lab-07";` or `send host-name = gethostname();`, and the same of its longer form.
fn dhclient(text: &str) -> Sends {
    let code: Vec<_> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""))
        .collect();
    let mut sends = Sends::default();
    for statement in code.join(" ").split([';', '{', '}']) {
        let Some(rest) = statement.trim().strip_prefix("send ") else {
            continue;
        };
        let rest = rest.trim_start();
        let option = ["host-name", "fqdn.fqdn"]
            .into_iter()
            .find_map(|it| rest.strip_prefix(it));
        let Some(value) = option.map(|it| it.trim_start_matches(['=', ' ', '\t'])) else {
            continue;
        };
        match value.split('"').nth(1) {
            Some(name) if !value.contains('(') => sends.own = own(name),
            _ => sends.machines |= value.contains("gethostname"),
        }
    }
    sends
}

/// `hostname` sends the machine's, `hostname lab-07` another one.
fn dhcpcd(text: &str) -> Sends {
    let mut sends = Sends::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("hostname") {
            match words.next() {
                Some(name) if !name.starts_with('#') => sends.own = own(name),
                _ => sends.machines = true,
            }
        }
    }
    sends
}

/// Its keys mean the same wherever they stand, so lines are enough.
fn netplan(text: &str) -> Sends {
    let mut sends = Sends::default();
    let mut is_silent = false;
    for line in text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""))
    {
        for item in line.split(['{', '}', ',']) {
            let Some((key, value)) = item.split_once(':') else {
                continue;
            };
            let value = value.trim().trim_matches(['"', '\'']);
            match key.trim() {
                "dhcp4" | "dhcp6" => sends.machines |= is_yes(value),
                "hostname" => sends.own = own(value),
                "send-hostname" => is_silent |= !is_yes(value),
                _ => {}
            }
        }
    }
    sends.machines &= !is_silent;
    sends
}

/// Key and value of each line of an INI file.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with(['#', ';']));
    lines.filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        Some((key.trim(), value.trim()))
    })
}

/// It sends the machine's name unless it is told not to.
fn networkd(text: &str) -> Sends {
    let mut sends = Sends::default();
    let mut is_silent = false;
    for (key, value) in pairs(text) {
        match key {
            "DHCP" => sends.machines |= is_yes(value) || matches!(value, "ipv4" | "ipv6" | "both"),
            "Hostname" => sends.own = own(value),
            "SendHostname" => is_silent |= !is_yes(value),
            _ => {}
        }
    }
    sends.machines &= !is_silent;
    sends
}

/// It sends the machine's name unless it is told not to, also for connections that it makes up where
/// nobody has set any up.
fn network_manager(files: &Files) -> Result<Vec<(String, Sends)>, Distrust> {
    const MAIN: &str = "etc/NetworkManager/NetworkManager.conf";
    let Some(main) = read(files, MAIN)? else {
        return Ok(Vec::new());
    };
    let mut settings = vec![(MAIN.to_owned(), main)];
    settings.extend(directory(files, "etc/NetworkManager/conf.d", ".conf")?);
    let is_silent = settings
        .iter()
        .flat_map(|(_, text)| pairs(text))
        .any(|(key, value)| key == "ipv4.dhcp-send-hostname" && !is_yes(value));
    let mut all = Vec::new();
    for (path, text) in directory(files, "etc/NetworkManager/system-connections", "")? {
        let mut sends = connection(&text);
        sends.machines &= !is_silent;
        all.push((path, sends));
    }
    if all.is_empty() {
        let machines = !is_silent;
        all.push((
            MAIN.to_owned(),
            Sends {
                own: None,
                machines,
            },
        ));
    }
    Ok(all)
}

/// One connection of NetworkManager.
fn connection(text: &str) -> Sends {
    let mut sends = Sends::default();
    let mut is_silent = false;
    for (key, value) in pairs(text) {
        match key {
            "method" => sends.machines |= value == "auto",
            "dhcp-hostname" => sends.own = own(value),
            "dhcp-send-hostname" => is_silent |= !is_yes(value),
            _ => {}
        }
    }
    if is_silent {
        sends = Sends::default();
    }
    sends
}

fn own(name: &str) -> Option<String> {
    let name = name.trim();
    (!NO_NAMES.contains(&name)).then(|| legible(name, 64))
}

fn is_yes(value: &str) -> bool {
    let yes = ["yes", "true", "on", "1", "y"];
    yes.iter().any(|it| value.eq_ignore_ascii_case(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_name(name: &str) -> Sends {
        Sends {
            own: Some(name.to_owned()),
            machines: false,
        }
    }

    fn machines(machines: bool) -> Sends {
        Sends {
            own: None,
            machines,
        }
    }

    #[test]
    fn dhclient_sends_what_it_is_told() {
        let debian = "option x code 1;\nsend host-name = gethostname();\nrequest a, b;";
        assert_eq!(dhclient(debian), machines(true));
        assert_eq!(dhclient("# send host-name \"a\";\n"), machines(false));
        assert_eq!(dhclient("send host-name \"lab\";"), own_name("lab"));
        let inside = "interface \"eth0\" {\n send  fqdn.fqdn \"lab.example\";\n}";
        assert_eq!(dhclient(inside), own_name("lab.example"));
    }

    #[test]
    fn dhcpcd_sends_what_it_is_told() {
        assert_eq!(dhcpcd("#hostname\nduid\n"), machines(false));
        assert_eq!(dhcpcd("hostname\n"), machines(true));
        assert_eq!(dhcpcd("hostname lab\n"), own_name("lab"));
    }

    #[test]
    fn netplan_sends_unless_told_not_to() {
        let plain = "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n";
        assert_eq!(netplan(plain), machines(true));
        assert_eq!(
            netplan("ethernets: {eth0: {addresses: [10.0.0.1/24]}}"),
            machines(false)
        );
        let silent = format!("{plain}      dhcp4-overrides:\n        send-hostname: false\n");
        assert_eq!(netplan(&silent), machines(false));
        let own = "eth0:\n  dhcp4-overrides: {hostname: lab}\n";
        assert_eq!(netplan(own), own_name("lab"));
        assert_eq!(netplan("a: {dhcp4: yes}"), machines(true));
    }

    #[test]
    fn networkd_sends_unless_told_not_to() {
        assert_eq!(networkd("[Network]\nDHCP=yes\n"), machines(true));
        assert_eq!(networkd("[Network]\nAddress=10.0.0.1\n"), machines(false));
        let silent = "[Network]\nDHCP=ipv4\n[DHCPv4]\nSendHostname=no\n";
        assert_eq!(networkd(silent), machines(false));
        let own = "[Network]\n[DHCPv4]\nHostname=lab\n";
        assert_eq!(networkd(own), own_name("lab"));
    }

    #[test]
    fn connections_send_unless_told_not_to() {
        assert_eq!(connection("[ipv4]\nmethod=auto\n"), machines(true));
        assert_eq!(connection("[ipv4]\nmethod=manual\n"), machines(false));
        let silent = "[ipv4]\nmethod=auto\ndhcp-hostname=lab\ndhcp-send-hostname=false\n";
        assert_eq!(connection(silent), machines(false));
        assert_eq!(connection("[ipv4]\ndhcp-hostname=lab\n"), own_name("lab"));
    }
}
