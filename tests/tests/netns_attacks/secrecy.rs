//! What somebody reads who records everything.

use std::fmt::Write;

use mimeo_benches::netlab::Host;
use mimeo_protocol::keys::{SealKey, Secret};
use mimeo_protocol::wire::{SYMBOL_HEADER, SymbolHeader, Welcome};
use mimeo_tests::attack::{Mirror, Seen};
use mimeo_tests::host::{finish, until};

use super::{CODE, Scene};

/// Bytes that are looked for at once: by chance, they are not there.
const WINDOW: usize = 16;

/// Every window of an image, sorted.
struct Windows(Vec<u128>);

impl Windows {
    fn of(image: &[u8]) -> Self {
        let mut windows: Vec<u128> = image.windows(WINDOW).map(number).collect();
        windows.sort_unstable();
        windows.dedup();
        Self(windows)
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        let mut found = bytes.windows(WINDOW).map(number);
        found.any(|window| self.0.binary_search(&window).is_ok())
    }
}

fn number(window: &[u8]) -> u128 {
    u128::from_ne_bytes(window.try_into().expect("it has this length"))
}

/// Half a mebibyte of text, and as much that cannot be compressed.
fn image(scene: &Scene) -> Vec<u8> {
    let mut text = String::new();
    for line in 0..12_000 {
        let _ = writeln!(text, "line {line} of a file that nobody else is to read");
    }
    text.truncate(512 << 10);
    assert_eq!(text.len(), 512 << 10);
    let noise = scene.place.random("noise", 512 << 10);
    let image = [text.into_bytes(), std::fs::read(noise).unwrap()].concat();
    let _ = scene.place.file("image", &image);
    image
}

/// A session and its record, open unless something else is said. Nothing of the stream is missing in it.
fn recorded(scene: &Scene, options: &[&str]) -> Vec<Seen> {
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let outcome = finish(scene.start("image", &[], options));
    scene.assert_all_have(&outcome, "image");
    let counters = outcome.sender.report.unwrap().counters;
    let sent = counters.pass_symbols + counters.repair_symbols + counters.page_symbols;
    let (mut seen, mut symbols) = (Vec::new(), 0);
    until("all is recorded", || {
        let more = mirror.take();
        symbols += more
            .iter()
            .filter(|one| SymbolHeader::decode(&one.payload).is_ok())
            .count();
        seen.extend(more);
        symbols as u64 == sent
    });
    seen
}

#[test]
fn nothing_of_the_image_can_be_read() {
    let Some(scene) = Scene::new("secrecy", 2) else {
        return;
    };
    let windows = Windows::of(&image(&scene));
    for seen in recorded(&scene, &CODE) {
        assert!(!windows.are_in(&seen.payload), "{seen:?}");
        assert!(!contains(&seen.payload, CODE[1].as_bytes()), "{seen:?}");
    }
}

/// With `--open` everybody who hears a join has the keys: SECURITY.md says so. What is found there is
/// what is looked for above.
#[test]
fn who_hears_a_join_of_an_open_session_reads_the_image() {
    let Some(scene) = Scene::new("an open session", 1) else {
        return;
    };
    let windows = Windows::of(&image(&scene));
    let seen = recorded(&scene, &[]);
    assert!(!seen.iter().any(|one| windows.are_in(&one.payload)));
    let mut welcomes = seen
        .iter()
        .filter_map(|one| Welcome::decode(&one.payload).ok());
    let welcome = welcomes.next().unwrap();
    let secret = Secret::new(welcome.secret.as_slice().try_into().unwrap());
    let body = welcome.open(&welcome.keys(&secret)).unwrap();
    let key = SealKey::new(&body.group_key);
    let opened = seen.iter().filter_map(|one| {
        let header = SymbolHeader::decode(&one.payload).ok()?;
        let (head, sealed) = one.payload.split_at(SYMBOL_HEADER);
        Some(key.open_vec(header.seq.0, head, sealed).unwrap())
    });
    assert!(opened.filter(|symbol| windows.are_in(symbol)).count() > 300);
}

/// The search finds what it is to find.
#[test]
fn what_is_sent_in_clear_is_found() {
    let Some(scene) = Scene::new("a search", 1) else {
        return;
    };
    let image = image(&scene);
    let mirror = Mirror::of(&scene.room, Host::SENDER);
    let to = scene.sender_address();
    let send = || {
        let socket = std::net::UdpSocket::bind((scene.attacker().address(), 0))?;
        // 16 bytes of the image that begin anywhere, among others.
        socket.send_to(&[&[0; 99], &image[777_777..777_793], &[0; 99]].concat(), to)
    };
    scene.room.inside(scene.attacker(), send).unwrap().unwrap();
    let windows = Windows::of(&image);
    until("it is found", || {
        let seen = mirror.take();
        seen.iter().any(|one| windows.are_in(&one.payload))
    });
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
