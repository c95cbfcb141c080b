//! The virtual network as its users see it. Needs root and the network tools.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint takes for other code"
)]

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::time::Duration;

use mimeo_benches::netlab::{
    Direction, Host, Link, Loss, Room, RoomConfig, Snooping, clean, usable,
};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 77, 1, 2);
const PORT: u16 = 7777;

/// How long a datagram that must come may take: long enough for any machine, and
/// only ever waited for in full by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

const ONE: Host = Host::new(1);
const TWO: Host = Host::new(2);

fn room(receivers: u16) -> Room {
    Room::build(&RoomConfig {
        receivers,
        snooping: Snooping::Off,
    })
    .unwrap()
}

fn sender(room: &Room) -> UdpSocket {
    let socket = room.inside(Host::SENDER, || {
        UdpSocket::bind((Host::SENDER.address(), 0))
    });
    let socket = socket.unwrap().unwrap();
    socket.set_multicast_loop_v4(false).unwrap();
    socket
}

fn member(room: &Room, host: Host) -> UdpSocket {
    let socket = room.inside(host, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
        socket.join_multicast_v4(&GROUP, &host.address())?;
        std::io::Result::Ok(socket)
    });
    let socket = socket.unwrap().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn send(socket: &UdpSocket, text: &str) {
    socket
        .send_to(text.as_bytes(), SocketAddrV4::new(GROUP, PORT))
        .unwrap();
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2048];
    let (length, _) = socket.recv_from(&mut buffer).expect("a datagram arrives");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn namespaces_of(prefix: &str) -> usize {
    let output = Command::new("ip").args(["netns", "list"]).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|l| l.starts_with(prefix))
        .count()
}

#[test]
fn multicast_reaches_every_receiver_and_unicast_comes_back() {
    if !usable("multicast") {
        return;
    }
    let room = room(2);
    let sender = sender(&room);
    sender.set_read_timeout(Some(PATIENCE)).unwrap();
    let members: Vec<_> = room.receivers().map(|host| member(&room, host)).collect();
    send(&sender, "hello");
    for member in &members {
        assert_eq!(receive(member), "hello");
        member
            .send_to(b"here", sender.local_addr().unwrap())
            .unwrap();
        assert_eq!(receive(&sender), "here");
    }
}

#[test]
fn loss_concerns_one_port_and_one_direction_and_can_be_lifted() {
    if !usable("loss") {
        return;
    }
    let room = room(2);
    let sender = sender(&room);
    sender.set_read_timeout(Some(PATIENCE)).unwrap();
    let (deaf, other) = (member(&room, ONE), member(&room, TWO));
    room.loss(ONE, Direction::ToHost, Loss::Random { permille: 1000 })
        .unwrap();
    for _ in 0..50 {
        send(&sender, "lost");
        assert_eq!(receive(&other), "lost");
    }
    // The way back from the deaf host is open.
    deaf.send_to(b"back", sender.local_addr().unwrap()).unwrap();
    assert_eq!(receive(&sender), "back");

    room.loss(ONE, Direction::ToHost, Loss::None).unwrap();
    send(&sender, "found");
    assert_eq!(receive(&deaf), "found", "nothing came through before");

    room.loss(ONE, Direction::FromHost, Loss::Random { permille: 1000 })
        .unwrap();
    deaf.send_to(b"mute", sender.local_addr().unwrap()).unwrap();
    other
        .send_to(b"loud", sender.local_addr().unwrap())
        .unwrap();
    assert_eq!(receive(&sender), "loud");
}

#[test]
fn bursts_lose_exactly_their_share() {
    if !usable("bursts") {
        return;
    }
    let room = room(1);
    let sender = sender(&room);
    let member = member(&room, ONE);
    room.loss(
        ONE,
        Direction::ToHost,
        Loss::Bursts {
            length: 3,
            every: 10,
        },
    )
    .unwrap();
    // Host 1 of 2 begins its bursts half way through what is free: at 3.
    for number in 0..20 {
        send(&sender, &number.to_string());
    }
    let expected = (0..20).filter(|number| !(3..6).contains(&(number % 10)));
    for number in expected {
        assert_eq!(receive(&member), number.to_string());
    }
}

#[test]
fn a_rate_limit_holds_one_port_back() {
    if !usable("rate") {
        return;
    }
    let room = room(2);
    let sender = sender(&room);
    let text = "x".repeat(1400);
    let arrived = |host| room.traffic(host).unwrap().received_bytes;
    // 2.8 MB at 12.5 kB/s would take minutes.
    room.port_rate(ONE, Some(100_000)).unwrap();
    let before = (arrived(ONE), arrived(TWO));
    for _ in 0..2000 {
        send(&sender, &text);
    }
    let (slow, fast) = (arrived(ONE) - before.0, arrived(TWO) - before.1);
    assert!(fast >= 2000 * 1400, "{fast}");
    assert!(slow < fast / 2, "{slow} of {fast}");

    room.port_rate(ONE, None).unwrap();
    let member = member(&room, ONE);
    send(&sender, "free");
    assert_eq!(receive(&member), "free");
}

#[allow(
    unsafe_code,
    reason = "the standard library does not know this socket option"
)]
fn use_gso(socket: &UdpSocket, size: libc::c_int) {
    let length = libc::socklen_t::try_from(size_of_val(&size)).unwrap();
    // SAFETY: the descriptor is open and the pointer is valid for `length` bytes.
    let result = unsafe {
        let value = (&raw const size).cast();
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            value,
            length,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn segmentation_turns_a_super_packet_into_datagrams() {
    if !usable("segmented") {
        return;
    }
    let room = room(1);
    let sender = sender(&room);
    use_gso(&sender, 1000);
    let member = member(&room, ONE);
    let packets = || {
        let before = room.traffic(ONE).unwrap().received_packets;
        send(&sender, &"x".repeat(20_000));
        for _ in 0..20 {
            assert_eq!(receive(&member).len(), 1000);
        }
        room.traffic(ONE).unwrap().received_packets - before
    };
    // A stray packet of the neighbour discovery may be among them.
    let whole = packets();
    assert!((1..10).contains(&whole), "{whole}");
    room.segmented(true).unwrap();
    let cut = packets();
    assert!(cut >= 20, "{cut}");
    room.segmented(false).unwrap();
    let whole = packets();
    assert!((1..10).contains(&whole), "{whole}");
}

#[test]
fn a_program_sees_its_hosts_interface_and_its_link() {
    if !usable("link") {
        return;
    }
    let room = room(1);
    let carrier = |expected: &str| {
        // The host learns of its carrier a moment after the port changes.
        for _ in 0..2000 {
            let output = room
                .command(ONE, "cat")
                .arg("/sys/class/net/eth0/carrier")
                .output()
                .unwrap();
            if String::from_utf8(output.stdout).unwrap().trim() == expected {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the carrier never became {expected}");
    };
    carrier("1");
    room.link(ONE, Link::Down).unwrap();
    carrier("0");
    room.link(ONE, Link::Up).unwrap();
    carrier("1");
}

#[test]
fn snooping_keeps_groups_from_ports_that_did_not_ask() {
    if !usable("snooping") {
        return;
    }
    let room = Room::build(&RoomConfig {
        receivers: 2,
        snooping: Snooping::On,
    })
    .unwrap();
    let sender = sender(&room);
    let _member = member(&room, ONE);
    let text = "y".repeat(1000);
    let arrived = |host| room.traffic(host).unwrap().received_bytes;
    // Until the querier is in force the switch floods, and then it learns of the
    // member only from the answer to the first query: wait for a batch that the
    // member gets in full and the other does not.
    for _ in 0..200 {
        let before = (arrived(ONE), arrived(TWO));
        for _ in 0..20 {
            send(&sender, &text);
        }
        if arrived(ONE) - before.0 >= 20_000 && arrived(TWO) - before.1 < 20_000 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the switch never kept the group to its member");
}

#[test]
fn nothing_remains_after_a_room_or_a_panic() {
    if !usable("teardown") {
        return;
    }
    let first = room(3);
    let prefix = first.prefix().to_owned();
    assert_eq!(namespaces_of(&prefix), 5);
    let mut sleeper = first
        .command(ONE, "sh")
        .args(["-c", "echo inside; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Once it speaks it is inside, and not only on its way.
    let mut line = [0; 6];
    sleeper
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut line)
        .unwrap();
    drop(first);
    assert_eq!(namespaces_of(&prefix), 0);
    assert!(
        !sleeper.wait().unwrap().success(),
        "programs end with their room"
    );

    let mut prefix = String::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let second = room(1);
        second.prefix().clone_into(&mut prefix);
        panic!("on purpose");
    }));
    assert!(panicked.is_err() && !prefix.is_empty());
    assert_eq!(namespaces_of(&prefix), 0);
}

#[test]
fn clean_removes_what_a_dead_process_left_and_nothing_else() {
    if !usable("clean") {
        return;
    }
    let room = room(1);
    // No process has this number: it is beyond the kernel's limit.
    let orphan = &format!("mimeo-4294967295-{}-0-switch", std::process::id());
    let status = Command::new("ip")
        .args(["netns", "add", orphan])
        .status()
        .unwrap();
    assert!(status.success());
    clean().unwrap();
    assert_eq!(namespaces_of(orphan), 0);
    assert_eq!(namespaces_of(room.prefix()), 3);
}

#[test]
fn wrong_numbers_are_refused() {
    if !usable("refusals") {
        return;
    }
    for receivers in [0, 254] {
        Room::build(&RoomConfig {
            receivers,
            snooping: Snooping::Off,
        })
        .unwrap_err();
    }
    let room = room(1);
    room.loss(TWO, Direction::ToHost, Loss::None).unwrap_err();
    room.loss(ONE, Direction::ToHost, Loss::Random { permille: 1001 })
        .unwrap_err();
    room.port_rate(ONE, Some(0)).unwrap_err();
    room.inside(TWO, || ()).unwrap_err();
}
