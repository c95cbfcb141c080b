//! What a renewal of a membership puts on the wire.

use std::{
    io::Read,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use mimeo_net::{Interface, Socket};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Type};

use crate::{
    IPV4_GROUP, LINK_LOCAL_GROUP, SITE_LOCAL_GROUP,
    cable::{Cable, cable},
};

/// A record of a membership report (RFC 3376 section 4.2.12, RFC 3810 section 5.2).
#[derive(Debug, PartialEq, Eq)]
struct Record {
    kind: u8,
    sources: u16,
    group: Vec<u8>,
}

/// A report that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// The kernel repeats each report within the unsolicited report interval, a second (RFC 3376
/// section 8.11); after a longer quiet nothing of an earlier change is left to come.
const QUIET: Duration = Duration::from_millis(1500);

/// Reads until nothing has come for [`QUIET`].
fn drain(watch: &socket2::Socket) {
    watch.set_read_timeout(Some(QUIET)).unwrap();
    let mut bytes = [0; 2048];
    let mut reader = watch;
    while reader.read(&mut bytes).is_ok() {}
    watch.set_read_timeout(Some(PATIENCE)).unwrap();
}

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
        let records = next_about(&watch, group);
        let whole_group = |record: &Record| record.kind == CHANGE_TO_EXCLUDE && record.sources == 0;
        assert!(records.iter().all(whole_group), "{records:?}");
    };
    assert_reported();
    for _ in 0..2 {
        drain(&watch);
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
    watch.set_read_timeout(Some(PATIENCE)).unwrap();
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
