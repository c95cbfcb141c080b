//! Two network namespaces joined by a veth pair, taken down when dropped.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::IpAddr,
    os::fd::AsFd,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use mimeo_net::{Interface, InterfaceKind};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What the tests run, each with an argument that does nothing.
const TOOLS: [(&str, &str); 4] = [("ip", "-V"), ("tc", "-V"), ("nft", "-v"), ("ethtool", "-h")];

/// A network namespace with one end of the cable, called `eth0`.
pub(crate) struct Host {
    namespace: String,
}

/// Two hosts on one segment: 10.77.0.1 and 10.77.0.2, and link-local IPv6.
pub(crate) struct Cable {
    pub(crate) left: Host,
    pub(crate) right: Host,
}

/// Builds the hosts; `None`, with a message, where that is not possible.
///
/// # Panics
///
/// Instead of returning `None` if MIMEO_REQUIRE_ALL=1.
pub(crate) fn cable() -> Option<Cable> {
    if let Err(reason) = requirements() {
        let required = std::env::var_os("MIMEO_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(!required, "{reason}");
        eprintln!("skipped: {reason}");
        return None;
    }
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let host = |side| Host::new(format!("mimeo-net-{}-{number}-{side}", std::process::id()));
    let cable = Cable {
        left: host("left"),
        right: host("right"),
    };
    let (left, right) = (&cable.left.namespace, &cable.right.namespace);
    let link = ["link", "add", "eth0", "netns", left];
    run(
        "ip",
        &[
            link.as_slice(),
            &["type", "veth", "peer", "name", "eth0", "netns", right],
        ]
        .concat(),
    );
    cable.left.bring_up("10.77.0.1/24");
    cable.right.bring_up("10.77.0.2/24");
    cable.left.await_link();
    cable.right.await_link();
    Some(cable)
}

fn requirements() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces need root".into());
    }
    for (tool, argument) in TOOLS {
        if let Err(error) = Command::new(tool).arg(argument).output() {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{tool}: {error}");
            return Err(format!("{tool} is not installed"));
        }
    }
    Ok(())
}

/// Runs a tool that must succeed; returns what it printed.
pub(crate) fn run(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .output()
        .expect("the tool was found before");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    let failed = format!("{tool} {}: {errors}{printed}", arguments.join(" "));
    assert!(output.status.success(), "{failed}");
    printed
}

impl Host {
    fn new(namespace: String) -> Self {
        run("ip", &["netns", "add", &namespace]);
        Self { namespace }
    }

    fn bring_up(&self, address: &str) {
        // Without duplicate address detection addresses are usable at once.
        self.set("ipv6/conf/eth0/accept_dad", "0");
        self.run("ip", &["link", "set", "lo", "up"]);
        self.run("ip", &["address", "add", address, "dev", "eth0"]);
        self.run("ip", &["link", "set", "eth0", "up"]);
    }

    /// The link comes up, and the IPv6 address with it, once both ends are up.
    fn await_link(&self) {
        self.await_up("eth0");
        for _ in 0..1000 {
            let addresses = self.run("ip", &["-6", "address", "show", "dev", "eth0"]);
            if addresses.contains("fe80::") && !addresses.contains("tentative") {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{} got no link-local address", self.namespace);
    }

    /// Waits until the kernel has noticed that `eth` has a link.
    pub(crate) fn await_up(&self, eth: &str) {
        for _ in 0..1000 {
            if self.run("cat", &[&format!("/sys/class/net/{eth}/operstate")]) == "up\n" {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{eth} in {} got no link", self.namespace);
    }

    /// Sets a parameter below `/proc/sys/net`.
    fn set(&self, parameter: &str, value: &str) {
        self.enter(|| fs::write(format!("/proc/sys/net/{parameter}"), value).unwrap());
    }

    /// Runs a tool on this host; returns what it printed.
    pub(crate) fn run(&self, tool: &str, arguments: &[&str]) -> String {
        run(
            "ip",
            &[&["netns", "exec", &self.namespace, tool], arguments].concat(),
        )
    }

    /// Runs `work` in this host's namespace and gives it the cable's interface.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce(&Interface) -> T + Send) -> T {
        self.enter(|| work(&cable_end()))
    }

    /// Runs `work` on a thread of its own in this host's namespace; the sockets it
    /// opens stay there.
    fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.namespace)).unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let arguments = ["netns", "delete", &self.namespace];
        let deleted = Command::new("ip").args(arguments).status();
        if !deleted.is_ok_and(|status| status.success()) {
            eprintln!("could not delete the network namespace {}", self.namespace);
        }
    }
}

/// The calling thread's `eth0`. Not `Interface::choose`: sysfs shows the namespace
/// that it was mounted in, not the thread's.
fn cable_end() -> Interface {
    let mut found = if_addrs::get_if_addrs().unwrap();
    found.retain(|address| address.name == "eth0");
    let addresses = || found.iter().map(|address| address.ip());
    let ipv4 = addresses().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    let ipv6 = addresses().find_map(|ip| match ip {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    });
    Interface {
        name: "eth0".into(),
        index: found[0].index.expect("it exists"),
        ipv4,
        ipv6,
        mac: None,
        link_speed: None,
        mtu: 1500,
        kind: InterfaceKind::Virtual,
    }
}
