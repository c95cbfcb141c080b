//! The choice of an interface on a host with real interfaces and routes.

use mimeo_net::{Interface, InterfaceError, InterfaceKind, Obstacle, Refusal};

use crate::cable::cable;

/// The environment variable that tells a test run inside a namespace what to expect.
const EXPECTED: &str = "MIMEO_TEST_EXPECTED_INTERFACE";

#[test]
fn the_interface_is_chosen_as_the_routes_say() {
    let Some(cable) = cable() else { return };
    let choose = |expected: &str| {
        let this = std::env::current_exe().unwrap();
        let this = this.to_str().expect("cargo's paths are UTF-8");
        let test = ["--ignored", "--exact", "choice::inside_a_namespace"];
        let expected = format!("{EXPECTED}={expected}");
        let output = cable
            .left
            .run("env", &[&[expected.as_str(), this], &test[..]].concat());
        assert!(output.contains("1 passed"), "{output}");
    };
    choose("eth0");
    let other = [
        "link", "add", "eth9", "type", "veth", "peer", "name", "eth10",
    ];
    cable.left.run("ip", &other);
    for eth in ["eth9", "eth10"] {
        cable.left.run("ip", &["link", "set", eth, "up"]);
    }
    let address = ["address", "add", "10.77.1.1/24", "dev", "eth9"];
    cable.left.run("ip", &address);
    cable.left.await_up("eth9");
    choose("several");
    cable
        .left
        .run("ip", &["route", "add", "default", "via", "10.77.0.2"]);
    choose("eth0");
    cable
        .left
        .run("ip", &["route", "replace", "default", "via", "10.77.1.2"]);
    choose("eth9");
    cable.left.run("ip", &["route", "delete", "default"]);
    cable
        .left
        .run("ip", &["route", "add", "unreachable", "default"]);
    choose("several");
    cable.left.run(
        "ip",
        &[
            "-6", "route", "add", "default", "via", "fe80::77", "dev", "eth0",
        ],
    );
    choose("eth0");
    cable.right.run("ip", &["link", "set", "eth0", "down"]);
    choose("no link");
}

#[test]
#[ignore = "a part of the_interface_is_chosen_as_the_routes_say, which runs it in a namespace"]
fn inside_a_namespace() {
    let expected = std::env::var(EXPECTED).expect("not meant to be run alone");
    match Interface::choose(None) {
        Ok(interface) => {
            assert_eq!(interface.name, expected);
            assert_eq!(interface.kind, InterfaceKind::Virtual);
            assert_eq!(interface.mtu, 1500);
            assert!(interface.mac.is_some() && interface.ipv4.is_some());
            assert!(interface.ipv6.expect("it is up").is_unicast_link_local());
        }
        Err(InterfaceError::Ambiguous { usable }) => {
            assert_eq!(expected, "several", "{usable:?}");
            assert!(usable.contains(&"eth0".into()) && usable.contains(&"eth9".into()));
        }
        Err(InterfaceError::DefaultRoute { refused, .. }) => {
            assert_eq!(expected, "no link", "{refused:?}");
            let eth0 = Refusal {
                name: "eth0".into(),
                obstacle: Obstacle::NoLink,
            };
            assert_eq!(refused, [eth0]);
        }
        Err(error) => panic!("{error}"),
    }
}
