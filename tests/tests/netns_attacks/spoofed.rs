//! Datagrams that say to come from somebody else.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::sleep;
use std::time::Duration;

use mimeo_benches::netlab::Host;
use mimeo_protocol::ids::{Mac, Nonce};
use mimeo_protocol::keys::{Exchange, Secret};
use mimeo_protocol::wire::{Auth, Cookie, Join, Kind, Reject, RejectReason, VERSION, Welcome};
use mimeo_tests::attack::{Known, Mirror, Seen, Spoofer};
use mimeo_tests::host::{assert_code, finish};

use super::{CODE, SLOWLY, Scene, ends, goes_on};

/// From addresses where nobody is, from those of receivers, and with the cookies that these got.
#[test]
fn joins_and_reports_from_false_addresses_change_nothing() {
    let Some(scene) = Scene::new("false addresses", 2) else {
        return;
    };
    let _ = scene.place.random("image", 8 << 20);
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let mut session = scene.start("image", &SLOWLY, &CODE);
    let mut heard = Heard::default();
    let spoofer = Spoofer::on(&scene.room, scene.attacker());
    let mut rounds = 0_u16;
    while rounds < 200 && goes_on(&mut session) {
        heard.learn(mirror.take());
        heard.throw(&scene, &spoofer, rounds);
        rounds += 1;
        sleep(Duration::from_millis(20));
    }
    let is_all = !heard.cookies.is_empty() && !heard.reports.is_empty();
    assert!(rounds > 10 && is_all, "{rounds}");
    let outcome = finish(session);
    // Which also says that the sender knows of nobody else.
    scene.assert_all_have(&outcome, "image");
    let lines = outcome.sender.report.unwrap().receivers;
    for line in lines {
        assert!(of_a_receiver(line.address.parse().unwrap()), "{line:?}");
    }
}

/// What the attacker has heard, and uses.
#[derive(Default)]
struct Heard {
    known: Known,
    /// Those that the receivers got.
    cookies: Vec<Cookie>,
    /// What the receivers said under their keys.
    reports: Vec<Seen>,
}

impl Heard {
    fn learn(&mut self, seen: Vec<Seen>) {
        self.known.learn(&seen);
        for one in seen {
            match Kind::of(&one.payload) {
                Some((_, Kind::Cookie)) if of_a_receiver(one.to) => {
                    self.cookies.extend(Cookie::decode(&one.payload));
                    // The attacker's own joins are answered too.
                    self.cookies.truncate(20);
                }
                Some((_, Kind::ToSender)) if of_a_receiver(one.from) => self.reports.push(one),
                _ => {}
            }
        }
    }

    fn throw(&self, scene: &Scene, spoofer: &Spoofer, round: u16) {
        let [high, low] = round.to_be_bytes();
        let own = SocketAddrV4::new(scene.attacker().address(), 7777);
        let nowhere = SocketAddrV4::new(Ipv4Addr::new(10, 77, 10 + high, low), 7777);
        let (sender, new) = (scene.sender_address(), Nonce([low; 16]));
        let victims = self.known.receivers.iter().map(|one| one.address);
        for from in victims.chain([nowhere, own]) {
            let join = |nonce, cookie| {
                let datagram = join(&self.known, nonce, cookie);
                spoofer.send(from, sender, &datagram);
            };
            join(new, [0; 32]);
            for cookie in &self.cookies {
                join(cookie.nonce, cookie.cookie);
                join(new, cookie.cookie);
            }
        }
        // What members said, from where they are not: answers are to go there.
        for report in self.reports.iter().rev().take(50) {
            spoofer.send(own, sender, &report.payload);
            spoofer.send(nowhere, sender, &report.payload);
        }
    }
}

fn of_a_receiver(address: SocketAddrV4) -> bool {
    let receivers = [1, 2].map(|number| Host::new(number).address());
    receivers.contains(address.ip())
}

fn join(known: &Known, nonce: Nonce, cookie: [u8; 32]) -> Vec<u8> {
    let Some(session) = known.session else {
        return Vec::new();
    };
    let exchange = Exchange {
        secret: Secret::new([0xbb; 32]),
        session,
        receiver_nonce: nonce,
    };
    let mut datagram = Vec::new();
    Join {
        session_id: session,
        nonce,
        auth: Auth::Code,
        mac: Mac::default(),
        target_id: 0,
        link_speed: 0,
        capacity: u64::MAX,
        resumes: false,
        piped: false,
        cookie,
        host_name: "nobody".into(),
        exchange: exchange.ask(&[1; 32]),
    }
    .encode(&mut datagram);
    datagram
}

/// Who hears every join can say no to each of them in the sender's name: then the receiver says that
/// it was not admitted. It writes nothing, and nothing else than the image.
#[test]
fn forged_answers_to_joins_end_in_an_honest_refusal_or_in_the_image() {
    let Some(scene) = Scene::new("forged answers", 1) else {
        return;
    };
    let _ = scene.place.random("image", 1 << 20);
    for answer in [refusal, welcome] {
        let mirror = Mirror::of(&scene.room, Host::SENDER);
        let sender = [&CODE[..], &["--start-timeout", "10s"]].concat();
        let mut session = scene
            .place
            .start(scene.sender("image", &sender), [scene.receiver(1, &CODE)]);
        let spoofer = Spoofer::on(&scene.room, scene.attacker());
        let mut answered = 0;
        while session.receivers[0]
            .running
            .wait(Duration::from_millis(1))
            .unwrap()
            .is_none()
        {
            for seen in mirror.take() {
                if let Ok(join) = Join::decode(&seen.payload) {
                    spoofer.send(scene.sender_address(), seen.from, &answer(&join));
                    answered += 1;
                }
            }
        }
        assert!(answered > 0);
        ends(&mut session.sender);
        let outcome = finish(session);
        if outcome.receivers[0].code() == Some(0) {
            scene.assert_all_have(&outcome, "image");
            std::fs::remove_file(scene.target(1)).unwrap();
        } else {
            scene.assert_not_admitted(&outcome.receivers[0], 1);
            assert_code(&outcome.sender, 4);
        }
    }
}

fn refusal(join: &Join) -> Vec<u8> {
    let mut datagram = Vec::new();
    Reject {
        version: VERSION,
        nonce: join.nonce,
        reason: RejectReason::Closed,
    }
    .encode(&mut datagram);
    datagram
}

/// One that does not open.
fn welcome(join: &Join) -> Vec<u8> {
    let exchange = Exchange {
        secret: Secret::new([0xbb; 32]),
        session: join.session_id,
        receiver_nonce: join.nonce,
    };
    let answer = exchange.answer(&[1; 32], &join.exchange);
    let mut datagram = Vec::new();
    Welcome {
        session_id: join.session_id,
        receiver_nonce: join.nonce,
        sender_nonce: Nonce([0xbb; 16]),
        number: mimeo_protocol::ids::ReceiverNumber(1),
        secret: Vec::new(),
        exchange: answer.map(|(message, _)| message).unwrap_or_default(),
        sealed: vec![0xbb; 121],
    }
    .encode(&mut datagram);
    datagram
}
