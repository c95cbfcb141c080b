//! Two hosts on a cable: what `lo` cannot show. IPv6 multicast, membership
//! reports on the wire, full send buffers, firewalls, cards without offload.
//!
//! Needs root, `ip`, `tc`, `nft` and `ethtool`. Without them the tests say so and
//! do nothing, unless MIMEO_REQUIRE_ALL=1.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod cable;

use std::{
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use cable::{Cable, Host, cable};
use mimeo_net::{
    Family, Interest, Interface, InterfaceError, InterfaceKind, Obstacle, ReceiveBatch, Refusal,
    SendError, Socket, Waiter,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Type};

/// The payload of a mimeo datagram.
const SEGMENT: usize = 1448;

/// The environment variable that tells a test run inside a namespace what to expect.
const EXPECTED: &str = "MIMEO_TEST_EXPECTED_INTERFACE";

/// Transient groups (RFC 4291 section 2.7): link-local and site-local scope.
const LINK_LOCAL_GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x77, 1);
const SITE_LOCAL_GROUP: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0x77, 1);
const IPV4_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 1);

fn burst(count: usize) -> Vec<u8> {
    (0..count * SEGMENT)
        .map(|at| (at % 251) as u8 ^ (at / SEGMENT) as u8)
        .collect()
}

/// Everything that arrives until `count` datagrams are there, or for 10 s.
fn receive(socket: &Socket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let waiter = Waiter::new().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    let mut batch = ReceiveBatch::new();
    let mut found = Vec::new();
    while found.len() < count {
        let readiness = waiter
            .wait(&[(socket, Interest::Readable)], Some(until))
            .unwrap();
        assert!(
            !readiness.timed_out(),
            "{} of {count} datagrams arrived",
            found.len()
        );
        socket.recv(&mut batch).unwrap();
        found.extend(
            batch
                .datagrams()
                .map(|(from, bytes)| (from, bytes.to_vec())),
        );
    }
    found
}

/// Sends a burst from one host to a group that the other one and the sender's own
/// host have joined, and compares what arrives.
fn group_delivery(cable: &Cable, family: Family, group: IpAddr) {
    let sender = cable
        .left
        .inside(|eth| Socket::unicast(eth, family, 0, 1).unwrap());
    let far = cable
        .right
        .inside(|eth| Socket::group(eth, group, 0).unwrap());
    let port = far.local_addr().port();
    let near = cable
        .left
        .inside(|eth| Socket::group(eth, group, port).unwrap());
    for member in [&far, &near] {
        member.set_receive_buffer(1 << 20).unwrap();
    }
    let contents = burst(40);
    let sent = sender
        .send(SocketAddr::new(group, port), &contents, SEGMENT)
        .unwrap();
    assert_eq!((sent.datagrams, sent.refused), (40, 0), "{sent:?}");
    for member in [&far, &near] {
        let found = receive(member, 40);
        for ((from, bytes), expected) in found.iter().zip(contents.chunks(SEGMENT)) {
            assert_eq!(from.ip(), sender.local_addr().ip());
            assert_eq!(from.port(), sender.local_addr().port());
            assert!(bytes == expected, "a datagram arrived altered");
        }
    }
}

#[test]
fn ipv6_groups_are_delivered_on_both_hosts() {
    let Some(cable) = cable() else { return };
    group_delivery(&cable, Family::V6, LINK_LOCAL_GROUP.into());
    group_delivery(&cable, Family::V6, SITE_LOCAL_GROUP.into());
}

#[test]
fn ipv4_groups_are_delivered_on_both_hosts() {
    let Some(cable) = cable() else { return };
    group_delivery(&cable, Family::V4, IPV4_GROUP.into());
}

#[test]
fn ipv6_unicast_uses_the_link_local_address() {
    let Some(cable) = cable() else { return };
    let open = |host: &Host| host.inside(|eth| Socket::unicast(eth, Family::V6, 0, 1).unwrap());
    let (sender, receiver) = (open(&cable.left), open(&cable.right));
    // The scope is each host's own number for the cable.
    let SocketAddr::V6(mut destination) = receiver.local_addr() else {
        panic!()
    };
    let SocketAddr::V6(source) = sender.local_addr() else {
        panic!()
    };
    assert!(destination.ip().is_unicast_link_local());
    destination.set_scope_id(source.scope_id());
    sender.send(destination.into(), b"hello", SEGMENT).unwrap();
    let (from, bytes) = receive(&receiver, 1).remove(0);
    assert_eq!(
        (from.ip(), bytes.as_slice()),
        (IpAddr::V6(*source.ip()), b"hello".as_slice())
    );
}

#[test]
fn a_card_without_checksum_offload_still_gets_the_burst() {
    let Some(cable) = cable() else { return };
    cable.left.run("ethtool", &["-K", "eth0", "tx", "off"]);
    group_delivery(&cable, Family::V4, IPV4_GROUP.into());
    group_delivery(&cable, Family::V6, LINK_LOCAL_GROUP.into());
}

#[test]
fn a_datagram_larger_than_the_mtu_is_named_and_not_fragmented() {
    let Some(cable) = cable() else { return };
    let sender = cable
        .left
        .inside(|eth| Socket::unicast(eth, Family::V4, 0, 1).unwrap());
    let destination = SocketAddr::new(IPV4_GROUP.into(), 9);
    // 1500 - 20 - 8 = 1472 fit.
    sender.send(destination, &[0; 1472], 1472).unwrap();
    for contents in [vec![0; 1473], vec![0; 4 * 1473]] {
        let error = sender.send(destination, &contents, 1473).unwrap_err();
        assert!(
            matches!(error, SendError::TooLarge { size: 1473, .. }),
            "{error:?}"
        );
    }
}

#[test]
fn what_a_firewall_drops_is_counted() {
    let Some(cable) = cable() else { return };
    cable.left.run("nft", &["add table inet t"]);
    cable.left.run(
        "nft",
        &["add chain inet t out { type filter hook output priority 0; }"],
    );
    cable
        .left
        .run("nft", &["add rule inet t out udp dport 9 drop"]);
    let sender = cable
        .left
        .inside(|eth| Socket::unicast(eth, Family::V4, 0, 1).unwrap());
    let sent = sender
        .send(SocketAddr::new(IPV4_GROUP.into(), 9), &burst(50), SEGMENT)
        .unwrap();
    assert_eq!(
        (sent.datagrams, sent.refused, sent.bytes),
        (0, 50, 50 * SEGMENT),
        "{sent:?}"
    );
    let refusal = sent.refusal.expect("the reason is kept");
    assert_eq!(refusal.kind(), std::io::ErrorKind::PermissionDenied);
    assert!(!sent.blocked);
}

#[test]
fn a_cut_cable_refuses_but_is_no_error() {
    let Some(cable) = cable() else { return };
    let sender = cable
        .left
        .inside(|eth| Socket::unicast(eth, Family::V4, 0, 1).unwrap());
    cable.left.run("ip", &["link", "set", "eth0", "down"]);
    let sent = sender
        .send(SocketAddr::new(IPV4_GROUP.into(), 9), &burst(3), SEGMENT)
        .unwrap();
    assert_eq!((sent.datagrams, sent.refused), (0, 3), "{sent:?}");
}

#[test]
fn a_full_send_buffer_says_how_far_the_burst_went() {
    let Some(cable) = cable() else { return };
    // Slow enough that nothing leaves the queue while the buffer fills.
    let queue = ["qdisc", "add", "dev", "eth0", "root", "tbf"];
    let rate = ["rate", "8mbit", "burst", "10kb", "limit", "10mb"];
    cable
        .left
        .run("tc", &[queue.as_slice(), rate.as_slice()].concat());
    let sender = cable
        .left
        .inside(|eth| Socket::unicast(eth, Family::V4, 0, 1).unwrap());
    let receiver = cable
        .right
        .inside(|eth| Socket::unicast(eth, Family::V4, 0, 1).unwrap());
    receiver.set_receive_buffer(4 << 20).unwrap();
    sender.set_send_buffer(150_000).unwrap();
    let contents = burst(400);
    let mut rest = contents.as_slice();
    let mut blocked = 0;
    let waiter = Waiter::new().unwrap();
    while !rest.is_empty() {
        let sent = sender.send(receiver.local_addr(), rest, SEGMENT).unwrap();
        assert_eq!(sent.bytes, sent.datagrams * SEGMENT, "{sent:?}");
        assert_eq!(sent.blocked, sent.bytes < rest.len(), "{sent:?}");
        rest = &rest[sent.bytes..];
        if sent.blocked {
            blocked += 1;
            let until = Instant::now() + Duration::from_secs(10);
            let ready = waiter
                .wait(&[(&sender, Interest::Writable)], Some(until))
                .unwrap();
            assert!(ready.writable(0), "the buffer never emptied");
        }
    }
    assert!(blocked > 0, "the buffer was never full");
    let bytes: Vec<u8> = receive(&receiver, 400)
        .into_iter()
        .flat_map(|(_, b)| b)
        .collect();
    assert!(bytes == contents, "a datagram was lost, doubled or altered");
}

/// A record of a membership report (RFC 3376 section 4.2.12, RFC 3810 section 5.2).
#[derive(Debug, PartialEq, Eq)]
struct Record {
    kind: u8,
    sources: u16,
    group: Vec<u8>,
}

/// The record type that a join sends: everything but the sources listed.
const CHANGE_TO_EXCLUDE: u8 = 4;

/// The records of an IGMPv3 or MLDv2 report, whose addresses have `width` bytes.
fn records(report: &[u8], width: usize) -> Vec<Record> {
    let number = |at: &[u8]| u16::from_be_bytes([at[0], at[1]]);
    let mut rest = &report[8..];
    let mut found = Vec::new();
    for _ in 0..number(&report[6..]) {
        let sources = number(&rest[2..]);
        found.push(Record {
            kind: rest[0],
            sources,
            group: rest[4..4 + width].to_vec(),
        });
        rest = &rest[4 + width * (1 + usize::from(sources))..];
    }
    found
}

/// Reads reports from a raw socket until one is about `group`; all its records.
fn next_about(watch: &socket2::Socket, group: IpAddr) -> Vec<Record> {
    let (wanted, header) = match group {
        // A raw IPv4 socket also gets the IP header, 24 bytes with router alert.
        IpAddr::V4(group) => (group.octets().to_vec(), 24),
        IpAddr::V6(group) => (group.octets().to_vec(), 0),
    };
    loop {
        let mut bytes = [0; 2048];
        let mut watch = watch;
        let length = watch
            .read(&mut bytes)
            .expect("a report comes within the timeout");
        let message = &bytes[header..length];
        let is_report = message[0] == if group.is_ipv4() { 0x22 } else { 143 };
        if !is_report {
            continue;
        }
        let mut found = records(message, wanted.len());
        found.retain(|record| record.group == wanted);
        if !found.is_empty() {
            return found;
        }
    }
}

/// How often the kernel reports each change, for the case that one report is lost
/// (the robustness variable, RFC 3376 section 8.1): one fewer would be a change
/// that was not reported.
const ROBUSTNESS: usize = 2;

/// The other host watches what a join and a renewal report, and that the renewal
/// does not say that anybody left.
fn renewal_is_reported(cable: &Cable, group: IpAddr) {
    let watch = cable.right.inside(|eth| watch_reports(eth, group));
    let member = cable
        .left
        .inside(|eth| Socket::group(eth, group, 0).unwrap());
    let source = match group {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2)),
        IpAddr::V6(_) => "fe80::77".parse().unwrap(),
    };
    let assert_reported = || {
        for _ in 0..ROBUSTNESS {
            let records = next_about(&watch, group);
            let whole_group =
                |record: &Record| record.kind == CHANGE_TO_EXCLUDE && record.sources == 0;
            assert!(
                records.len() == 1 && whole_group(&records[0]),
                "{records:?}"
            );
        }
    };
    assert_reported();
    for _ in 0..3 {
        member.renew_membership(source).unwrap();
        assert_reported();
    }
}

/// A raw socket that hears the reports which hosts send to all routers.
fn watch_reports(eth: &Interface, group: IpAddr) -> socket2::Socket {
    let watch = if group.is_ipv4() {
        let igmp = Protocol::from(libc::IPPROTO_IGMP);
        let watch = socket2::Socket::new(Domain::IPV4, Type::RAW, Some(igmp)).unwrap();
        let routers = Ipv4Addr::new(224, 0, 0, 22);
        watch
            .join_multicast_v4_n(&routers, &InterfaceIndexOrAddress::Index(eth.index))
            .unwrap();
        watch
    } else {
        let watch = socket2::Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
        watch
            .join_multicast_v6(&"ff02::16".parse().unwrap(), eth.index)
            .unwrap();
        watch
    };
    watch
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    watch
}

#[test]
fn a_renewal_sends_an_igmp_report_as_a_join_does() {
    let Some(cable) = cable() else { return };
    renewal_is_reported(&cable, IPV4_GROUP.into());
}

#[test]
fn a_renewal_sends_an_mld_report_as_a_join_does() {
    let Some(cable) = cable() else { return };
    renewal_is_reported(&cable, LINK_LOCAL_GROUP.into());
    renewal_is_reported(&cable, SITE_LOCAL_GROUP.into());
}

#[test]
fn the_interface_is_chosen_as_the_routes_say() {
    let Some(cable) = cable() else { return };
    let choose = |expected: &str| {
        let this = std::env::current_exe().unwrap();
        let this = this.to_str().expect("cargo's paths are UTF-8");
        let test = ["--ignored", "--exact", "choice_inside_a_namespace"];
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
fn choice_inside_a_namespace() {
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
