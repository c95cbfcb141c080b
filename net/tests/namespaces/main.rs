//! Two hosts on a cable: what `lo` cannot show. IPv6 multicast, membership
//! reports on the wire, full send buffers, firewalls, cards without offload.
//!
//! Needs root, `ip`, `tc`, `nft` and `ethtool`. Without them the tests say so and
//! do nothing, unless MIMEO_REQUIRE_ALL=1.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod cable;
mod choice;
mod membership;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use cable::{Cable, Host, cable};
use mimeo_net::{Family, Interest, ReceiveBatch, SendError, Socket, Waiter};

/// The payload of a mimeo datagram.
const SEGMENT: usize = 1448;

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
