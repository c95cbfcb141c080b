//! Sockets over `lo`: needs no privilege and no network.

use std::{
    net::{IpAddr, Ipv4Addr},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use super::*;
use crate::{Interest, InterfaceKind, Waiter};

/// The payload of a mimeo datagram over IPv4 with an MTU of 1500.
const SEGMENT: usize = 1448;

fn lo() -> Interface {
    Interface::choose(Some("lo")).unwrap()
}

fn unicast() -> Socket {
    Socket::unicast(&lo(), Family::V4, 0, 1).unwrap()
}

/// An administratively scoped group; each test has its own.
fn group(last: u8) -> IpAddr {
    Ipv4Addr::new(239, 255, 77, last).into()
}

/// `count` datagrams of which no two are equal, the last one `tail` bytes long.
fn burst(count: usize, tail: usize) -> Vec<u8> {
    let length = (count - 1) * SEGMENT + tail;
    (0..length)
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

/// Sends all of `contents`, waiting where the send buffer is full.
fn send_all(socket: &Socket, destination: SocketAddr, contents: &[u8]) -> usize {
    let waiter = Waiter::new().unwrap();
    let mut rest = contents;
    let mut datagrams = 0;
    while !rest.is_empty() {
        let sent = socket.send(destination, rest, SEGMENT).unwrap();
        assert_eq!(sent.refused, 0, "{:?}", sent.refusal);
        datagrams += sent.datagrams;
        rest = &rest[sent.bytes..];
        assert_eq!(sent.blocked, !rest.is_empty());
        if sent.blocked {
            waiter.wait(&[(socket, Interest::Writable)], None).unwrap();
        }
    }
    datagrams
}

#[test]
fn a_burst_arrives_exactly_as_sent() {
    let (sender, receiver) = (unicast(), unicast());
    receiver.set_receive_buffer(1 << 20).unwrap();
    let contents = burst(40, 700);
    assert_eq!(send_all(&sender, receiver.local_addr(), &contents), 40);
    let found = receive(&receiver, 40);
    assert!(found.iter().all(|(from, _)| *from == sender.local_addr()));
    let datagrams: Vec<&[u8]> = found.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let expected: Vec<&[u8]> = contents.chunks(SEGMENT).collect();
    assert_eq!(datagrams, expected);
}

#[test]
fn a_burst_arrives_where_segmentation_offload_fails() {
    let (sender, receiver) = (unicast(), unicast());
    receiver.set_receive_buffer(1 << 20).unwrap();
    assert!(
        sender.state.max_gso_segments() > 1,
        "this kernel has no GSO to lose"
    );
    refuse_offload(&sender);
    let contents = burst(40, 700);
    assert_eq!(send_all(&sender, receiver.local_addr(), &contents), 40);
    assert_eq!(
        sender.state.max_gso_segments(),
        1,
        "the offload was not given up"
    );
    let datagrams: Vec<Vec<u8>> = receive(&receiver, 40)
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    let expected: Vec<&[u8]> = contents.chunks(SEGMENT).collect();
    assert_eq!(datagrams, expected);
}

/// The kernel answers EINVAL to GSO without checksums, as it answers EIO where the
/// card cannot compute them.
#[expect(unsafe_code, reason = "no safe wrapper of SO_NO_CHECK exists")]
fn refuse_offload(socket: &Socket) {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is a C `int` that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NO_CHECK,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

#[test]
fn every_member_on_a_host_gets_a_copy() {
    let first = Socket::group(&lo(), group(1), 0).unwrap();
    let port = first.local_addr().port();
    let second = Socket::group(&lo(), group(1), port).unwrap();
    let sender = unicast();
    let contents = burst(3, SEGMENT);
    send_all(&sender, SocketAddr::new(group(1), port), &contents);
    let expected: Vec<(SocketAddr, Vec<u8>)> = contents
        .chunks(SEGMENT)
        .map(|bytes| (sender.local_addr(), bytes.to_vec()))
        .collect();
    assert_eq!(receive(&first, 3), expected);
    assert_eq!(receive(&second, 3), expected);
}

#[test]
fn another_group_on_the_same_port_is_not_delivered() {
    let mine = Socket::group(&lo(), group(2), 0).unwrap();
    let port = mine.local_addr().port();
    let other = Socket::group(&lo(), group(3), port).unwrap();
    let sender = unicast();
    send_all(&sender, SocketAddr::new(group(3), port), b"not mine");
    // `lo` delivers in the order of sending: once this one is here, the other would be.
    send_all(&sender, SocketAddr::new(group(2), port), b"mine");
    assert_eq!(receive(&mine, 1), [(sender.local_addr(), b"mine".to_vec())]);
    assert_eq!(
        receive(&other, 1),
        [(sender.local_addr(), b"not mine".to_vec())]
    );
}

#[test]
fn a_second_unicast_socket_is_told_that_the_port_is_taken() {
    let first = unicast();
    let port = first.local_addr().port();
    let error = Socket::unicast(&lo(), Family::V4, port, 1).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&port.to_string()) && text.contains("--port"),
        "{text}"
    );
    let SocketError::PortInUse { interface, address } = error else {
        panic!("{error:?}");
    };
    assert_eq!((interface.as_str(), address), ("lo", first.local_addr()));
}

#[test]
fn a_family_without_an_address_is_refused() {
    let error = Socket::unicast(&lo(), Family::V6, 0, 1).unwrap_err();
    assert!(
        matches!(
            error,
            SocketError::NoAddress {
                family: Family::V6,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().starts_with("lo has no"), "{error}");
}

#[test]
fn only_a_multicast_address_is_a_group() {
    let error = Socket::group(&lo(), Ipv4Addr::LOCALHOST.into(), 0).unwrap_err();
    assert!(
        matches!(error, SocketError::NotMulticast { .. }),
        "{error:?}"
    );
}

#[test]
fn what_does_not_fit_the_receive_buffer_is_counted() {
    let (sender, receiver) = (unicast(), unicast());
    let grant = receiver.set_receive_buffer(4096).unwrap();
    assert!(!grant.is_short(), "{grant:?}");
    assert_eq!(receiver.dropped().unwrap(), 0);
    for _ in 0..100 {
        send_all(&sender, receiver.local_addr(), &[7; SEGMENT]);
    }
    let dropped = receiver.dropped().unwrap();
    let mut batch = ReceiveBatch::new();
    let mut received = 0;
    while receiver.recv(&mut batch).unwrap() > 0 {
        received += batch.datagrams().count() as u64;
    }
    assert!(dropped > 0);
    assert_eq!(dropped + received, 100);
}

#[test]
fn a_buffer_that_is_too_large_is_granted_in_part() {
    let socket = unicast();
    let asked = usize::MAX;
    for grant in [
        socket.set_receive_buffer(asked).unwrap(),
        socket.set_send_buffer(asked).unwrap(),
    ] {
        assert!(
            grant.is_short() && grant.requested == asked && grant.granted > 0,
            "{grant:?}"
        );
    }
    let grant = socket.set_send_buffer(100_000).unwrap();
    assert_eq!(grant.granted, 100_000);
}

#[test]
fn empty_datagrams_are_left_out() {
    let (sender, receiver) = (unicast(), unicast());
    sender
        .socket
        .send_to(&[], &receiver.local_addr().into())
        .unwrap();
    send_all(&sender, receiver.local_addr(), b"full");
    assert_eq!(
        receive(&receiver, 1),
        [(sender.local_addr(), b"full".to_vec())]
    );
}

#[test]
fn a_failed_or_idle_receive_leaves_nothing_in_the_batch() {
    let (sender, receiver) = (unicast(), unicast());
    let mut batch = ReceiveBatch::new();
    send_all(&sender, receiver.local_addr(), b"once");
    assert_eq!(receiver.recv(&mut batch).unwrap(), 1);
    assert_eq!(receiver.recv(&mut batch).unwrap(), 0);
    assert_eq!(batch.datagrams().count(), 0);
}

#[test]
fn an_unreachable_port_is_no_error() {
    let sender = unicast();
    // As `connect` would, this makes the kernel report ICMP errors to the socket.
    sender
        .state
        .enable_transport_errors((&sender.socket).into())
        .unwrap();
    let gone = unicast().local_addr();
    let mut batch = ReceiveBatch::new();
    let mut refused = 0;
    for _ in 0..3 {
        refused += sender.send(gone, b"anybody?", SEGMENT).unwrap().refused;
        assert_eq!(sender.recv(&mut batch).unwrap(), 0);
        refused += sender.send(gone, b"anybody?", SEGMENT).unwrap().refused;
    }
    assert!(
        refused > 0,
        "the kernel reported no unreachable port: nothing was tested"
    );
}

#[test]
fn a_datagram_larger_than_the_mtu_is_named() {
    let error = unicast()
        .send(unicast().local_addr(), &[0; 66_000], 66_000)
        .unwrap_err();
    assert!(
        matches!(error, SendError::TooLarge { size: 66_000, .. }),
        "{error:?}"
    );
}

#[test]
fn a_segment_size_of_zero_is_an_error() {
    let sender = unicast();
    let error = sender.send(sender.local_addr(), b"x", 0).unwrap_err();
    assert!(matches!(error, SendError::Failed { .. }), "{error:?}");
}

#[test]
fn renewal_keeps_the_socket_a_member() {
    let member = Socket::group(&lo(), group(4), 0).unwrap();
    let sender = unicast();
    let destination = SocketAddr::new(group(4), member.local_addr().port());
    for source in [sender.local_addr().ip(), Ipv4Addr::new(10, 77, 9, 9).into()] {
        member.renew_membership(source).unwrap();
        send_all(&sender, destination, b"still here");
        assert_eq!(
            receive(&member, 1),
            [(sender.local_addr(), b"still here".to_vec())]
        );
    }
}

#[test]
fn halfway_through_a_renewal_the_source_is_still_heard() {
    let member = Socket::group(&lo(), group(6), 0).unwrap();
    let membership = member.membership.as_ref().unwrap();
    let sender = unicast();
    let destination = SocketAddr::new(group(6), member.local_addr().port());
    let source = sender.local_addr().ip();
    let stranger = Ipv4Addr::new(10, 77, 9, 9).into();
    membership.narrow(&member.socket, stranger).unwrap();
    send_all(&sender, destination, b"narrowed to another source");
    membership.widen(&member.socket).unwrap();
    membership.narrow(&member.socket, source).unwrap();
    send_all(&sender, destination, b"narrowed to this source");
    membership.widen(&member.socket).unwrap();
    let found = receive(&member, 1);
    assert_eq!(
        found,
        [(sender.local_addr(), b"narrowed to this source".to_vec())]
    );
}

#[test]
fn renewal_needs_a_group_and_a_source_of_its_family() {
    let source = Ipv4Addr::LOCALHOST.into();
    let error = unicast().renew_membership(source).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let member = Socket::group(&lo(), group(5), 0).unwrap();
    let error = member
        .renew_membership("fe80::1".parse().unwrap())
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn only_link_local_ipv6_addresses_get_a_scope() {
    let interface = Interface { index: 7, ..lo() };
    assert_eq!(interface.kind, InterfaceKind::Loopback);
    let scope = |ip: &str| match address_on(&interface, ip.parse().unwrap(), 1) {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(address) => panic!("{address}"),
    };
    assert_eq!(scope("fe80::1"), 7);
    assert_eq!(scope("ff02::1234"), 7);
    assert_eq!(scope("ff12::1234"), 7);
    assert_eq!(scope("ff15::1234"), 0);
    assert_eq!(scope("fd00::1"), 0);
}
