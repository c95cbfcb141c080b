use super::*;

/// Writes the attributes of one interface below `root`.
fn interface(root: &Path, name: &str, attributes: &[(&str, &str)]) {
    let directory = root.join(name);
    fs::create_dir(&directory).unwrap();
    for (attribute, value) in attributes {
        fs::write(directory.join(attribute), format!("{value}\n")).unwrap();
    }
}

fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let base = root.path();
    let ethernet = |index, flags, state, mac, speed| {
        [
            ("ifindex", index),
            ("flags", flags),
            ("operstate", state),
            ("address", mac),
            ("speed", speed),
            ("mtu", "1500"),
        ]
    };
    interface(
        base,
        "wlan0",
        &ethernet("4", "0x1003", "up", "02:00:00:00:00:04", "-1"),
    );
    fs::create_dir(base.join("wlan0/phy80211")).unwrap();
    fs::create_dir(base.join("wlan0/device")).unwrap();
    interface(
        base,
        "eth0",
        &ethernet("2", "0x1003", "up", "02:00:00:00:00:02", "2500"),
    );
    fs::create_dir(base.join("eth0/device")).unwrap();
    interface(
        base,
        "eth1",
        &ethernet("3", "0x1003", "down", "02:00:00:00:00:03", "-1"),
    );
    fs::create_dir(base.join("eth1/device")).unwrap();
    interface(
        base,
        "lo",
        &ethernet("1", "0x9", "unknown", "00:00:00:00:00:00", "-1"),
    );
    interface(
        base,
        "br0",
        &ethernet("5", "0x1002", "down", "02:00:00:00:00:05", "-1"),
    );
    interface(base, "wg0", &ethernet("6", "0x10d1", "unknown", "", "-1"));
    fs::write(base.join("bonding_masters"), "\n").unwrap();
    fs::create_dir(base.join("vanishing")).unwrap();
    root
}

fn read(addresses: &[Address]) -> Vec<Candidate> {
    read_interfaces(tree().path(), addresses).unwrap()
}

#[test]
fn interfaces_are_read_in_the_order_of_their_index() {
    let names: Vec<String> = read(&[]).into_iter().map(|c| c.interface.name).collect();
    assert_eq!(names, ["lo", "eth0", "eth1", "wlan0", "br0", "wg0"]);
}

#[test]
fn kinds_and_states_are_told_apart() {
    use InterfaceKind::{Loopback, Tunnel, Virtual, Wired, Wireless};
    let found: Vec<_> = read(&[])
        .into_iter()
        .map(|c| (c.interface.kind, c.up, c.link, c.multicast))
        .collect();
    assert_eq!(
        found,
        [
            (Loopback, true, true, false),
            (Wired, true, true, true),
            (Wired, true, false, true),
            (Wireless, true, true, true),
            (Virtual, false, false, true),
            (Tunnel, true, true, true),
        ]
    );
}

#[test]
fn a_carrier_that_is_lost_goes_before_a_state_that_lags() {
    let root = tree();
    let link = |carrier: &str| {
        fs::write(root.path().join("eth0/carrier"), carrier).unwrap();
        read_interfaces(root.path(), &[]).unwrap()[1].link
    };
    assert!(link("1\n"));
    assert!(!link("0\n"));
}

#[test]
fn attributes_are_read() {
    let all = read(&[]);
    let [lo, eth0, eth1] = &all[..3] else {
        panic!()
    };
    assert_eq!(eth0.interface.mac, Some([2, 0, 0, 0, 0, 2]));
    assert_eq!(eth0.interface.link_speed, Some(2500));
    assert_eq!(eth0.interface.mtu, 1500);
    assert_eq!(eth1.interface.link_speed, None, "-1 means unknown");
    assert_eq!(lo.interface.mac, None);
}

#[test]
fn addresses_go_to_their_interface_and_link_local_goes_first() {
    let address = |name: &str, ip: &str| (name.to_owned(), ip.parse().unwrap());
    let all = read(&[
        address("lo", "127.0.0.1"),
        address("lo", "::1"),
        address("eth0", "10.77.0.1"),
        address("eth0", "10.77.0.2"),
        address("eth0", "fd00::1"),
        address("eth0", "fe80::1"),
        address("eth1", "fd00::2"),
    ]);
    let found: Vec<_> = all
        .iter()
        .take(3)
        .map(|c| (c.interface.ipv4.map(|ip| ip.to_string()), c.interface.ipv6))
        .collect();
    assert_eq!(found[0], (Some("127.0.0.1".into()), None));
    assert_eq!(found[1], (Some("10.77.0.1".into()), "fe80::1".parse().ok()));
    assert_eq!(found[2], (None, "fd00::2".parse().ok()));
}

#[test]
fn only_live_ipv4_default_routes_count() {
    let table = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth1\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
*\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0
wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
";
    assert_eq!(parse_ipv4_routes(table), ["eth0", "wlan0"]);
}

#[test]
fn only_live_ipv6_default_routes_count() {
    let zeros = "0".repeat(32);
    let table = format!(
        "fe80{0} 40 {zeros} 00 {zeros} 00000100 00000001 00000000 00000001     eth1\n\
         {zeros} 00 {zeros} 00 fe80{0} 00000400 00000002 00000000 00000003     eth0\n\
         {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200       lo\n",
        "0".repeat(28),
    );
    assert_eq!(parse_ipv6_routes(&table), ["eth0"]);
}

#[test]
fn macs_of_other_lengths_are_no_macs() {
    assert_eq!(parse_mac("02:00:00:00:00"), None);
    assert_eq!(parse_mac("02:00:00:00:00:01:02"), None);
    assert_eq!(parse_mac(""), None);
    assert_eq!(parse_mac("02:ff:00:00:00:01"), Some([2, 255, 0, 0, 0, 1]));
}

#[test]
fn this_machine_has_a_loopback_interface() {
    let all = candidates().unwrap();
    let lo = all
        .iter()
        .find(|c| c.interface.name == "lo")
        .expect("every Linux has lo");
    assert_eq!(lo.interface.kind, InterfaceKind::Loopback);
    assert_eq!(lo.interface.index, 1);
    default_routes().expect("procfs is mounted");
}
