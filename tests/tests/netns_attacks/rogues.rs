//! A second sender of the same name, with another image.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mimeo_benches::session::{Process, Session};
use mimeo_protocol::keys::SigningKey;
use mimeo_tests::host::{assert_code, assert_says, finish, until};

use super::{CODE, SLOWLY, Scene, ends, length};

/// Two senders of one name, and what receivers say of the one that is not meant.
struct Rivals<'a> {
    scene: Scene,
    /// What the true sender is called with.
    sender: &'a [&'a str],
    receivers: &'a [&'a str],
    rogue: &'a [&'a str],
    says: &'a str,
}

#[test]
fn a_rogue_sender_with_another_code() {
    let Some(scene) = Scene::new("a rogue sender", 2) else {
        return;
    };
    let rivals = Rivals {
        scene,
        sender: &CODE,
        receivers: &CODE,
        rogue: &["--code", "1-zoo-zoo"],
        says: "has another join code",
    };
    rivals.play();
    // It holds another code than the only sender there is: three tries, and it is over.
    let _rogue = rivals.rogue();
    let mut receiver = rivals.scene.run(rivals.receiver(), "alone");
    ends(&mut receiver);
    let end = receiver.finish_receiver().unwrap();
    rivals.scene.assert_not_admitted(&end, 1);
}

#[test]
fn a_rogue_sender_that_is_open() {
    let Some(scene) = Scene::new("a rogue sender", 2) else {
        return;
    };
    let rivals = Rivals {
        scene,
        sender: &CODE,
        receivers: &CODE,
        // Open, as nothing else is said.
        rogue: &[],
        says: "runs an open session",
    };
    rivals.play();
    rivals.come_before();
}

/// Everybody in the room knows the code: only the key that is pinned tells the two apart.
#[test]
fn a_rogue_sender_with_a_key_of_its_own() {
    let Some(scene) = Scene::new("a rogue sender", 2) else {
        return;
    };
    let [own, other] = [7, 8].map(|byte| {
        let path = scene.place.file(&format!("key{byte}"), [byte; 32]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let public = SigningKey::from_seed(&[7; 32]).verifying_key().to_string();
    let rivals = Rivals {
        scene,
        sender: &[&CODE[..], &["--sign-key", &own]].concat(),
        receivers: &[&CODE[..], &["--sender-key", &public]].concat(),
        rogue: &[&CODE[..], &["--sign-key", &other]].concat(),
        says: "is not the pinned one",
    };
    rivals.play();
}

impl Rivals<'_> {
    fn play(&self) {
        // Three groups of blocks, each of which is written when it is over.
        let _ = self.scene.place.random("image", 12 << 20);
        let _ = self.scene.place.random("false", (12 << 20) + 1);
        self.are_both_there();
        self.follow();
    }

    /// The rogue is there before anybody else.
    fn are_both_there(&self) {
        let rogue = self.rogue();
        let outcome = finish(self.start(&[]));
        self.scene.assert_all_have(&outcome, "image");
        for number in 1..=2 {
            fs::remove_file(self.scene.target(number)).unwrap();
        }
        self.end(rogue);
    }

    /// The rogue comes when the data flows, and remains when the true sender dies: nobody goes over
    /// to it.
    fn follow(&self) {
        let mut session = self.start(&SLOWLY);
        let target = self.scene.target(1);
        until("the receivers have joined", || {
            session
                .receivers
                .iter()
                .all(|one| one.log().unwrap().contains("joined"))
        });
        let rogue = self.rogue();
        until("a third is written", || length(&target) > 3 << 20);
        session.sender.running.kill().unwrap();
        session.receivers.iter_mut().for_each(ends);
        let outcome = finish(session);
        for (number, end) in (1..).zip(&outcome.receivers) {
            assert_code(end, 1);
            assert_says(end, self.says);
            self.scene.assert_nothing_but("image", number);
            fs::remove_file(self.scene.target(number)).unwrap();
        }
        self.end(rogue);
    }

    /// The rogue is there alone, and the true sender comes later.
    fn come_before(&self) {
        let rogue = self.rogue();
        let receiver = self.scene.run(self.receiver(), "patient");
        until("the rogue is heard", || {
            receiver.log().unwrap().contains(self.says)
        });
        let sender = self.scene.sender("image", self.sender);
        let session = Session {
            sender: self.scene.run(sender, "late"),
            receivers: vec![receiver],
        };
        let outcome = finish(session);
        assert_code(&outcome.receivers[0], 0);
        assert_code(&outcome.sender, 0);
        mimeo_tests::host::assert_same(&self.scene.place.path("image"), &self.scene.target(1));
        self.end(rogue);
    }

    fn start(&self, options: &[&str]) -> Session {
        let scene = &self.scene;
        let sender = [self.sender, &["--min-receivers", "2"], options].concat();
        let soon = [self.receivers, &["--idle-timeout", "5s"]].concat();
        let receivers = (1..=2).map(|number| scene.receiver(number, &soon));
        scene.place.start(scene.sender("image", &sender), receivers)
    }

    fn receiver(&self) -> std::process::Command {
        let named = [self.receivers, &["--session", "image"]].concat();
        self.scene.receiver(1, &named)
    }

    /// Waits for two receivers, and does not get them.
    fn rogue(&self) -> Process {
        let scene = &self.scene;
        let image = scene.place.path("false");
        let options = [&["--session", "image", "--min-receivers", "2"], self.rogue].concat();
        let host = scene.attacker();
        let command = scene.place.sender_on(&scene.room, host, image, &options);
        let rogue = scene.run(command, "rogue");
        until("the rogue is up", || {
            rogue.log().unwrap().contains("sending file")
        });
        rogue
    }

    /// Nobody has taken anything of it.
    fn end(&self, rogue: Process) {
        let end = rogue.finish_sender().unwrap();
        assert!(!end.log.contains(" joined"), "{}", end.log);
    }
}
