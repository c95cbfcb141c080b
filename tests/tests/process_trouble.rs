//! Real programs on `lo`: what goes wrong while an image is on its way is noticed by everybody,
//! and said.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mimeo_benches::fixture::Random;
use mimeo_benches::session::{Process, Session};
use mimeo_protocol::ids::{Mac, Nonce, SessionId};
use mimeo_protocol::wire::{Announce, Auth, CONTROL_GROUP_V4, Join, Reject, RejectReason, VERSION};
use mimeo_tests::host::{
    PATIENCE, Place, Tmpfs, assert_code, assert_same, assert_says, assert_success, finish, root,
    udp_sockets, until,
};
use rustix::process::Signal;

/// So slow that a session of [`LENGTH`] bytes takes seconds, and can be met half-way.
const SLOW: [&str; 2] = ["--rate", "40M"];

/// Of the images; 16 groups of blocks.
const LENGTH: u64 = 16 << 20;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

fn target(place: &Place, number: usize) -> PathBuf {
    place.path(&format!("target{number}"))
}

/// A slow session in whose targets something is written already.
fn half_way(place: &Place, receivers: usize, options: &[&str]) -> Session {
    let image = place.random("image", LENGTH);
    let count = receivers.to_string();
    let sender = place.sender(&image, &[&SLOW[..], &["--min-receivers", &count]].concat());
    let receivers = (0..receivers).map(|number| place.receiver(target(place, number), options));
    let session = place.start(sender, receivers);
    until_written(place);
    session
}

/// Waits until something is written in the first target.
fn until_written(place: &Place) {
    until("something is written", || {
        target(place, 0)
            .metadata()
            .is_ok_and(|about| about.blocks() > 0)
    });
}

#[test]
fn an_interrupted_sender_tells_everybody() {
    let place = place();
    let session = half_way(&place, 2, &[]);
    session.sender.running.signal(Signal::INT).unwrap();
    let outcome = finish(session);
    assert_code(&outcome.sender, 130);
    assert_says(&outcome.sender, "0 of 2 receivers verified");
    for receiver in &outcome.receivers {
        assert_code(receiver, 1);
        assert_says(
            receiver,
            "the sender gave up: the operator ended the session",
        );
        assert_says(receiver, "FAILED");
    }
}

#[test]
fn a_terminal_that_goes_away_ends_a_sender_in_order() {
    let place = place();
    let session = half_way(&place, 1, &[]);
    session.sender.running.signal(Signal::HUP).unwrap();
    let outcome = finish(session);
    assert_code(&outcome.sender, 130);
    assert_eq!(outcome.sender.report.unwrap().result, "interrupted");
    assert_says(&outcome.receivers[0], "the operator ended the session");
}

#[test]
fn a_sender_under_nohup_outlives_its_terminal() {
    let place = place();
    let image = place.random("image", LENGTH);
    let sender = place.sender(&image, &SLOW);
    let mut under_nohup = Command::new("nohup");
    under_nohup
        .arg(sender.get_program())
        .args(sender.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let receiver = place.receiver(target(&place, 0), &[]);
    let session = place.start(under_nohup, [receiver]);
    until_written(&place);
    session.sender.running.signal(Signal::HUP).unwrap();
    assert_success(&finish(session), &image);
}

#[test]
fn an_interrupted_receiver_tells_the_sender_and_the_others_go_on() {
    let place = place();
    let session = half_way(&place, 2, &[]);
    session.receivers[1].running.signal(Signal::INT).unwrap();
    let outcome = finish(session);
    assert_code(&outcome.receivers[1], 130);
    assert_says(&outcome.receivers[1], "FAILED");
    assert_code(&outcome.receivers[0], 0);
    assert_same(&place.path("image"), &target(&place, 0));
    assert_code(&outcome.sender, 5);
    assert_says(&outcome.sender, "interrupted");
    let report = outcome.sender.report.unwrap();
    let failed: Vec<_> = report
        .receivers
        .iter()
        .filter(|one| one.state == "failed")
        .collect();
    assert_eq!(failed.len(), 1, "{report:?}");
}

#[test]
fn receivers_do_not_wait_for_a_dead_sender_for_ever() {
    let place = place();
    let mut session = half_way(&place, 2, &["--idle-timeout", "2s"]);
    session.sender.running.kill().unwrap();
    let outcome = finish(session);
    assert_eq!(outcome.sender.usage.status.signal(), Some(9));
    for receiver in &outcome.receivers {
        assert_code(receiver, 1);
        assert_says(receiver, "nothing was heard of the sender for 2 s");
    }
}

#[test]
fn a_dead_receiver_is_named_and_the_others_go_on() {
    let place = place();
    let mut session = half_way(&place, 3, &[]);
    session.receivers[1].running.kill().unwrap();
    let outcome = finish(session);
    assert_code(&outcome.receivers[0], 0);
    assert_code(&outcome.receivers[2], 0);
    assert_same(&place.path("image"), &target(&place, 0));
    assert_same(&place.path("image"), &target(&place, 2));
    assert_code(&outcome.sender, 5);
    let report = outcome.sender.report.unwrap();
    let lost: Vec<_> = report
        .receivers
        .iter()
        .filter(|one| one.state == "lost")
        .collect();
    assert_eq!(lost.len(), 1, "{report:?}");
    assert!(
        outcome.sender.log.contains(&lost[0].address),
        "{}",
        outcome.sender.log
    );
}

#[test]
fn a_receiver_that_comes_back_gets_everything() {
    let place = place();
    let mut session = half_way(&place, 2, &[]);
    session.receivers[1].running.kill().unwrap();
    let again = place.receiver(target(&place, 1), &[]);
    session
        .receivers
        .push(Process::start(again, place.directory(), "again").unwrap());
    let outcome = finish(session);
    assert_code(&outcome.receivers[0], 0);
    assert_code(&outcome.receivers[2], 0);
    assert_same(&place.path("image"), &target(&place, 0));
    assert_same(&place.path("image"), &target(&place, 1));
}

/// A session whose image is so long that its end has not been read ahead when something is
/// written.
fn far_from_the_end(place: &Place) -> (Session, File) {
    let image = place.random("image", 256 << 20);
    let sender = place.sender(&image, &["--rate", "400M", "--min-receivers", "2"]);
    let receivers = (0..2).map(|number| place.receiver(target(place, number), &[]));
    let session = place.start(sender, receivers);
    until("something is written", || {
        target(place, 0)
            .metadata()
            .is_ok_and(|about| about.blocks() > 0)
    });
    (session, File::options().write(true).open(image).unwrap())
}

/// What is said depends on who notices first: reading, or the look at the file's metadata.
fn assert_image_failed(place: &Place, session: Session, words: &[&str]) {
    let outcome = finish(session);
    assert_code(&outcome.sender, 1);
    assert_says(&outcome.sender, place.path("image").to_str().unwrap());
    let log = &outcome.sender.log;
    assert!(words.iter().any(|words| log.contains(words)), "{log}");
    for receiver in &outcome.receivers {
        assert_code(receiver, 1);
        assert_says(receiver, "the sender gave up");
        assert_says(receiver, "is incomplete");
    }
}

#[test]
fn an_image_that_shrinks_is_told_to_everybody() {
    let place = place();
    let (session, image) = far_from_the_end(&place);
    image.set_len(200 << 20).unwrap();
    assert_image_failed(
        &place,
        session,
        &["it has become shorter", "its length changed"],
    );
}

#[test]
fn an_image_that_changes_is_told_to_everybody() {
    let place = place();
    let (session, image) = far_from_the_end(&place);
    image.write_at(b"changed", (256 << 20) - 50).unwrap();
    assert_image_failed(&place, session, &["it was written to"]);
}

#[test]
fn an_image_that_is_replaced_is_told_to_everybody() {
    let place = place();
    let (session, _image) = far_from_the_end(&place);
    let other = place.file("other", "another image");
    std::fs::rename(other, place.path("image")).unwrap();
    assert_image_failed(&place, session, &["it was replaced"]);
}

/// All of it was read ahead by then, so everybody gets the image as it was.
#[test]
fn an_image_that_changes_after_it_was_read_is_sent_as_it_was_and_told_of() {
    let place = place();
    let session = half_way(&place, 1, &[]);
    let image = place.path("image");
    let copy = place.file("copy", std::fs::read(&image).unwrap());
    until("half is written", || {
        let about = target(&place, 0).metadata();
        about.is_ok_and(|about| about.blocks() >= LENGTH / 512 / 2)
    });
    File::options()
        .write(true)
        .open(&image)
        .unwrap()
        .set_len(1000)
        .unwrap();
    let outcome = finish(session);
    assert_success(&outcome, &copy);
    assert_same(&copy, &target(&place, 0));
    assert_says(&outcome.sender, "its length changed from 16777216");
    assert_says(&outcome.sender, "the image as it was then");
}

/// Nobody can know that there was more; the README says so.
#[test]
fn a_pipe_whose_writer_is_killed_is_a_shorter_image() {
    let place = place();
    let image = place.random("image", 3_000_001);
    let mut writer = Command::new("sh")
        .args(["-c", "cat \"$0\"; kill -KILL $$"])
        .arg(&image)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut sender = place.sender("-", &["--min-receivers", "1"]);
    sender.stdin(writer.stdout.take().unwrap());
    let target = place.path("target");
    let outcome = place.run(sender, [place.receiver(&target, &[])]);
    assert_eq!(writer.wait().unwrap().signal(), Some(9));
    assert_success(&outcome, &image);
    assert_same(&image, &target);
    assert_says(&outcome.sender, "3.0 MB in");
}

#[test]
fn a_target_that_fills_up_fails_alone() {
    let test = "a full target";
    if !root(test) {
        return;
    }
    let place = place();
    let Some(small) = Tmpfs::new(test, place.path("small"), 24) else {
        return;
    };
    let image = place.random("image", LENGTH);
    let (full, good) = (small.path("target"), place.path("target"));
    let sender = place.sender(&image, &[&SLOW[..], &["--min-receivers", "2"]].concat());
    let receivers = [place.receiver(&full, &[]), place.receiver(&good, &[])];
    let session = place.start(sender, receivers);
    until("something is written", || {
        full.metadata().is_ok_and(|about| about.blocks() > 0)
    });
    // Somebody else takes what was free.
    let mut filler = File::create(small.path("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    let outcome = finish(session);
    drop((filler, small));
    assert_code(&outcome.receivers[0], 1);
    assert!(
        !outcome.receivers[0].log.contains("WARN"),
        "{}",
        outcome.receivers[0].log
    );
    assert_says(&outcome.receivers[0], "no space left");
    assert_says(&outcome.receivers[0], full.to_str().unwrap());
    assert_code(&outcome.receivers[1], 0);
    assert_same(&image, &good);
    assert_code(&outcome.sender, 5);
    assert_says(&outcome.sender, "no space left");
}

#[test]
fn a_target_that_will_be_too_full_is_told_of_before() {
    let test = "a small file system";
    if !root(test) {
        return;
    }
    let place = place();
    let Some(small) = Tmpfs::new(test, place.path("small"), 8) else {
        return;
    };
    let (image, full) = (place.random("image", LENGTH), small.path("target"));
    let outcome = place.run(place.sender(&image, &[]), [place.receiver(&full, &[])]);
    drop(small);
    let receiver = &outcome.receivers[0];
    assert_code(receiver, 1);
    let told = format!(
        "warning: target {}: the image needs 16.7 MB",
        full.display()
    );
    assert_says(receiver, &told);
    assert_says(receiver, "name a target elsewhere");
}

#[test]
fn noise_on_every_port_does_no_harm() {
    let place = place();
    let session = half_way(&place, 2, &[]);
    let processes = session.receivers.iter().chain([&session.sender]);
    let sockets: Vec<_> = processes
        .flat_map(|process| udp_sockets(process.running.id()).unwrap())
        .collect();
    // Each has a socket of its own and one of the control group; receivers have the data's, too.
    assert!(sockets.len() >= 8, "{sockets:?}");
    let over = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let noise = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let mut random = Random::new(5);
            let mut contents = vec![0; 1500];
            while !over.load(Ordering::Relaxed) {
                for socket in &sockets {
                    let length = usize::try_from(random.next_u64() % 1500).unwrap();
                    random.fill(&mut contents[..length]);
                    // Half of it begins as mimeo's datagrams do.
                    if length >= 2 && random.next_u64().is_multiple_of(2) {
                        contents[0] = VERSION;
                        contents[1] = u8::try_from(random.next_u64() % 16).unwrap();
                    }
                    // The port may be closed at the end of the session.
                    let _ = noise.send_to(&contents[..length], socket);
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = finish(session);
        over.store(true, Ordering::Relaxed);
        outcome
    });
    assert_success(&outcome, &place.path("image"));
    assert_same(&place.path("image"), &target(&place, 0));
    assert_same(&place.path("image"), &target(&place, 1));
    let strays = outcome.sender.report.unwrap().counters.strays;
    assert!(strays > 0, "the noise was heard");
}

#[test]
fn a_receiver_of_another_version_is_answered() {
    let place = place();
    let image = place.random("image", 1000);
    let command = place.sender(&image, &["--start-timeout", "5s"]);
    let sender = Process::start(command, place.directory(), "sender").unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let nonce = Nonce([9; 16]);
    let mut join = Vec::new();
    Join {
        session_id: SessionId([1; 16]),
        nonce,
        auth: Auth::Open,
        mac: Mac([0; 6]),
        target_id: 0,
        link_speed: 0,
        capacity: u64::MAX,
        resumes: false,
        piped: false,
        cookie: [0; 32],
        host_name: "from-the-future".to_owned(),
        exchange: Vec::new(),
    }
    .encode(&mut join);
    join[0] = VERSION + 1;
    let mut answer = [0; 2048];
    let mut length = 0;
    until("the sender answers", || {
        // Refused until the sender has its socket.
        let _ = socket.send_to(&join, (Ipv4Addr::LOCALHOST, place.port()));
        length = socket.recv(&mut answer).unwrap_or(0);
        length > 0
    });
    let reject = Reject::decode(&answer[..length]).unwrap();
    let expected = Reject {
        version: VERSION,
        nonce,
        reason: RejectReason::Version,
    };
    assert_eq!(reject, expected);
    let mut sender = sender;
    assert!(sender.running.wait(PATIENCE).unwrap().is_some());
    assert_code(&sender.finish_sender().unwrap(), 4);
}

#[test]
fn a_sender_of_another_version_is_named() {
    let place = place();
    let command = place.receiver("null:", &["--start-timeout", "5s"]);
    let mut receiver = Process::start(command, place.directory(), "receiver").unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut announce = Vec::new();
    Announce {
        session_id: SessionId([1; 16]),
        auth: Auth::Open,
        joinable: true,
        session_name: "from-the-future".to_owned(),
    }
    .encode(&mut announce);
    announce[0] = VERSION + 1;
    until("the receiver ends", || {
        send_through_lo(&socket, &announce, place.port());
        receiver
            .running
            .wait(Duration::from_millis(200))
            .unwrap()
            .is_some()
    });
    let end = receiver.finish_receiver().unwrap();
    assert!(!matches!(end.code(), Some(0) | None), "{end:?}");
    assert_says(&end, "version");
    assert_says(&end, "127.0.0.1");
}

fn send_through_lo(socket: &UdpSocket, contents: &[u8], port: u16) {
    rustix::net::sockopt::set_ip_multicast_if(socket, &Ipv4Addr::LOCALHOST).unwrap();
    socket.send_to(contents, (CONTROL_GROUP_V4, port)).unwrap();
}
