//! The sender, among receivers that may say anything, and strangers.
//!
//! A member's reports have any numbers in them. Whatever is said: the sender neither panics nor
//! spins, numbers of datagrams never repeat, what it sends is what its source said, only who
//! confirmed the image counts as confirmed, and what it holds for a receiver is bounded. When nobody
//! says anything any more the session ends.

mod members;
mod reported;
mod room;

use std::time::Duration;

use arbitrary::Arbitrary;

use crate::report::{fail_code, read_back_of};
use crate::setup;
use mimeo_protocol::wire::{Auth, COOKIE_LEN, Join, Probe, ToSender};
use mimeo_protocol::{ids::Mac, ids::Nonce, manifest::Identity};

use reported::Reported;
use room::Room;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    config: u16,
    /// Blocks of the image.
    blocks: u8,
    /// Whether symbols that are asked for come when the fuzzer says so, and not at once.
    slow: bool,
    #[arbitrary(with = crate::value::at_most::<24, _>)]
    actions: Vec<Action<'a>>,
}

/// What happens to the sender.
#[derive(Debug, Arbitrary)]
enum Action<'a> {
    Datagram(u8, &'a [u8]),
    Probe(bool),
    Join(Joined),
    Report(Box<Reported>),
    /// For so many hundredths of a second all members say that they have everything, but for one.
    Pace(u8, Box<Reported>),
    Confirm {
        who: u8,
        right: bool,
        read_back: u8,
    },
    Fail(u8, u8),
    AbortSeen(u8),
    /// Any bytes, sealed as a member's message.
    Sealed(u8, &'a [u8]),
    /// A member's last datagram again, with a bit flipped or not.
    Again(u8, Option<u16>),
    Entry(u8, u16),
    SourceEnd,
    Fetched(u8),
    StartNow,
    Abort(u8),
    Pass(u16),
    /// As often as the sender asks for it.
    Steps(u8),
}

#[derive(Debug, Arbitrary)]
struct Joined {
    nonce: u8,
    from: u8,
    auth: u8,
    session: u8,
    machine: u8,
    link_speed: u32,
    resumes: bool,
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    let mut room = Room::new(input.config, input.blocks, input.slow);
    room.drain();
    for action in &input.actions {
        act(&mut room, action);
        room.drain();
    }
    // It takes longer than most of the rest.
    if input.config >> 13 == 0 {
        room.end_in_silence();
    }
}

fn act(room: &mut Room, action: &Action<'_>) {
    match action {
        Action::Datagram(from, bytes) => room.hear(*from, bytes),
        Action::Probe(named) => {
            let mut bytes = Vec::new();
            let session_name = if *named { setup::NAME } else { "" }.to_owned();
            Probe { session_name }.encode(&mut bytes);
            room.hear(0, &bytes);
        }
        Action::Join(joined) => room.join(joined),
        Action::Report(reported) => report(room, reported),
        Action::Pace(times, other) => {
            for _ in 0..room.allowed(*times) {
                room.now += Duration::from_millis(10);
                room.endpoint.handle_timeout(room.now);
                room.all_are_content(other.who);
                report(room, other);
                room.drain();
            }
        }
        Action::Confirm {
            who,
            right,
            read_back,
        } => {
            let end = room.endpoint.session().end().copied();
            let (identity, image_len) = match end.filter(|_| *right) {
                Some(end) => (end.identity, end.image_len),
                None => (Identity([1; 32]), 1),
            };
            room.confirm(*who, identity, image_len, read_back_of(*read_back));
        }
        Action::Fail(who, code) => {
            let (code, text) = (fail_code(*code), "it broke".to_owned());
            room.say(*who, &ToSender::Fail { code, text });
        }
        Action::AbortSeen(who) => room.say(*who, &ToSender::AbortSeen),
        Action::Sealed(who, plain) => room.say_bytes(*who, plain),
        Action::Again(who, flip) => room.say_again(*who, *flip),
        Action::Entry(kind, len) => room.read(*kind, *len),
        Action::SourceEnd => room.end(),
        Action::Fetched(count) => room.fetch(*count),
        Action::StartNow => {
            let now = room.now;
            room.endpoint.session_mut().handle_start_now(now);
        }
        Action::Abort(code) => {
            let (now, code) = (room.now, fail_code(*code));
            room.endpoint
                .session_mut()
                .handle_abort(now, code, "enough");
        }
        Action::Pass(ms) => {
            room.now += Duration::from_millis((*ms).into());
            room.endpoint.handle_timeout(room.now);
        }
        Action::Steps(steps) => {
            let steps = room.allowed(steps % 32);
            room.step(steps);
        }
    }
}

fn report(room: &mut Room, reported: &Reported) {
    if let Some(number) = room.members.number(reported.who) {
        let report = reported.report(room.endpoint.session(), number);
        room.say(reported.who, &ToSender::Report(report));
    }
}

impl Joined {
    fn nonce(&self) -> Nonce {
        Nonce([self.nonce % 16; 16])
    }

    /// The join; `cookie` is what the sender has given for its nonce.
    fn encode(&self, cookie: [u8; COOKIE_LEN]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Join {
            session_id: setup::session_id(self.session % 8 / 7),
            nonce: self.nonce(),
            auth: match self.auth {
                0..224 => Auth::Open,
                any => setup::auth(any),
            },
            mac: Mac([self.machine % 4; 6]),
            target_id: 1,
            link_speed: self.link_speed,
            capacity: u64::MAX,
            resumes: self.resumes,
            piped: self.machine >= 128,
            cookie,
            host_name: "pc".to_owned(),
            exchange: Vec::new(),
        }
        .encode(&mut bytes);
        bytes
    }
}
