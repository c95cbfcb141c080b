use super::*;
use crate::ids::{Mac, SessionId};
use crate::keys::Secret;
use crate::wire::RejectReason;

const TRUE: [u8; 4] = [10, 0, 0, 1];

/// A receiver that looks for a sender, which answers probes and joins, among others that do not.
struct Scene {
    receiver: Rendezvous,
    now: Instant,
    began: Instant,
    /// Joins that reached the true sender with its session's id.
    reached: u32,
}

impl Scene {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn new(auth: Auth, name: Option<&str>) -> Self {
        let now = Instant::now();
        let config = RendezvousConfig {
            session_name: name.map(ToOwned::to_owned),
            auth,
            secret: Some(Secret::new([1; 32])),
            sender_key: None,
            seed: Secret::new([2; 32]),
            mac: Mac([3; 6]),
            target_id: 4,
            link_speed: 1000,
            capacity: None,
            resumes: false,
            piped: false,
            host_name: "pc".to_owned(),
            sender: None,
            instead_of: None,
        };
        Self {
            receiver: Rendezvous::new(now, config),
            now,
            began: now,
            reached: 0,
        }
    }

    fn hear(&mut self, ip: [u8; 4], id: u128) {
        let mut bytes = Vec::new();
        Announce {
            session_id: SessionId(id.to_be_bytes()),
            auth: self.receiver.config.auth,
            joinable: true,
            session_name: "lab".to_owned(),
        }
        .encode(&mut bytes);
        let from = SocketAddr::from((ip, 9000));
        self.receiver.handle_datagram(self.now, from, &bytes);
    }

    /// A step of 5 ms; the true sender announces itself every second.
    fn step(&mut self) {
        self.now += Duration::from_millis(5);
        if self.now.duration_since(self.began).as_millis() % 1000 == 500 {
            self.hear(TRUE, 1);
        }
        self.receiver.handle_timeout(self.now);
        let mut out = Vec::new();
        while let Some(to) = self.receiver.poll_transmit(self.now, &mut out) {
            match to {
                JoinTarget::ControlGroup => self.hear(TRUE, 1),
                JoinTarget::Unicast(to) => {
                    let join = crate::wire::Join::decode(&out).unwrap();
                    let it = join.session_id == SessionId(1_u128.to_be_bytes());
                    self.reached += u32::from(it && to.ip() == std::net::IpAddr::from(TRUE));
                }
            }
        }
    }

    fn forge(&mut self, version: u8, reason: RejectReason) {
        let State::Joining(attempt) = &self.receiver.state else {
            panic!("nobody is asked");
        };
        let mut out = Vec::new();
        Reject {
            version,
            nonce: attempt.nonce,
            reason,
        }
        .encode(&mut out);
        let from = SocketAddr::from((TRUE, 9000));
        self.receiver.handle_datagram(self.now, from, &out);
    }

    /// Until the true sender was asked; the time that it took.
    fn search(&mut self, most: Duration, mut rogue: impl FnMut(&mut Self, u128)) -> Duration {
        for step in 0_u128.. {
            if self.reached > 0 {
                break;
            }
            let passed = self.now.duration_since(self.began);
            assert!(passed < most, "not asked in {passed:?}");
            rogue(self, step);
            self.step();
        }
        self.now.duration_since(self.began)
    }
}

#[test]
fn sessions_made_up_at_false_addresses_keep_nobody_from_the_true_one() {
    for name in [None, Some("lab")] {
        // 40 announces a second from four addresses, each of another session.
        let mut scene = Scene::new(Auth::Code, name);
        scene.search(Duration::from_secs(10), |scene, step| {
            if step % 5 == 0 {
                let ip = [10, 0, 0, 60 + u8::try_from(step / 5 % 4).unwrap()];
                scene.hear(ip, 1000 + step);
            }
        });
    }
}

#[test]
fn sessions_made_up_at_the_senders_address_keep_nobody_from_the_true_one() {
    for (every, seconds) in [(20, 10), (1, 100)] {
        let mut scene = Scene::new(Auth::Code, None);
        scene.search(Duration::from_secs(seconds), |scene, step| {
            if step % every == 0 {
                scene.hear(TRUE, 1000 + step);
            }
        });
    }
}

/// Each of them is announced as often as the true one, so none of them looks made up.
#[test]
fn sessions_that_are_announced_again_and_again_are_asked_once_each() {
    let mut scene = Scene::new(Auth::Code, None);
    scene.search(Duration::from_secs(60), |scene, step| {
        if step % 5 == 0 {
            scene.hear(TRUE, 1000 + step / 5 % 20);
        }
    });
}

#[test]
fn a_refusal_that_cannot_be_true_is_none() {
    let mut scene = Scene::new(Auth::KeyFile, Some("lab"));
    scene.search(Duration::from_secs(1), |_, _| {});
    for _ in 0..10 {
        scene.forge(VERSION, RejectReason::Version);
        scene.forge(VERSION, RejectReason::Guesses);
    }
    assert_eq!(scene.receiver.failures, 0);
    scene.forge(VERSION + 1, RejectReason::Version);
    assert_eq!(scene.receiver.failures, 1);

    let mut scene = Scene::new(Auth::Code, Some("lab"));
    scene.search(Duration::from_secs(1), |_, _| {});
    scene.forge(VERSION, RejectReason::Guesses);
    assert_eq!(scene.receiver.failures, 1);
}
