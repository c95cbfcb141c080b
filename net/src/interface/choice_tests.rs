use std::net::Ipv4Addr;

use super::*;

/// A wired, ready interface; the tests take away what they are about.
fn card(name: &str) -> Candidate {
    Candidate {
        interface: Interface {
            name: name.into(),
            index: 2,
            ipv4: Some(Ipv4Addr::new(10, 77, 0, 1)),
            ipv6: None,
            mac: Some([2, 0, 0, 0, 0, 1]),
            link_speed: Some(1000),
            mtu: 1500,
            kind: InterfaceKind::Wired,
        },
        up: true,
        link: true,
        multicast: true,
    }
}

fn of_kind(name: &str, kind: InterfaceKind) -> Candidate {
    let mut candidate = card(name);
    candidate.interface.kind = kind;
    candidate
}

fn loopback() -> Candidate {
    Candidate {
        multicast: false,
        ..of_kind("lo", InterfaceKind::Loopback)
    }
}

fn without_address(mut candidate: Candidate) -> Candidate {
    candidate.interface.ipv4 = None;
    candidate.interface.ipv6 = None;
    candidate
}

fn automatic(candidates: &[Candidate], routes: &[&str]) -> Result<String, InterfaceError> {
    let routes: Vec<String> = routes.iter().map(ToString::to_string).collect();
    choose(None, candidates, &routes).map(|i| i.name)
}

fn named(name: &str, candidates: &[Candidate]) -> Result<String, InterfaceError> {
    choose(Some(name), candidates, &[]).map(|i| i.name)
}

fn refusal(name: &str, obstacle: Obstacle) -> Refusal {
    Refusal {
        name: name.into(),
        obstacle,
    }
}

#[test]
fn a_name_is_matched_exactly() {
    let all = [loopback(), card("eth0"), card("eth01")];
    assert_eq!(named("eth0", &all).unwrap(), "eth0");
    let Err(InterfaceError::Unknown { name, existing }) = named("eth", &all) else {
        panic!("a prefix is not a name");
    };
    assert_eq!(name, "eth");
    assert_eq!(existing, ["lo", "eth0", "eth01"]);
}

#[test]
fn a_named_interface_must_be_ready() {
    let cases = [
        (
            Candidate {
                up: false,
                link: false,
                ..card("a")
            },
            Obstacle::Down,
        ),
        (
            Candidate {
                link: false,
                ..card("a")
            },
            Obstacle::NoLink,
        ),
        (
            Candidate {
                multicast: false,
                ..card("a")
            },
            Obstacle::NoMulticast,
        ),
        (without_address(card("a")), Obstacle::NoAddress),
        (without_address(loopback()), Obstacle::NoAddress),
    ];
    for (candidate, expected) in cases {
        let name = candidate.name();
        let Err(InterfaceError::Unusable(found)) = named(&name, &[candidate]) else {
            panic!("{expected:?} was not noticed");
        };
        assert_eq!(found, refusal(&name, expected));
    }
}

#[test]
fn a_name_overrides_every_objection_to_the_kind() {
    use InterfaceKind::{Tunnel, Virtual, Wireless};
    for kind in [Wireless, Tunnel, Virtual] {
        assert_eq!(
            named("x", &[of_kind("x", kind), card("eth0")]).unwrap(),
            "x"
        );
    }
    assert_eq!(named("lo", &[loopback(), card("eth0")]).unwrap(), "lo");
}

#[test]
fn an_ipv6_address_alone_is_enough() {
    let mut candidate = without_address(card("eth0"));
    candidate.interface.ipv6 = Some("fe80::1".parse().unwrap());
    assert_eq!(automatic(&[candidate], &[]).unwrap(), "eth0");
}

#[test]
fn the_default_route_decides_between_cards() {
    let all = [loopback(), card("eth0"), card("eth1")];
    assert_eq!(automatic(&all, &["eth1"]).unwrap(), "eth1");
    assert_eq!(
        automatic(&all, &["eth1", "eth1"]).unwrap(),
        "eth1",
        "IPv4 and IPv6 routes"
    );
}

#[test]
fn a_bridge_with_the_default_route_is_taken() {
    let all = [
        without_address(card("eth0")),
        of_kind("br0", InterfaceKind::Virtual),
    ];
    assert_eq!(automatic(&all, &["br0"]).unwrap(), "br0");
}

#[test]
fn among_default_routes_the_wireless_one_does_not_count() {
    let all = [card("eth0"), of_kind("wlan0", InterfaceKind::Wireless)];
    assert_eq!(automatic(&all, &["wlan0", "eth0"]).unwrap(), "eth0");
}

#[test]
fn two_default_routes_are_not_guessed_between() {
    let all = [card("eth0"), card("eth1"), card("eth2")];
    let Err(InterfaceError::Ambiguous { usable }) = automatic(&all, &["eth0", "eth2"]) else {
        panic!("guessed");
    };
    assert_eq!(usable, ["eth0", "eth2"]);
}

#[test]
fn a_default_route_over_wireless_is_refused_and_the_card_is_named() {
    let all = [
        loopback(),
        card("eth0"),
        of_kind("wlan0", InterfaceKind::Wireless),
    ];
    let error = automatic(&all, &["wlan0"]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("wlan0 is wireless"), "{text}");
    assert!(text.contains("--interface wlan0"), "{text}");
    assert!(text.contains("--interface: eth0"), "{text}");
    let InterfaceError::DefaultRoute {
        refused,
        alternatives,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(refused, [refusal("wlan0", Obstacle::Wireless)]);
    assert_eq!(alternatives, ["eth0"]);
}

#[test]
fn a_default_route_over_a_tunnel_or_a_dead_card_is_refused() {
    let tunnel = of_kind("wg0", InterfaceKind::Tunnel);
    let dead = Candidate {
        link: false,
        ..card("eth0")
    };
    let Err(InterfaceError::DefaultRoute {
        refused,
        alternatives,
    }) = automatic(&[tunnel, dead], &["wg0", "eth0"])
    else {
        panic!("took one of them");
    };
    assert_eq!(
        refused,
        [
            refusal("wg0", Obstacle::Tunnel),
            refusal("eth0", Obstacle::NoLink)
        ]
    );
    assert!(alternatives.is_empty());
}

#[test]
fn without_a_route_the_only_ready_card_is_taken() {
    let all = [
        loopback(),
        Candidate {
            link: false,
            ..card("eth0")
        },
        card("eth1"),
        of_kind("wlan0", InterfaceKind::Wireless),
        of_kind("docker0", InterfaceKind::Virtual),
    ];
    assert_eq!(automatic(&all, &[]).unwrap(), "eth1");
}

#[test]
fn without_a_route_and_without_a_card_the_only_link_is_taken() {
    let all = [loopback(), of_kind("veth0", InterfaceKind::Virtual)];
    assert_eq!(automatic(&all, &[]).unwrap(), "veth0");
}

#[test]
fn without_a_route_two_cards_are_not_guessed_between() {
    let all = [loopback(), card("eth0"), card("eth1")];
    let error = automatic(&all, &[]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("eth0, eth1") && text.contains("--interface NAME"),
        "{text}"
    );
    assert!(
        matches!(error, InterfaceError::Ambiguous { .. }),
        "{error:?}"
    );
}

#[test]
fn when_nothing_is_ready_every_interface_is_explained() {
    let all = [
        loopback(),
        Candidate {
            up: false,
            ..card("eth0")
        },
        without_address(card("eth1")),
        of_kind("wlan0", InterfaceKind::Wireless),
    ];
    let error = automatic(&all, &[]).unwrap_err();
    assert!(
        error.to_string().contains("ip link set dev eth0 up"),
        "{error}"
    );
    let InterfaceError::NoneUsable { refused } = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        refused,
        [
            refusal("lo", Obstacle::Loopback),
            refusal("eth0", Obstacle::Down),
            refusal("eth1", Obstacle::NoAddress),
            refusal("wlan0", Obstacle::Wireless),
        ]
    );
}

#[test]
fn a_route_over_an_interface_that_is_gone_counts_as_none() {
    assert_eq!(
        automatic(&[loopback(), card("eth0")], &["ppp0"]).unwrap(),
        "eth0"
    );
}
